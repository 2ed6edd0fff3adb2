"""A representation that can be sent whole or in parts: its bytes or its open file, entity tag and headers."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

Headers = tuple[tuple[bytes, bytes], ...]

# On every response that a browser could open as a document: no script runs, and no type is guessed.
SAFE: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
# Pages of other origins may show an image and read it into a canvas (Fetch, sections 3.2 and 3.7).
SHARED: Headers = ((b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin"))


class BodySource(Protocol):
    """The source of the bytes of a body while it is sent."""

    @property
    def piece(self) -> int:
        """Bytes to read at once."""
        ...

    def read(self, start: int, length: int) -> Awaitable[bytes]:
        """Returns at most `length` bytes, none at the end. Raises OSError, Unavailable."""
        ...

    async def location(self) -> str | None:
        """Returns a URL that the client should be redirected to; None where the body is sent. Raises Unavailable."""
        ...


class Body:
    """One representation.

    Attributes:
        size: in bytes.
        etag: strong, in quotes.
        headers: those of every response with it, whatever the route.
        data: all bytes, if they are in memory.
        file: the source of the bytes otherwise.
    """

    __slots__ = ("_heads", "_with_more", "data", "etag", "file", "headers", "size")

    def __init__(self, *, size: int, etag: str, headers: Headers, data: bytes | None, file: BodySource | None) -> None:
        self.size = size
        self.etag = etag
        self.headers = (*headers, (b"etag", etag.encode()), (b"accept-ranges", b"bytes"))
        self.data = data
        self.file = file
        self._with_more: dict[Headers, Headers] = {}
        self._heads: dict[Headers, bytes] = {}

    def headers_with(self, more: Headers) -> Headers:
        """Returns the headers of a full response, with those of its route. `more` is one of a few constants."""
        found = self._with_more.get(more)
        if found is None:
            found = (*self.headers, (b"content-length", b"%d" % self.size), *more)
            self._with_more[more] = found
        return found

    def head_with(self, more: Headers) -> bytes:
        """Returns the same as bytes of HTTP/1.1, without the status line and the empty line at the end."""
        found = self._heads.get(more)
        if found is None:
            found = b"".join(b"%s: %s\r\n" % pair for pair in self.headers_with(more))
            self._heads[more] = found
        return found
