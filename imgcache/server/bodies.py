"""What can be sent whole or in parts: its bytes or its open file, its entity tag, its headers."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

Headers = tuple[tuple[bytes, bytes], ...]

# On every answer that a browser could be led to open as a document: nothing runs, and no type is guessed.
SAFE: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
# Pages elsewhere may show an image and read it into a canvas (Fetch, sections 3.2 and 3.7).
SHARED: Headers = ((b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin"))


class BodySource(Protocol):
    """Where the bytes of a body come from while it is sent."""

    @property
    def piece(self) -> int:
        """How many bytes are read at once."""
        ...

    def read(self, start: int, length: int) -> Awaitable[bytes]:
        """At most so many bytes, and none at the end. Raises OSError, Unavailable."""
        ...


class Body:
    """One representation.

    Attributes:
        size: in bytes.
        etag: strong, in quotes.
        headers: what every answer with it carries, whatever led to it.
        data: all of it, where it is kept in memory.
        file: else where they are read from.
    """

    __slots__ = ("_heads", "_varieties", "data", "etag", "file", "headers", "size")

    def __init__(self, *, size: int, etag: str, headers: Headers, data: bytes | None, file: BodySource | None) -> None:
        self.size = size
        self.etag = etag
        self.headers = (*headers, (b"etag", etag.encode()), (b"accept-ranges", b"bytes"))
        self.data = data
        self.file = file
        self._varieties: dict[Headers, Headers] = {}
        self._heads: dict[Headers, bytes] = {}

    def headers_with(self, more: Headers) -> Headers:
        """The headers of a whole answer, with those of the way that led to it. `more` is one of a few constants."""
        found = self._varieties.get(more)
        if found is None:
            found = (*self.headers, (b"content-length", b"%d" % self.size), *more)
            self._varieties[more] = found
        return found

    def head_with(self, more: Headers) -> bytes:
        """The same as it goes over the wire, but for the status line and the empty line at the end."""
        found = self._heads.get(more)
        if found is None:
            found = b"".join(b"%s: %s\r\n" % pair for pair in self.headers_with(more))
            self._heads[more] = found
        return found
