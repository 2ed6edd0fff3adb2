"""The HTTP client for images: a stack of small layers, each of which holds the next, assembled by `build_client`.

    HttpClient      an image URL, and what to do with its response
    Retrying        repeats what may pass
    Redirects       follows redirects, checks robots.txt
    PoliteExchange  waits for the host's turn; requests for robots.txt enter here
    Exchange        time limit, statistics, errors
    RequestSender   httpx, over a transport whose guard checks every socket

The callers decide what is read of a response: the downloader saves it whole, the prober reads its beginning.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Self, TypedDict, TypeVar, Unpack

import msgspec
from aiohttp.abc import AbstractResolver
from multidict import MultiMapping

from imgcache.core import FetchPolicy, HttpStatus, ImageError, Limits, Robots, descriptors
from imgcache.downloader.http import bot_walls, retry
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.connect_to import ConnectTo
from imgcache.downloader.http.error_mapping import status_error
from imgcache.downloader.http.exchange import Exchange, PoliteExchange, Read
from imgcache.downloader.http.guard import Guard
from imgcache.downloader.http.politeness import Politeness
from imgcache.downloader.http.redirects import Redirects
from imgcache.downloader.http.retrying import Retrying
from imgcache.downloader.http.robots import RobotsTxt
from imgcache.downloader.http.robots_rules import product_token
from imgcache.downloader.http.robots_tag import forbidden_by
from imgcache.downloader.http.statistics import HostStatistics, Statistics
from imgcache.downloader.http.transport import GuardedTransport, RequestSender, Response, Transport

WHOLE = frozenset({200, 203})  # 203: as 200, but changed by a proxy (RFC 9110, section 15.3.4)

T = TypeVar("T")


class ClientOptions(TypedDict, total=False):
    """The options of `build_client`."""

    limits: Limits
    policy: FetchPolicy
    guard: Guard
    connect_to: Iterable[ConnectTo]
    resolver: AbstractResolver | None
    transport: Transport | None
    respect_robots: bool
    respect_robots_tag: bool
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    rng: random.Random


class HttpClient:
    """Requests images; use as `async with build_client(...) as client`.

    Attributes:
        limits: the limits of this run.
        statistics: the requests of this run so far, by host.
    """

    def __init__(
        self,
        retrying: Retrying,
        sender: RequestSender,
        *,
        limits: Limits,
        statistics: Statistics,
        headers: Mapping[str, str],
        respect_robots_tag: bool,
        clock: Callable[[], float],
    ) -> None:
        self.limits = limits
        self.statistics = statistics
        self._retrying = retrying
        self._sender = sender
        self._headers = headers
        self._respect_robots_tag = respect_robots_tag
        self._clock = clock

    async def __aenter__(self) -> Self:
        self._sender.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sender.close()

    async def get(self, url: str, headers: Mapping[str, str], read: Read[T], spent: HostStatistics | None = None) -> T:
        """Request `url` and return what `read` makes of the final response.

        Args:
            url: a `request_url`.
            headers: fields beside those of every request.
            read: reads the response; it is called again for each attempt.
            spent: counts refusals, time-outs and the wait for retries.

        Raises:
            ImageError: every failure. Only CancelledError and other exceptions of `read` are raised beside it.
        """
        return await self._retrying.send(url, {**self._headers, **headers}, read, spent or HostStatistics())

    def check_robots_tag(self, headers: MultiMapping[str]) -> None:
        """Raise Robots where X-Robots-Tag forbids to keep the image, and that is to be respected."""
        if not self._respect_robots_tag:
            return
        rule = forbidden_by(headers.getall("x-robots-tag", ()), product_token(self._headers["User-Agent"]))
        if rule is not None:
            raise Robots(
                f"the server asks not to keep this image (X-Robots-Tag: {rule}); use another, or set"
                " respect_robots_tag: false if its owner agrees"
            )

    async def status_error(self, response: Response) -> HttpStatus:
        """Return the error for a status that is not the image's; reads a little of the body to name a bot wall."""
        bot_wall = await bot_walls.identify(response)
        return status_error(response.status, response.headers.get("retry-after"), self._clock(), bot_wall)


def build_client(**options: Unpack[ClientOptions]) -> HttpClient:
    """Assemble a client.

    Args:
        **options: all optional. `guard` decides which addresses may be connected to; `connect_to` redirects
            connections, `resolver` replaces DNS. `transport` replaces the network in tests: `guard`, `connect_to` and
            `resolver` then have no effect, because they belong to the real one. `respect_robots` obeys robots.txt,
            `respect_robots_tag` refuses images whose X-Robots-Tag forbids to keep them. `clock` is in seconds since
            the epoch, `monotonic` paces requests, `rng` is for jitter.

    Raises:
        ConfigError: the user agent cannot be sent.
    """
    limits = options.get("limits") or Limits()
    policy = options.get("policy") or FetchPolicy()
    clock, sleep = options.get("clock", time.time), options.get("sleep", asyncio.sleep)
    rng = options.get("rng") or random.Random()  # noqa: S311 - jitter, no secret
    headers = fields.request_headers(policy.user_agent)
    available = descriptors.connection_limits(policy.concurrency)

    def make_transport() -> Transport:
        return options.get("transport") or GuardedTransport(
            guard=options.get("guard") or Guard(),
            limits=limits,
            connect_to=options.get("connect_to", ()),
            resolver=options.get("resolver"),
            idle=available.idle,
        )

    def delay(attempt: int, error: ImageError) -> float | None:
        return retry.delay(attempt, error, retries=policy.retries, rng=rng)

    statistics = Statistics()
    politeness = Politeness(
        msgspec.structs.replace(policy, concurrency=available.requests),
        clock=options.get("monotonic", time.monotonic),
        sleep=sleep,
    )
    sender = RequestSender(make_transport)
    exchange = PoliteExchange(Exchange(sender, total=limits.total, statistics=statistics), politeness)
    robots = None
    if options.get("respect_robots", False):
        robots = RobotsTxt(exchange, headers=headers, politeness=politeness, delay=delay, sleep=sleep, clock=clock)
    return HttpClient(
        Retrying(Redirects(exchange, most=limits.redirects, robots=robots), delay=delay, sleep=sleep),
        sender,
        limits=limits,
        statistics=statistics,
        headers=headers,
        respect_robots_tag=options.get("respect_robots_tag", False),
        clock=clock,
    )
