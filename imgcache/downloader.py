"""The downloader: one URL -> one whole body in a temporary file, or the reason why not.

A fetch goes through retry -> hops (redirects by hand) -> robots.txt -> politeness -> transport -> body; each of them is
a file in `imgcache.net`. A slot is held for one hop only: neither a redirect's next hop nor the wait before a retry
keeps it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import pathlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec
from aiohttp.abc import AbstractResolver

from imgcache.errors import BadRedirect, FetchTimeout, HttpStatus, ImageError, Robots
from imgcache.models import Fetched, FetchPolicy, Limits, NotModified, Validators
from imgcache.net import body, fields, retry, walls
from imgcache.net.connect_to import ConnectTo
from imgcache.net.failures import NETWORK_ERRORS, classify
from imgcache.net.guard import Guard
from imgcache.net.inflight import Answer, InFlight
from imgcache.net.politeness import Politeness
from imgcache.net.robots import LARGEST, RobotsTxt, product
from imgcache.net.robots_tag import forbidden_by
from imgcache.net.statistics import HostStatistics, Statistics
from imgcache.net.transport import Transport
from imgcache.urls import clean, join, redact, request_url, split

WHOLE = frozenset({200, 203})  # 203: the same, by way of a proxy that changed it (RFC 9110, section 15.3.4)
REDIRECTS = frozenset({301, 302, 303, 307, 308})

T = TypeVar("T")
logger = logging.getLogger(__name__)


class _Next(msgspec.Struct, frozen=True, gc=False):
    """A redirect's target."""

    url: str


