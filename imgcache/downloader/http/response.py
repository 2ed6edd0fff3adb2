"""The answer to one request, whoever carried it: its head, and its body for those who want it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from multidict import CIMultiDict, MultiMapping


class Response(ABC):
    """One response. `headers` have names in any case; `certificate_ends` is in seconds since the epoch, None over http.

    `received` counts the bytes of the body that came so far. Whoever gets one calls `close` in the end, on every path.
    """

    status: int
    headers: MultiMapping[str]
    certificate_ends: float | None = None
    received: int = 0

    @abstractmethod
    async def piece(self, most: int | None = None) -> bytes:
        """What has arrived of the body, at most `most` bytes; empty at its end. Raises as the transport does."""

    @abstractmethod
    async def close(self) -> None:
        """Give the connection back if the body has come to its end, else drop it."""


class RequestSender(ABC):
    """What takes a request to a server."""

    @abstractmethod
    async def ask(self, url: str, headers: Mapping[str, str]) -> Response:
        """Send a GET for a `request_url`; return as soon as the head of the answer is there."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""


def readable(raw: tuple[tuple[bytes, bytes], ...] | list[tuple[bytes, bytes]]) -> MultiMapping[str]:
    """Header fields as text: UTF-8 where all of them are, else Latin-1, so that no byte is lost."""
    for coding in ("utf-8", "latin-1"):
        try:
            return CIMultiDict((name.decode(coding), value.decode(coding)) for name, value in raw)
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 knows every byte")
