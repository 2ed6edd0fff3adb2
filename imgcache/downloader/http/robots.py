"""Respects robots.txt (RFC 9309): requests it once per origin and run, before the origin's first image.

The meaning of a response (section 2.3.1): 2xx are rules; 4xx, too many or broken redirects, web pages and binary files
mean that there are no rules; 5xx forbids the whole origin for this run. Where the origin itself cannot be reached, the
image fails with that failure, which counts against the host once per image, as if the image had been requested.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import ParamSpec, TypeVar

import msgspec
from protego import Protego

from imgcache.core import (
    BadRedirect,
    BadScheme,
    BadUrl,
    BlockedAddress,
    Hop,
    HostDown,
    HttpStatus,
    ImageError,
    Robots,
    TlsFailure,
    Undecodable,
    clean_text,
    split_url,
)
from imgcache.downloader.http import body
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.error_mapping import Stalled, counts_against_host, status_error
from imgcache.downloader.http.exchange import PoliteExchange
from imgcache.downloader.http.politeness import Politeness
from imgcache.downloader.http.request_trace import RequestTrace
from imgcache.downloader.http.robots_rules import OURS, product_token, relevant_rules
from imgcache.downloader.http.transport import Response

MAX_BYTES = 512_000  # that are read: 500 KiB (section 2.5)
MAX_REDIRECTS = 5  # section 2.3.1.2
MAX_CRAWL_DELAY = 10.0  # seconds; Crawl-delay is not part of the RFC, and some files ask for hours
MAX_PARSED = 2_000_000  # characters of rules that are kept parsed: about 55 bytes of memory each
LONG = 20_000  # characters; a longer text is parsed and matched in a thread, because that may take a second

P = ParamSpec("P")
T = TypeVar("T")


class RobotsUnavailable(Robots):
    """The origin's robots.txt cannot be read now: nothing is fetched from there in this run (section 2.3.1.4)."""

    retryable = True


class _Verdict(msgspec.Struct, frozen=True):
    """What an origin allows: by its rules, as `relevant_rules` gives them; nothing where `unavailable` has a reason."""

    rules: str = ""
    unavailable: str = ""


class _NoRobotsTxt(Exception):
    """There is no robots.txt, or what is there cannot be one."""


