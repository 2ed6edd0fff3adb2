"""robots.txt (RFC 9309): asked for once per origin and run, before the origin's first image.

What an answer means (section 2.3.1): 2xx are rules; 4xx, redirects that lead nowhere, pages and binary files are none;
5xx closes the origin for this run. Where the origin itself cannot be reached, nothing is said about robots.txt: the
image fails with that failure, which counts against the host once for each image, as if it had been asked for itself.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import re
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import msgspec
from protego import Protego

from imgcache.core import (
    BadRedirect,
    BadScheme,
    BadUrl,
    BlockedAddress,
    HostDown,
    HttpStatus,
    ImageError,
    Robots,
    TlsFailure,
    Undecodable,
    clean_text,
    split_url,
)
from imgcache.downloader.http.error_mapping import Stalled, counts_against_host
from imgcache.downloader.http.politeness import Politeness

LARGEST = 512_000  # bytes that are read: 500 KiB (section 2.5)
REDIRECTS = 5  # section 2.3.1.2
LONGEST_DELAY = 10.0  # seconds of a Crawl-delay; it is no part of the RFC, and some ask for hours
ROOM = 2_000_000  # characters of rules that are kept parsed: about 55 bytes of memory each
LONG = 20_000  # characters; what is longer is parsed and matched in a thread, for it may take a second

Ask = Callable[[str, float], Awaitable[bytes | str]]
"""One request within so many seconds: the body's whole lines up to LARGEST bytes, or the URL that a redirect names."""

P = ParamSpec("P")
T = TypeVar("T")
_OURS, _FOREIGN = "imgcache", "?"  # "?" is in no product token
_PRODUCT = re.compile(r"[A-Za-z0-9_-]+")
_AGENT = re.compile(r"user(?:-|\s*)agent\b\s*:?\s*(.*)", re.IGNORECASE)


class RobotsUnavailable(Robots):
    """The origin's robots.txt cannot be had now: nothing is fetched from there in this run (section 2.3.1.4)."""

    retryable = True


class _Verdict(msgspec.Struct, frozen=True):
    """What an origin says: rules, in the words that Protego reads; or why it is closed."""

    rules: str = ""
    closed: str = ""


class _Nowhere(Exception):
    """There is no robots.txt, and what is there instead cannot be one."""


class _Elsewhere(Exception):
    """Where robots.txt was moved to cannot be reached."""

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


def product(user_agent: str) -> str:
    """The product token by which robots.txt may name us (section 2.2.1): what the User-Agent begins with."""
    found = _PRODUCT.match(user_agent)
    return found[0].lower() if found else _OURS


