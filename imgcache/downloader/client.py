"""The asker: one URL -> the answer that counts, however many requests that takes, or the reason why there is none.

Asking goes through retry -> hops (redirects by hand) -> robots.txt -> politeness -> transport; each of them is a file
in `imgcache.downloader.http`. A slot is held for one hop only: neither a redirect's next hop nor the wait before a retry keeps it.
What is read of an answer is up to others: the downloader saves it whole, the prober looks at its beginning.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import ClassVar, Self, TypedDict, TypeVar

import httpx
import msgspec
from aiohttp.abc import AbstractResolver
from multidict import MultiMapping

from imgcache.core import (
    BadRedirect,
    FetchPolicy,
    FetchTimeout,
    Hop,
    HostDown,
    HttpStatus,
    ImageError,
    Limits,
    Robots,
    clean_text,
    descriptors,
    join_url,
    plural,
    redact,
    split_url,
)
from imgcache.downloader.http import body, retry
from imgcache.downloader.http import bot_walls as walls
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.connect_to import ConnectTo
from imgcache.downloader.http.error_mapping import NETWORK_ERRORS, Stalled, classify
from imgcache.downloader.http.guard import Guard
from imgcache.downloader.http.over_httpx import OverHttpx
from imgcache.downloader.http.politeness import BUSY, Politeness
from imgcache.downloader.http.response import RequestSender, Response
from imgcache.downloader.http.robots import LARGEST, RobotsTxt, product
from imgcache.downloader.http.robots_tag import forbidden_by
from imgcache.downloader.http.statistics import HostStatistics, Statistics
from imgcache.downloader.http.trail import RequestTrace
from imgcache.downloader.http.transport import Transport

WHOLE = frozenset({200, 203})  # 203: the same, by way of a proxy that changed it (RFC 9110, section 15.3.4)
DRIP = 1024  # bytes a second of a whole transfer, below which a host is not slow but broken
REDIRECTS = frozenset({301, 302, 303, 307, 308})

T = TypeVar("T")
logger = logging.getLogger(__name__)


Read = Callable[[Response, RequestTrace], Awaitable[T]]
"""Makes something of an answer that is no redirect; raises ImageError."""


class ClientOptions(TypedDict, total=False):
    """How an `Asker` is made: what is not given is as in `Asker.__init__`."""

    limits: Limits | None
    policy: FetchPolicy | None
    guard: Guard | None
    connect_to: Iterable[ConnectTo]
    resolver: AbstractResolver | None
    transport: httpx.AsyncBaseTransport | None
    respect_robots: bool
    respect_robots_tag: bool
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    rng: random.Random | None


class HttpClient:
    """Asks servers; use as `async with Asker(...) as asker`. The base of those that make something of the answers.

    `clock` is in seconds since the epoch, `monotonic` paces requests. `transport` is an httpx transport to go through,
    given in tests: then guard, connect_to and resolver have no say, for they live in the real one. `respect_robots`
    asks each origin for its robots.txt before its first image; `respect_robots_tag` refuses what X-Robots-Tag asks not
    to keep. `statistics` tells what the run has cost.
    """

    spares_httpx: ClassVar[bool] = False  # its Request and Response cost 0.15 ms a request, which only an audit feels

    def __init__(
        self,
        *,
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
        self._room = descriptors.room(self._policy.concurrency)
        policy = msgspec.structs.replace(self._policy, concurrency=self._room.at_once)
        self._politeness = Politeness(policy, clock=monotonic, sleep=sleep)
        self._robots = self._robots_txt() if respect_robots else None
        self._respects_tag = respect_robots_tag
        self._carrier: RequestSender | None = None

    async def __aenter__(self) -> Self:
        transport = self._given or Transport(
            guard=self._guard,
            limits=self._limits,
            connect_to=self._connect_to,
            resolver=self._resolver,
            idle=self._room.idle,
        )
        if self.spares_httpx and isinstance(transport, Transport):
            self._carrier = transport
        else:
            self._carrier = OverHttpx(transport)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._carrier is not None:
            await self._carrier.close()
            self._carrier = None

    async def ask(self, url: str, more: Mapping[str, str], read: Read[T], spent: HostStatistics | None = None) -> T:
        """What `read` makes of the answer to `url`, a `request_url`; `more` are header fields beside the usual ones.

        `spent` counts refusals, time-outs and the wait for retries.

        Raises:
            ImageError: whatever went wrong; nothing else but CancelledError and what `read` raises leaves here.
        """
        earlier: ImageError | None = None
        for attempt in itertools.count(1):
            try:
                return await self._attempt(url, more, read)
            except ImageError as error:
                _count(error, spent)
                if (wait := self._delay(attempt, error)) is None:
                    if earlier is not None and isinstance(error, HostDown):
                        raise earlier from earlier.__cause__  # it was asked: what it met says more
                    raise
                earlier = error.with_traceback(None)  # which would hold this frame, and it the error
                logger.debug("%s: %s; again in %.1f s", redact(url), error.message, wait)
            if spent is not None:
                spent.waited += wait
            await self._sleep(wait)
        raise AssertionError("itertools.count ended")

    def check_robots_tag(self, headers: MultiMapping[str]) -> None:
        """Raise Robots where X-Robots-Tag asks not to keep the image, and that is to be respected."""
        if not self._respects_tag:
            return
        rule = forbidden_by(headers.getall("x-robots-tag", ()), product(self._headers["User-Agent"]))
        if rule is not None:
            raise Robots(
                f"the server asks not to keep this image (X-Robots-Tag: {rule}); use another, or set"
                " respect_robots_tag: false if its owner agrees"
            )

    async def refusal(self, reply: Response) -> HttpStatus:
        """The error that says what a status other than the image's means; reads a little of the page that came."""
        return _refusal(reply, self._clock(), await walls.before(reply))

    # -- requests ----------------------------------------------------------------------------------------------------

    def _delay(self, attempt: int, error: ImageError) -> float | None:
        return retry.delay(attempt, error, retries=self._policy.retries, rng=self._rng)

    def _robots_txt(self) -> RobotsTxt:
        headers = self._headers | {"Accept": fields.ACCEPT_TEXT}

        async def ask(url: str, left: float) -> bytes | str:
            host = split_url(url)[1]
            trail = RequestTrace(url, self.statistics.host(host))
            return await self._hop(host, headers, left, trail, _read_robots(self._clock))

        return RobotsTxt(
            user_agent=self._headers["User-Agent"],
            ask=ask,
            politeness=self._politeness,
            total=self._limits.total,
            delay=self._delay,
            sleep=self._sleep,
        )

    async def _attempt(self, url: str, more: Mapping[str, str], read: Read[T]) -> T:
        """Follow redirects to the image; `limits.total` is for all hops together, waiting for slots not counted."""
        seen, headers = {url}, {**self._headers, **more}
        host = split_url(url)[1]
        trail = RequestTrace(url, self.statistics.host(host))

        async def decide(reply: Response, trail: RequestTrace) -> T | Hop:
            trail.note(reply)
            if reply.status in REDIRECTS:
                return Hop(reply.status, _location(reply, trail.url))
            return await read(reply, trail)

        while True:
            if self._robots is not None:
                await self._robots.check(trail.url)
            async with self._politeness.turn(host):
                answer = await self._hop(host, headers, self._limits.total - trail.seconds, trail, decide)
            if not isinstance(answer, Hop):
                return answer
            trail.hops.append(answer)
            self._check_circle(answer.url, seen)
            trail.url, host = answer.url, split_url(answer.url)[1]
            trail.line = self.statistics.host(host)

    def _check_circle(self, url: str, seen: set[str]) -> None:
        if url in seen:
            raise BadRedirect(f"the redirects lead in a circle, back to {redact(url)}")
        if len(seen) > self._limits.redirects:
            raise BadRedirect(f"more than {plural(self._limits.redirects, 'redirect')} (limits.redirects)")
        seen.add(url)

    async def _hop(self, host: str, headers: Mapping[str, str], left: float, trail: RequestTrace, read: Read[T]) -> T:
        """One request and its answer, within `left` seconds; whatever a transport raises becomes an ImageError."""
        if self._carrier is None:
            raise RuntimeError("use it inside `async with`")
        line, reply = trail.line, None
        line.requests += 1
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0.0)) as deadline:
                reply = await self._carrier.ask(trail.url, headers)
                try:
                    return await read(reply, trail)
                finally:
                    await reply.close()
        except ImageError:
            line.failures += 1
            raise
        except NETWORK_ERRORS as error:
            line.failures += 1
            if deadline.expired():
                raise self._too_slow(host, reply.received if reply else 0) from error
            raise classify(error, host) from error
        finally:
            took = time.monotonic() - started
            line.seconds += took
            trail.seconds += took

    def _too_slow(self, host: str, received: int) -> FetchTimeout:
        limit = self._limits.total
        text = f"{clean_text(host, 80)}: the transfer was not complete after {limit:g} s (limits.total)"
        return FetchTimeout(text) if received > DRIP * limit else Stalled(f"{text}, {received:,} bytes came")


