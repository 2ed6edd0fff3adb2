"""uvicorn's protocol with two additions: limits on what one client may send, and a short way for what is in memory.

The short way answers a plain GET from the parser's callback: no task, no scope, no timer, one write. It cuts the time
of such an answer to a third. Whatever is conditional, has a body, is pipelined behind another answer or meets a slow
reader goes uvicorn's way. `imgcache.server.admission` decides for both what is refused.

Limit: it uses names inside uvicorn's HttpToolsProtocol, which `imgcache.server.uvicorn_parts` looks for at the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from imgcache.server.endpoint import Endpoint
from imgcache.server.request_fields import RequestFields

MAX_HEAD = 131_072  # bytes of request line and fields
HEAD_WITHIN = 30.0  # seconds from the first byte, or from the connection, to the end of the fields
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_END_OF_HEAD = b"\r\n\r\n"


class _Flow(FlowControl):
    """uvicorn's flow control, which reads on whenever an application waits for its client; not so while it is held."""

    is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A head that is too large (RFC 6585, section 5) or too slow ends it. What is pipelined behind a request is parsed
    when that is answered: until then it stays in one buffer of at most one read from the socket (256 KB with uvloop),
    and nothing more is read. So an error, too, goes out after the answers before it (RFC 9112, section 9.3.2).
    """

    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _heard_at = 0.0  # on the loop's clock
    _unread = b""
    _at = 0  # how much of `_unread` is parsed
    _is_in_head = False
    _is_in_message = False
    _is_answered = False
    _is_handed_on = False  # the request that is parsed has its cycle
    _before: RequestResponseCycle | None = None  # the request before the one that is parsed
    _last_words: Callable[[], None] | None = None  # said when the answers under way are complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """The clock begins to run."""
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)
        self._deadline = self.loop.call_later(HEAD_WITHIN, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._disarm()
        self._stop_waiting()
        self._unread, self._at, self._last_words = b"", 0, None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, as far as nothing that came before is still to be answered."""
        self._heard_at = self.loop.time()
        if self._last_words is not None:
            return
        self._unread, self._at = self._unread[self._at :] + data if self._unread else data, 0
        self._read_on()

    def on_message_begin(self) -> None:
        """A request begins. Its scope is made when it is handed on: the short way needs none."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._is_in_head = self._is_in_message = True
        self._is_handed_on = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; those behind a body are passed over (RFC 9110, section 6.5.1)."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: answer at once, or hand it on."""
        self._head_bytes = 0
        self._is_in_head = False
        self._disarm()
        self._is_answered = self._answer_at_once()
        if not self._is_answered:
            self._before = self.cycle
            read = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.headers, self.expect_100_continue = read
            self.scope["headers"] = self.headers
            super().on_headers_complete()
            self._is_handed_on = True

    def on_body(self, body: bytes) -> None:
        """A body is no part of the head; nothing here reads one."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._head_bytes = 0
        self._is_in_message = False
        if not self._is_answered:
            super().on_message_complete()
            return
        self.server_state.total_requests += 1
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """An answer that went uvicorn's way is complete: what was pipelined behind it is next."""
        self._stop_waiting()
        super().on_response_complete()
        if self._last_words is None:
            self._read_on()
        elif self._is_idle:
            self._last_words()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, also behind a good head, unless an answer to that is already on its way."""
        if self._is_in_message and self._is_handed_on:
            if self.cycle.response_started:
                self._end(self.transport.close)
                return
            self._withdraw()
        self._end(lambda: super(BoundedProtocol, self).send_400_response(msg))

    def _withdraw(self) -> None:
        """Give no answer to the request whose body is being parsed."""
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        self.cycle.disconnected = True  # so that what the application sends goes nowhere
        self.cycle.message_event.set()
        self.cycle = self._before  # type: ignore[assignment]  # None before the first, whatever uvicorn's types say

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing happens; one timer does for all requests that came since it was set."""
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

    def _read_on(self) -> None:
        """Parse what has come, up to one end of a head at a time; stop where the next request has to wait."""
        data, at = self._unread, self._at
        while at < len(data) and (self._is_in_message or self._is_idle) and not self.transport.is_closing():
            found = data.find(_END_OF_HEAD, at)
            end = found + len(_END_OF_HEAD) if found >= 0 else len(data)
            self._parse(data[at:end])
            at = end
            if self._last_words is not None:
                return
        if self.transport.is_closing():
            return
        is_waiting = at < len(data)
        self._unread, self._at = (data, at) if is_waiting else (b"", 0)
        if is_waiting != self._flow.is_held:
            self._flow.is_held = is_waiting
            if is_waiting:
                self._flow.pause_reading()
            else:
                self._flow.resume_reading()

    def _parse(self, data: bytes) -> None:
        """Count what comes before the fields end; a head that came in part has to be whole in time."""
        self._head_bytes += len(data)
        super().data_received(data)
        if not self._head_bytes or self.transport.is_closing() or self._last_words is not None:
            return
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_WITHIN, self._give_up)
        if self._head_bytes > MAX_HEAD:
            self._end(self._refuse_large_head)

    def _refuse_large_head(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _end(self, say: Callable[[], None]) -> None:
        """Read nothing more; `say`, which closes the connection, after the answers under way."""
        self._unread, self._at = b"", 0
        self._disarm()
        if self._is_idle:
            say()
            return
        self._last_words = say
        self._flow.is_held = True
        self._flow.pause_reading()

    def _answer_at_once(self) -> bool:
        parser: httptools.HttpRequestParser = self.parser
        if not isinstance(self.app, Endpoint) or not self._is_idle or self.flow.write_paused:
            return False
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        found = self.app.at_hand(self.url, RequestFields.of("GET", self.headers))
        if found is None:
            return False
        head, body = found
        date = b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
        self.transport.writelines((b"HTTP/1.1 200 OK\r\n", date, head, b"\r\n", body))
        return True

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, *_: Any) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