def rules(body: bytes, token: str) -> str:
    """What of a robots.txt is for `token`, as text that Protego reads in a time in proportion to its length.

    Groups of other crawlers all come out under one name: Protego keeps a copy of each rule for each name, so that half
    a megabyte of names and rules would take hours and all memory. Names are compared whole and in either case. A page,
    or anything with a NUL in it, has no rules.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if "\0" in text or text.lstrip().startswith("<"):
        return ""
    return "\n".join(filter(None, (_line(line, token) for line in text.splitlines())))


def _line(line: str, token: str) -> str:
    text = line.partition("#")[0]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    text = text.strip()
    agent = _AGENT.match(text)
    if not agent:
        return text
    name = agent[1]
    if name.startswith("*"):
        return "User-agent: *"
    found = _PRODUCT.match(name)
    return f"User-agent: {_OURS if found and found[0].lower() == token else _FOREIGN}"


class RobotsTxt:
    """The rules of all origins of one run."""

    def __init__(
        self,
        *,
        user_agent: str,
        ask: Ask,
        politeness: Politeness,
        total: float,
        delay: Callable[[int, ImageError], float | None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """`ask` is called in its host's turn; `total` is in seconds, for all hops; `delay` is what a retry waits."""
        self._token = product(user_agent)
        self._ask = ask
        self._politeness = politeness
        self._total = total
        self._delay = delay
        self._sleep = sleep
        self._origins: dict[str, _Origin] = {}
        self._parsed: collections.OrderedDict[str, Protego] = collections.OrderedDict()
        self._taken = 0

    async def check(self, url: str) -> None:
        """Ask the origin of `url`, a `request_url`, if nobody has; return if `url` may be fetched.

        Raises:
            Robots: it may not; `Closed` where that is so for this run only.
            ImageError: the origin cannot be reached.
        """
        origin = self._origin(url)
        verdict = origin.verdict or await self._learn(origin)
        if verdict.closed:
            raise RobotsUnavailable(verdict.closed)
        if not verdict.rules:
            return
        parsed = await self._parse(verdict.rules)
        if not await _aside(len(verdict.rules), parsed.can_fetch, url, _OURS):
            raise Robots(
                f"{clean_text(origin.name, 100)}/robots.txt asks {clean_text(self._token, 40)} not to fetch this; use another"
                " image, or set respect_robots: false if its owner agrees"
            )

    def _origin(self, url: str) -> _Origin:
        name = "/".join(url.split("/", 3)[:3])
        found = self._origins.get(name)
        if found is None:
            found = self._origins[name] = _Origin(name)
        return found

    async def _learn(self, origin: _Origin) -> _Verdict:
        """One asks for all who wait. If that fails, each fails in a turn of its own, which keeps the host's count."""
        failed = origin.failed
        async with origin.lock:
            if origin.verdict is None and origin.failed == failed:
                try:
                    origin.verdict = await self._read(origin)
                except ImageError as error:
                    origin.failed, origin.failure = origin.failed + 1, error
                    raise
        if origin.verdict is not None:
            return origin.verdict
        assert origin.failure is not None  # noqa: S101 (it is set wherever `failed` is)
        if isinstance(origin.failure, Stalled):  # one silence, which many waited for: it counts once
            raise origin.failure
        async with self._politeness.turn(split_url(origin.name)[1]):
            raise origin.failure

    async def _read(self, origin: _Origin) -> _Verdict:
        for attempt in itertools.count(1):
            try:
                body = await self._follow(origin)
            except HttpStatus as error:
                if (error.status or 0) < 500:
                    return _Verdict()
                wait = self._delay(attempt, error)
                if wait is None:
                    return _closed(origin, error)
            except _Nowhere:
                return _Verdict()
            except _Elsewhere as error:
                return _closed(origin, error.failure)
            else:
                return await self._understood(origin, body)
            await self._sleep(wait)
        raise AssertionError("itertools.count ended")

    async def _follow(self, origin: _Origin) -> bytes:
        """The file, by way of redirects, each in the turn of its host."""
        url, left = f"{origin.name}/robots.txt", self._total
        for hop in range(REDIRECTS + 1):
            try:
                async with self._politeness.turn(split_url(url)[1]):
                    started = time.monotonic()
                    answer = await self._ask(url, left)
                    left -= time.monotonic() - started
            except HttpStatus:
                raise
            except (BadRedirect, BadScheme, BadUrl, Undecodable) as error:
                raise _Nowhere from error
            except ImageError as error:
                if hop == 0:
                    raise _of_the_image(error) from error
                raise (_Nowhere() if isinstance(error, BlockedAddress) else _Elsewhere(error)) from error
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise _Nowhere

    async def _understood(self, origin: _Origin, body: bytes) -> _Verdict:
        found = await _aside(len(body), rules, body, self._token)
        if found:
            asked = (await self._parse(found)).crawl_delay(_OURS)
            if asked:
                self._politeness.pace(split_url(origin.name)[1], min(asked, LONGEST_DELAY))
        return _Verdict(found)

    async def _parse(self, text: str) -> Protego:
        """The latest used stay parsed, as many as there is room for."""
        parsed = self._parsed.get(text)
        if parsed is not None:
            self._parsed.move_to_end(text)
            return parsed
        parsed = await _aside(len(text), Protego.parse, text)
        if text not in self._parsed:
            self._taken += len(text)
        self._parsed[text] = parsed
        while self._taken > ROOM:
            self._taken -= len(self._parsed.popitem(last=False)[0])
        return parsed


async def _aside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `work`; in a thread where its argument is long, so that nobody else waits."""
    return await asyncio.to_thread(work, *args, **kwargs) if size > LONG else work(*args, **kwargs)


def _closed(origin: _Origin, error: ImageError) -> _Verdict:
    return _Verdict(
        closed=f"{clean_text(origin.name, 100)}/robots.txt cannot be had ({clean_text(error.message, 120)}), so that nothing is"
        " fetched from there in this run; try again later"
    )


def _of_the_image(error: ImageError) -> ImageError:
    """The failure of robots.txt as that of the image, which goes the same way; the words say where it differs."""
    reached = isinstance(error, Stalled) or not counts_against_host(error)
    if not reached or isinstance(error, BlockedAddress | HostDown | TlsFailure):
        return error
    return type(error)(f"{clean_text(error.message, 200)} (while asking for robots.txt)")