class _RedirectTargetFailed(Exception):
    """The URL that robots.txt is redirected to cannot be reached."""

    def __init__(self, failure: ImageError) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Origin:
    """One scheme, host and port. `failed` counts the times that it could not be reached."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        self.verdict: _Verdict | None = None
        self.failed = 0
        self.failure: ImageError | None = None


class RobotsTxt:
    """The rules of all origins of one run.

    Args:
        exchange: sends the requests.
        headers: those of requests for images, `header_fields.request_headers`.
        politeness: the pace that a Crawl-delay changes.
        delay: the seconds to wait after attempt number n (from 1) failed with this error; None to give up.
        sleep: waits so many seconds.
        clock: the time in seconds since the epoch.
    """

    def __init__(
        self,
        exchange: PoliteExchange,
        *,
        headers: Mapping[str, str],
        politeness: Politeness,
        delay: Callable[[int, ImageError], float | None],
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._headers = {**headers, "Accept": fields.ACCEPT_TEXT}
        self._token = product_token(headers["User-Agent"])
        self._politeness = politeness
        self._delay = delay
        self._sleep = sleep
        self._clock = clock
        self._origins: dict[str, _Origin] = {}
        self._parsed: collections.OrderedDict[str, Protego] = collections.OrderedDict()
        self._parsed_length = 0

    async def check(self, url: str) -> None:
        """Return if `url`, a `request_url`, may be fetched. The first call for an origin requests its robots.txt.

        Raises:
            Robots: it may not; `RobotsUnavailable` where that is so for this run only.
            ImageError: the origin cannot be reached.
        """
        name = "/".join(url.split("/", 3)[:3])
        origin = self._origins.get(name)
        if origin is None:
            origin = self._origins[name] = _Origin(name)
        verdict = origin.verdict or await self._load(origin)
        if verdict.unavailable:
            raise RobotsUnavailable(verdict.unavailable)
        if not verdict.rules:
            return
        parsed = await self._parse(verdict.rules)
        if not await _in_thread_if_long(len(verdict.rules), parsed.can_fetch, url, OURS):
            raise Robots(
                f"{clean_text(origin.name, 100)}/robots.txt asks {clean_text(self._token, 40)} not to fetch this; use"
                " another image, or set respect_robots: false if its owner agrees"
            )

    async def _load(self, origin: _Origin) -> _Verdict:
        """Make one request for all who wait. If it fails, each fails in its own turn, which counts for the host."""
        failed = origin.failed
        async with origin.lock:
            if origin.verdict is None and origin.failed == failed:
                try:
                    origin.verdict = await self._request_with_retries(origin)
                except ImageError as error:
                    origin.failed, origin.failure = origin.failed + 1, error
                    raise
        if origin.verdict is not None:
            return origin.verdict
        assert origin.failure is not None  # noqa: S101 (it is set wherever `failed` is)
        if isinstance(origin.failure, Stalled):  # many waited for the same stalled request: it counts once
            raise origin.failure
        async with self._politeness.turn(split_url(origin.name)[1]):
            raise origin.failure

    async def _request_with_retries(self, origin: _Origin) -> _Verdict:
        for attempt in itertools.count(1):
            try:
                content = await self._request(origin)
            except HttpStatus as error:
                if (error.status or 0) < 500:
                    return _Verdict()
                wait = self._delay(attempt, error)
                if wait is None:
                    return _unavailable(origin, error)
            except _NoRobotsTxt:
                return _Verdict()
            except _RedirectTargetFailed as error:
                return _unavailable(origin, error.failure)
            else:
                return await self._read_rules(origin, content)
            await self._sleep(wait)
        raise AssertionError("itertools.count ended")

    async def _request(self, origin: _Origin) -> bytes:
        """Return the file, after redirects; `limits.total` is for all requests together."""
        trace = RequestTrace(f"{origin.name}/robots.txt")
        while True:
            try:
                result = await self._exchange.send(trace, self._headers, self._read)
            except HttpStatus:
                raise
            except (BadRedirect, BadScheme, BadUrl, Undecodable) as error:
                raise _NoRobotsTxt from error
            except ImageError as error:
                if not trace.hops:
                    raise _as_image_failure(error) from error
                raise (_NoRobotsTxt() if isinstance(error, BlockedAddress) else _RedirectTargetFailed(error)) from error
            if isinstance(result, bytes):
                return result
            if len(trace.hops) == MAX_REDIRECTS:
                raise _NoRobotsTxt
            trace.follow(result)

    async def _read(self, response: Response, trace: RequestTrace) -> bytes | Hop:
        if response.status in fields.REDIRECTS:
            return Hop(response.status, fields.redirect_target(response.status, response.headers, trace.url))
        if 200 <= response.status < 300:
            return await body.first_lines(response, most=MAX_BYTES, statistics=trace.statistics)
        raise status_error(response.status, response.headers.get("retry-after"), self._clock())

    async def _read_rules(self, origin: _Origin, content: bytes) -> _Verdict:
        rules = await _in_thread_if_long(len(content), relevant_rules, content, self._token)
        if rules:
            crawl_delay = (await self._parse(rules)).crawl_delay(OURS)
            if crawl_delay:
                self._politeness.pace(split_url(origin.name)[1], min(crawl_delay, MAX_CRAWL_DELAY))
        return _Verdict(rules)

    async def _parse(self, text: str) -> Protego:
        """Parse rules; those used last stay parsed, up to `MAX_PARSED` characters in all."""
        parsed = self._parsed.get(text)
        if parsed is not None:
            self._parsed.move_to_end(text)
            return parsed
        parsed = await _in_thread_if_long(len(text), Protego.parse, text)
        if text not in self._parsed:
            self._parsed_length += len(text)
        self._parsed[text] = parsed
        while self._parsed_length > MAX_PARSED:
            self._parsed_length -= len(self._parsed.popitem(last=False)[0])
        return parsed


async def _in_thread_if_long(length: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `work`, in a thread where its argument is long, so that the event loop is not blocked."""
    return await asyncio.to_thread(work, *args, **kwargs) if length > LONG else work(*args, **kwargs)


def _unavailable(origin: _Origin, error: ImageError) -> _Verdict:
    return _Verdict(
        unavailable=f"{clean_text(origin.name, 100)}/robots.txt cannot be read ({clean_text(error.message, 120)}), so"
        " nothing is fetched from there in this run; try again later"
    )


def _as_image_failure(error: ImageError) -> ImageError:
    """Return the failure to fetch robots.txt as that of the image; the message names robots.txt where that matters."""
    is_answer = isinstance(error, Stalled) or not counts_against_host(error)
    if not is_answer or isinstance(error, BlockedAddress | HostDown | TlsFailure):
        return error
    return type(error)(f"{clean_text(error.message, 200)} (while requesting robots.txt)")
