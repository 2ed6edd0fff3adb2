"""The downloader: one URL -> one whole body in a temporary file, or the reason why not.

A fetch goes through retry -> hops (redirects by hand) -> politeness -> transport -> body; each of them is a file in
`imgcache.net`. A slot is held for one hop only: neither a redirect's next hop nor the wait before a retry keeps it.
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
from typing import Self

import httpx
import msgspec
from aiohttp.abc import AbstractResolver

from imgcache import __version__
from imgcache.errors import BadRedirect, ConfigError, FetchTimeout, HttpStatus, ImageError
from imgcache.models import Fetched, FetchPolicy, Limits, NotModified, Validators
from imgcache.net import body, retry
from imgcache.net.connect_to import ConnectTo
from imgcache.net.failures import NETWORK_ERRORS, classify
from imgcache.net.guard import Guard
from imgcache.net.inflight import Answer, InFlight
from imgcache.net.politeness import Politeness
from imgcache.net.statistics import HostStatistics, Statistics
from imgcache.net.transport import Transport
from imgcache.urls import clean, join, redact, request_url, split

ACCEPT = "image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.8"
WHOLE = frozenset({200, 203})  # 203: the same, by way of a proxy that changed it (RFC 9110, section 15.3.4)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_VALIDATOR = 1024  # characters; a longer one is not kept

logger = logging.getLogger(__name__)


class _Next(msgspec.Struct, frozen=True, gc=False):
    """A redirect's target."""

    url: str


class Downloader:
    """Fetches images; use as `async with Downloader(...) as downloader`.

    `folder` takes the temporary files and must exist; `sniff` names the format of first bytes; `clock` is in seconds
    since the epoch, `monotonic` paces requests. `transport` is the innermost httpx transport, given in tests: then
    guard, connect_to and resolver have no say, for they live in the real one. `statistics` tells what the run has cost.
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
        self._headers = _headers(self._policy.user_agent)
        self._politeness = Politeness(self._policy, clock=monotonic, sleep=sleep)
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
        sent = _printable(validators or Validators())
        return await self._in_flight.share((target, sent), lambda: self._with_retries(target, sent))

    async def _with_retries(self, url: str, validators: Validators) -> Answer:
        for attempt in itertools.count(1):
            try:
                return await self._attempt(url, validators)
            except ImageError as error:
                wait = retry.delay(attempt, error, retries=self._policy.retries, rng=self._rng)
                if wait is None:
                    raise
                logger.debug("%s: %s; again in %.1f s", redact(url), error.message, wait)
            await self._sleep(wait)
        raise AssertionError("itertools.count ended")

    async def _attempt(self, first: str, validators: Validators) -> Answer:
        """Follow redirects to the image; `limits.total` is for all hops together, waiting for slots not counted."""
        url, seen, left = first, {first}, self._limits.total
        while True:
            async with self._politeness.turn(split(url)[1]):
                started = time.monotonic()
                answer = await self._hop(url, first, validators, left)
                left -= time.monotonic() - started
            if not isinstance(answer, _Next):
                return answer
            url = answer.url
            if url in seen:
                raise BadRedirect(f"the redirects lead in a circle, back to {redact(url)}")
            if len(seen) > self._limits.redirects:
                raise BadRedirect(f"more than {self._limits.redirects} redirects (limits.redirects)")
            seen.add(url)

    async def _hop(self, url: str, first: str, validators: Validators, left: float) -> Answer | _Next:
        """One request and its answer, within `left` seconds; whatever a transport raises becomes an ImageError."""
        host = split(url)[1]
        line = self.statistics.host(host)
        line.requests += 1
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0.0)) as deadline:
                response = await self._send(url, validators)
                try:
                    return await self._read(response, url, first, validators, line)
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

    async def _send(self, url: str, validators: Validators) -> httpx.Response:
        if self._transport is None:
            raise RuntimeError("use the downloader inside `async with`")
        headers = self._headers.copy()
        if validators.etag is not None:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified is not None:
            headers["If-Modified-Since"] = validators.last_modified
        return await self._transport.handle_async_request(httpx.Request("GET", url, headers=headers))

    async def _read(
        self, response: httpx.Response, url: str, first: str, validators: Validators, line: HostStatistics
    ) -> Answer | _Next:
        """Decide by the status (RFC 9110, section 15); only a whole representation is read."""
        status, headers = response.status_code, response.headers
        if status in WHOLE:
            saved = await body.save(
                response, folder=self._folder, cap=self._limits.bytes, sniff=self._sniff, statistics=line
            )
            return Fetched(
                path=saved.path,
                digest=saved.digest,
                bytes=saved.bytes,
                format=saved.format,
                validators=_validators(headers),
                final_url=None if url == first else url,
                robots_tag=_robots_tag(headers),
            )
        if status == 304 and validators != Validators():
            fresh = _validators(headers)
            return NotModified(
                Validators(fresh.etag or validators.etag, fresh.last_modified or validators.last_modified)
            )
        if status in REDIRECTS:
            location = headers.get("location")
            if not location:
                raise BadRedirect(f"status {status} without a Location")
            return _Next(join(url, location))
        raise HttpStatus(
            f"the server answered {status} {clean(httpx.codes.get_reason_phrase(status), 60)}".rstrip(),
            status,
            retry_after=retry.retry_after(headers.get("retry-after"), self._clock()),
        )


def _headers(user_agent: str) -> dict[str, str]:
    """What every request says. `identity`: without it a server may choose any coding (RFC 9110, section 12.5.3)."""
    agent = user_agent or f"imgcache/{__version__}"
    if not (agent.isascii() and agent.isprintable()):
        raise ConfigError(f"{clean(agent, 60)} does not fit into a header: use printable ASCII", where="user_agent")
    return {"User-Agent": agent, "Accept": ACCEPT, "Accept-Encoding": "identity"}


def _printable(validators: Validators) -> Validators:
    """Validators are a server's words: those that do not fit into a header are dropped, never sent."""

    def fits(text: str | None) -> str | None:
        good = text and len(text) <= LONGEST_VALIDATOR and text.isascii() and text.isprintable()
        return text if good else None

    return Validators(fits(validators.etag), fits(validators.last_modified))


def _validators(headers: httpx.Headers) -> Validators:
    return _printable(Validators(headers.get("etag"), headers.get("last-modified")))


def _robots_tag(headers: httpx.Headers) -> str | None:
    value = headers.get("x-robots-tag")
    return clean(value, 500) if value else None
