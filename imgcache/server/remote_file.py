"""A file of an object store that is too large for memory: streamed in pieces, or downloaded by the client itself."""

from __future__ import annotations

import logging

from imgcache.server.upstream import Unavailable, Upstream

_SIGNED_FOR = 60.0  # seconds within which the client has to follow a redirect; the download may take longer
_logger = logging.getLogger("imgcache.server")


class RemoteFile:
    """One file. Every piece is a request of its own, so that a slow client holds no request open.

    Limit: if a damaged file is repaired while it is sent, the client gets old and new pieces. Other files never change.
    """

    def __init__(self, upstream: Upstream, path: str, *, redirects: bool, piece: int) -> None:
        """`path`: relative to the cache; `redirects`: clients download it from the store; `piece`: bytes."""
        self._upstream = upstream
        self._path = path
        self._redirects = redirects
        self.piece = piece

    async def read(self, start: int, length: int) -> bytes:
        """Returns `length` bytes. Raises Unavailable, also where the file has gone or become shorter."""
        data = await self._upstream.ask(self._upstream.store.read, self._path, start, start + length)
        if data is None or len(data) != length:
            _logger.warning("%s has changed in the object store while it was sent", self._path)
            raise Unavailable(f"{self._path} has changed in the object store")
        return data

    async def location(self) -> str | None:
        """Returns a URL that the client may download from; None where the file is streamed. Raises Unavailable."""
        if not self._redirects:
            return None
        return await self._upstream.ask(self._upstream.store.signed_url, self._path, _SIGNED_FOR)
