"""Requests by way of an httpx transport: the usual way, and the seam at which tests put another network."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from imgcache.downloader.http.response import RequestSender, Response, readable


class OverHttpx(RequestSender):
    """Asks through `transport`, which must be an asynchronous one."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def ask(self, url: str, headers: Mapping[str, str]) -> Response:
        """Send a GET. Raises what the transport raises, and httpx.InvalidURL."""
        return _Reply(await self._transport.handle_async_request(httpx.Request("GET", url, headers=dict(headers))))

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class _Reply(Response):
    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = readable(response.headers.raw)
        self._stream = response.stream
        self._pieces = aiter(self._stream)  # type: ignore[arg-type]  # an asynchronous transport's is asynchronous
        self._left = b""

    async def piece(self, most: int | None = None) -> bytes:
        while not self._left:
            try:
                self._left = await anext(self._pieces)
            except StopAsyncIteration:
                return b""
            self.received += len(self._left)
        taken, self._left = (self._left, b"") if most is None else (self._left[:most], self._left[most:])
        return taken

    async def close(self) -> None:
        await self._stream.aclose()  # type: ignore[union-attr]  # likewise
