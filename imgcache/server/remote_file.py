"""A file of an object store that is too large for the memory: read in pieces, or fetched from there by the client."""

from __future__ import annotations

import logging

from imgcache.server.upstream import Unavailable, Upstream

SIGNED_FOR = 60.0  # seconds for which a redirect is good; the download that it begins may take longer
_logger = logging.getLogger("imgcache.server")


class RemoteFile:
    """One file while it is sent. Every piece is a request of its own, so that a slow client keeps none of them open.

    Limit: a damaged file that is mended meanwhile comes half old, half new; files are else never changed.
    """

    piece = 524_288  # bytes; a client that reads slowly keeps one of them in memory

    def __init__(self, upstream: Upstream, path: str, *, redirects: bool) -> None:
        """`path` is relative to the cache; `redirects`: the client is to fetch it from the store itself."""
        self._upstream = upstream
        self._path = path
        self._redirects = redirects

    async def read(self, start: int, length: int) -> bytes:
        """So many bytes. Raises Unavailable, also where the file has gone or is shorter by now."""
        data = await self._upstream.ask(self._upstream.store.read, self._path, start, start + length)
        if data is None or len(data) != length:
            _logger.warning("%s has changed in the object store while it was sent", self._path)
            raise Unavailable(f"{self._path} has changed in the object store")
        return data

    async def location(self) -> str | None:
        """A URL that the client may fetch it from for a minute; None where it is streamed. Raises Unavailable."""
        if not self._redirects:
            return None
        return await self._upstream.ask(self._upstream.store.signed_url, self._path, SIGNED_FOR)