def _count(error: ImageError, spent: HostStatistics | None) -> None:
    if spent is not None:
        spent.busy += isinstance(error, HttpStatus) and error.status in BUSY
        spent.timeouts += isinstance(error, FetchTimeout)


def _read_robots(clock: Callable[[], float]) -> Read[bytes | str]:
    """Reads a robots.txt, or where it has gone to."""

    async def read(reply: Response, trail: RequestTrace) -> bytes | str:
        if reply.status in REDIRECTS:
            return _location(reply, trail.url)
        if 200 <= reply.status < 300:
            return await body.first_lines(reply, most=LARGEST, statistics=trail.line)
        raise _refusal(reply, clock())

    return read


def _location(reply: Response, url: str) -> str:
    location = reply.headers.get("location")
    if not location:
        raise BadRedirect(f"status {reply.status} without a Location")
    return join_url(url, location)


def _refusal(reply: Response, now: float, wall: str | None = None) -> HttpStatus:
    by = f", from a bot wall ({wall})" if wall else ""
    return HttpStatus(
        f"the server answered {reply.status} {clean_text(httpx.codes.get_reason_phrase(reply.status), 60)}".rstrip()
        + by,
        reply.status,
        wall=wall,
        retry_after=retry.retry_after(reply.headers.get("retry-after"), now),
    )