class Downloader:
    """Fetches images; use as `async with Downloader(...) as downloader`.

    `folder` takes the temporary files and must exist; `sniff` names the format of first bytes; `clock` is in seconds
    since the epoch, `monotonic` paces requests. `transport` is the innermost httpx transport, given in tests: then
    guard, connect_to and resolver have no say, for they live in the real one. `respect_robots` asks each origin for its
    robots.txt before its first image; `respect_robots_tag` refuses what X-Robots-Tag asks not to keep. `statistics`
    tells what the run has cost.
    """

    def __init__(
        self,
        *,
        folder: str | pathlib.Path,
        sniff: body.Sniff,
        limits: Limits | None = None,
        policy: FetchPolicy | None = None,
        guard: Guard | None = None,
        connect_to: Iterable[ConnectTo] = (),
        resolver: AbstractResolver | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        respect_robots: bool = False,
        respect_robots_tag: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.statistics = Statistics()
        self._folder = pathlib.Path(folder)
        self._sniff = sniff
        self._limits = limits or Limits()
        self._policy = policy or FetchPolicy()
        self._guard = guard or Guard()
        self._connect_to = tuple(connect_to)
        self._resolver = resolver
        self._given = transport
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._headers = fields.of_request(self._policy.user_agent)
        self._politeness = Politeness(self._policy, clock=monotonic, sleep=sleep)
        self._robots = self._robots_txt() if respect_robots else None
        self._respects_tag = respect_robots_tag
        self._in_flight = InFlight()
        self._transport: httpx.AsyncBaseTransport | None = None

    async def __aenter__(self) -> Self:
        self._transport = self._given or Transport(
            guard=self._guard, limits=self._limits, connect_to=self._connect_to, resolver=self._resolver
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def fetch(self, url: str, validators: Validators | None = None) -> Answer:
        """The image at `url`, as the article has it: `Fetched`, or `NotModified` where `validators` still hold.

        The caller owns the file of a `Fetched`. Two calls for one URL at once make one request and two files.

        Raises:
            ImageError: whatever went wrong; nothing else but CancelledError leaves here, and no file stays.
        """
        target = request_url(url)
        sent = fields.fitting(validators or Validators())
        return await self._in_flight.share((target, sent), lambda: self._with_retries(target, sent))

    async def _with_retries(self, url: str, validators: Validators) -> Answer:
        for attempt in itertools.count(1):
            try:
                return await self._attempt(url, validators)
            except ImageError as error:
                wait = self._delay(attempt, error)
                if wait is None:
                    raise
                logger.debug("%s: %s; again in %.1f s", redact(url), error.message, wait)
            await self._sleep(wait)
        raise AssertionError("itertools.count ended")

    def _delay(self, attempt: int, error: ImageError) -> float | None:
        return retry.delay(attempt, error, retries=self._policy.retries, rng=self._rng)

    def _robots_txt(self) -> RobotsTxt:
        return RobotsTxt(
            user_agent=self._headers["User-Agent"],
            ask=lambda url, left: self._hop(url, {"Accept": fields.ACCEPT_TEXT}, left, self._read_robots),
            politeness=self._politeness,
            total=self._limits.total,
            delay=self._delay,
            sleep=self._sleep,
        )

    async def _attempt(self, first: str, validators: Validators) -> Answer:
        """Follow redirects to the image; `limits.total` is for all hops together, waiting for slots not counted."""
        url, seen, left = first, {first}, self._limits.total
        conditions = fields.conditions(validators)

        async def read(response: httpx.Response, asked: str, line: HostStatistics) -> Answer | _Next:
            return await self._read(response, asked, first, validators, line)

        while True:
            if self._robots is not None:
                await self._robots.check(url)
            async with self._politeness.turn(split(url)[1]):
                started = time.monotonic()
                answer = await self._hop(url, conditions, left, read)
                left -= time.monotonic() - started
            if not isinstance(answer, _Next):
                return answer
            url = answer.url
            if url in seen:
                raise BadRedirect(f"the redirects lead in a circle, back to {redact(url)}")
            if len(seen) > self._limits.redirects:
                raise BadRedirect(f"more than {self._limits.redirects} redirects (limits.redirects)")
            seen.add(url)

    async def _hop(
        self,
        url: str,
        more: dict[str, str],
        left: float,
        read: Callable[[httpx.Response, str, HostStatistics], Awaitable[T]],
    ) -> T:
        """One request and its answer, within `left` seconds; whatever a transport raises becomes an ImageError."""
        host = split(url)[1]
        line = self.statistics.host(host)
        line.requests += 1
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0.0)) as deadline:
                response = await self._send(url, more)
                try:
                    return await read(response, url, line)
                finally:
                    await response.stream.aclose()  # type: ignore[union-attr]  # ours are asynchronous
        except ImageError:
            line.failures += 1
            raise
        except NETWORK_ERRORS as error:
            line.failures += 1
            if deadline.expired():
                raise self._too_slow(host) from error
            raise classify(error, host) from error
        finally:
            line.seconds += time.monotonic() - started

    def _too_slow(self, host: str) -> FetchTimeout:
        limit = self._limits.total
        return FetchTimeout(f"{clean(host, 80)}: the transfer was not complete after {limit:g} s (limits.total)")

    async def _send(self, url: str, more: dict[str, str]) -> httpx.Response:
        if self._transport is None:
            raise RuntimeError("use the downloader inside `async with`")
        return await self._transport.handle_async_request(httpx.Request("GET", url, headers=self._headers | more))

    async def _read(
        self, response: httpx.Response, url: str, first: str, validators: Validators, line: HostStatistics
    ) -> Answer | _Next:
        """Decide by the status (RFC 9110, section 15); only a whole representation is read."""
        status, headers = response.status_code, response.headers
        not_modified = status == 304 and validators != Validators()
        if status in WHOLE or not_modified:
            self._heed_tag(headers)
        if status in WHOLE:
            saved = await body.save(
                response, folder=self._folder, cap=self._limits.bytes, sniff=self._sniff, statistics=line
            )
            return Fetched(
                path=saved.path,
                digest=saved.digest,
                bytes=saved.bytes,
                format=saved.format,
                validators=fields.validators(headers),
                final_url=None if url == first else url,
                robots_tag=fields.robots_tag(headers),
            )
        if not_modified:
            fresh = fields.validators(headers)
            return NotModified(
                Validators(fresh.etag or validators.etag, fresh.last_modified or validators.last_modified)
            )
        if status in REDIRECTS:
            return _Next(_location(headers, status, url))
        raise _refusal(response, self._clock(), await walls.before(response))

    async def _read_robots(self, response: httpx.Response, url: str, line: HostStatistics) -> bytes | str:
        """A robots.txt, or where it has gone to."""
        status = response.status_code
        if status in REDIRECTS:
            return _location(response.headers, status, url)
        if 200 <= status < 300:
            return await body.first_lines(response, most=LARGEST, statistics=line)
        raise _refusal(response, self._clock())

    def _heed_tag(self, headers: httpx.Headers) -> None:
        if not self._respects_tag:
            return
        rule = forbidden_by(headers.get_list("x-robots-tag"), product(self._headers["User-Agent"]))
        if rule is not None:
            raise Robots(
                f"the server asks not to keep this image (X-Robots-Tag: {rule}); use another, or set"
                " respect_robots_tag: false if its owner agrees"
            )


def _location(headers: httpx.Headers, status: int, url: str) -> str:
    location = headers.get("location")
    if not location:
        raise BadRedirect(f"status {status} without a Location")
    return join(url, location)


def _refusal(response: httpx.Response, now: float, wall: str | None = None) -> HttpStatus:
    status = response.status_code
    by = f", from a bot wall ({wall})" if wall else ""
    return HttpStatus(
        f"the server answered {status} {clean(httpx.codes.get_reason_phrase(status), 60)}".rstrip() + by,
        status,
        wall=wall,
        retry_after=retry.retry_after(response.headers.get("retry-after"), now),
    )
