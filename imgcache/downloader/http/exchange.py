"""One request and its response: limited in time, counted, with every failure as an ImageError; then in its host's turn.

`PoliteExchange` over `Exchange` over `RequestSender` is the way of every single request: of images, of redirect targets
and of robots.txt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from imgcache.core import FetchTimeout, ImageError, clean_text
from imgcache.downloader.http.error_mapping import NETWORK_ERRORS, Stalled, classify
from imgcache.downloader.http.politeness import Politeness
from imgcache.downloader.http.request_trace import RequestTrace
from imgcache.downloader.http.statistics import Statistics
from imgcache.downloader.http.transport import RequestSender, Response

MIN_BYTES_PER_SECOND = 1024  # below this average over a whole transfer, a host is taken to be broken and not slow

T = TypeVar("T")

Read = Callable[[Response, RequestTrace], Awaitable[T]]
"""Reads a response and returns a value; raises ImageError."""


class Exchange:
    """Sends one request and reads its response.

    Args:
        total: the seconds for a request and all its redirects, `limits.total`.
        statistics: counts the requests of each host.
    """

    def __init__(self, sender: RequestSender, *, total: float, statistics: Statistics) -> None:
        self._sender = sender
        self._total = total
        self._statistics = statistics

    async def send(self, trace: RequestTrace, headers: Mapping[str, str], read: Read[T]) -> T:
        """Request `trace.url` and return what `read` makes of the response, within the time that the trace has left.

        Raises:
            ImageError: every failure of the network, and what `read` raises.
        """
        statistics = trace.statistics = self._statistics.host(trace.host)
        statistics.requests += 1
        response: Response | None = None
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(self._total - trace.seconds, 0.0)) as deadline:
                response = await self._sender.send(trace.url, headers)
                try:
                    return await read(response, trace)
                finally:
                    await response.close()
        except ImageError:
            statistics.failures += 1
            raise
        except NETWORK_ERRORS as error:
            statistics.failures += 1
            if deadline.expired():
                raise self._too_slow(trace.host, response.received if response else 0) from error
            raise classify(error, trace.host) from error
        finally:
            seconds = time.monotonic() - started
            statistics.seconds += seconds
            trace.seconds += seconds

    def _too_slow(self, host: str, received: int) -> FetchTimeout:
        message = f"{clean_text(host, 80)}: the transfer was not complete after {self._total:g} s (limits.total)"
        if received > MIN_BYTES_PER_SECOND * self._total:
            return FetchTimeout(message)
        return Stalled(f"{message}, {received:,} bytes came")


class PoliteExchange:
    """Sends each request in its host's turn. The slot is held until the response has been read, and no longer."""

    def __init__(self, exchange: Exchange, politeness: Politeness) -> None:
        self._exchange = exchange
        self._politeness = politeness

    async def send(self, trace: RequestTrace, headers: Mapping[str, str], read: Read[T]) -> T:
        """Send as `Exchange.send` does. Raises HostDown where the host is not asked any more."""
        async with self._politeness.turn(trace.host):
            return await self._exchange.send(trace, headers, read)
