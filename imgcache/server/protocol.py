"""uvicorn's protocol with two additions: an end to what one client may send, and a short way for what is in memory.

The short way answers a plain GET from the parser's callback: no task, no scope, no timer, one write. It cuts the time
of such an answer to a third. Whatever is conditional, has a body, is pipelined behind another answer or meets a slow
reader goes uvicorn's way. Limit: it leans on names inside uvicorn's HttpToolsProtocol, which `tests/test_serve.py`
exercises.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from imgcache.server.endpoint import Endpoint

MAX_HEAD = 131_072  # bytes of request line and fields
HEAD_WITHIN = 30.0  # seconds from the first byte, or from the connection, to the end of the fields
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_NOT_PLAIN = frozenset(
    b"content-length transfer-encoding expect upgrade range if-range if-match if-none-match if-modified-since"
    b" if-unmodified-since".split()
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection: a head that is too large (RFC 6585, section 5) or too slow ends it."""

    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _is_answered = False
    _heard_at = 0.0  # on the loop's clock

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """The clock begins to run."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_WITHIN, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._disarm()
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the fields end; a head that came in part has to be whole in time."""
        self._head_bytes += len(data)
        self._heard_at = self.loop.time()
        super().data_received(data)
        if not self._head_bytes or self.transport.is_closing():
            return
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_WITHIN, self._give_up)
        if self._head_bytes > MAX_HEAD:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins. Its scope is made when it is handed on: the short way needs none."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """The head is whole: answer at once, or hand it on."""
        self._head_bytes = 0
        self._disarm()
        self._is_answered = self._answer_at_once()
        if not self._is_answered:
            read = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.headers, self.expect_100_continue = read
            self.scope["headers"] = self.headers
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A body is no part of the head; nothing here reads one."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._head_bytes = 0
        if not self._is_answered:
            super().on_message_complete()
            return
        self.server_state.total_requests += 1
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """An answer that went uvicorn's way is complete."""
        self._stop_waiting()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing happens; one timer does for all requests that came meanwhile."""
        self.timeout_keep_alive_task = None
        if self._head_bytes or not self._is_idle:
            return  # the end of that request sets a timer
        left = self._heard_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        """What is heard is noted, and the timer looks at that when it ends."""

    def _stop_waiting(self) -> None:
        super()._unset_keepalive_if_required()

    @property
    def _is_idle(self) -> bool:
        before: RequestResponseCycle | None = self.cycle  # None before the first, whatever uvicorn's types say
        return not self.pipeline and (before is None or before.response_complete)

    def _answer_at_once(self) -> bool:
        if not self._is_idle or self.flow.write_paused or not isinstance(self.app, Endpoint) or not self._is_plain():
            return False
        accepted = [value.decode("latin-1") for name, value in self.headers if name == b"accept"]
        found = self.app.at_hand(self.url, ", ".join(accepted) if accepted else None)
        if found is None:
            return False
        head, body = found
        date = b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
        self.transport.writelines((b"HTTP/1.1 200 OK\r\n", date, head, b"\r\n", body))
        return True

    def _is_plain(self) -> bool:
        parser: httptools.HttpRequestParser = self.parser
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        names = [name for name, _ in self.headers]
        return names.count(b"host") == 1 and _NOT_PLAIN.isdisjoint(names)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, *_: Any) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
