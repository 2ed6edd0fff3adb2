"""Follows redirects, one request at a time, so that each target is checked and takes its own host's turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from imgcache.core import BadRedirect, Hop, plural, redact
from imgcache.downloader.http.exchange import PoliteExchange, Read
from imgcache.downloader.http.header_fields import REDIRECTS, redirect_target
from imgcache.downloader.http.request_trace import RequestTrace
from imgcache.downloader.http.robots import RobotsTxt
from imgcache.downloader.http.transport import Response

T = TypeVar("T")


class Redirects:
    """Follows redirects to the final response.

    Args:
        most: the redirects that are followed for one URL, `limits.redirects`.
        robots: asked before each request; None where robots.txt is not respected.
    """

    def __init__(self, exchange: PoliteExchange, *, most: int, robots: RobotsTxt | None) -> None:
        self._exchange = exchange
        self._most = most
        self._robots = robots

    async def send(self, url: str, headers: Mapping[str, str], read: Read[T]) -> T:
        """Return what `read` makes of the first response that is not a redirect. Raises ImageError."""
        trace, seen = RequestTrace(url), {url}

        async def read_unless_redirect(response: Response, trace: RequestTrace) -> T | Hop:
            trace.record(response)
            if response.status in REDIRECTS:
                return Hop(response.status, redirect_target(response.status, response.headers, trace.url))
            return await read(response, trace)

        while True:
            if self._robots is not None:
                await self._robots.check(trace.url)
            result = await self._exchange.send(trace, headers, read_unless_redirect)
            if not isinstance(result, Hop):
                return result
            self._check(result.url, seen)
            trace.follow(result)

    def _check(self, url: str, seen: set[str]) -> None:
        if url in seen:
            raise BadRedirect(f"the redirects lead in a circle, back to {redact(url)}")
        if len(seen) > self._most:
            raise BadRedirect(f"more than {plural(self._most, 'redirect')} (limits.redirects)")
        seen.add(url)
