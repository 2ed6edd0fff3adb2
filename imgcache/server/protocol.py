"""uvicorn's HTTP protocol with two additions: limits on what one client may send, and a fast path for cached files.

The fast path answers a plain GET inside the parser's callback: no task, no ASGI scope, no timer, one write. That takes
a third of the time of the ASGI path. Requests that are conditional, have a body, wait behind another response or meet
a slow reader take the ASGI path. `imgcache.server.admission` decides for both paths which requests are refused.

Limit: it uses internal names of uvicorn's HttpToolsProtocol. `imgcache.server.uvicorn_parts` checks them at startup.
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
HEAD_TIMEOUT = 30.0  # seconds from the first byte, or from the connection, to the end of the fields
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_END_OF_HEAD = b"\r\n\r\n"


class _Flow(FlowControl):
    """uvicorn's flow control resumes reading whenever an application waits for its client; this one not if held."""

    is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A request head that is too large (RFC 6585, section 5) or too slow closes the connection. Pipelined requests are
    parsed one at a time, each after the response before it is complete. Until then their bytes wait in one buffer of
    at most one read from the socket (256 KB with uvloop), and the socket is not read. Error responses therefore follow
    the responses before them (RFC 9112, section 9.3.2).
    """

    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _last_read_at = 0.0  # on the loop's clock
    _unparsed = b""
    _position = 0  # how much of `_unparsed` is parsed already
    _is_in_head = False
    _is_in_message = False
    _is_answered = False
    _is_dispatched = False  # the request being parsed has its cycle
    _previous_cycle: RequestResponseCycle | None = None  # of the request before the one being parsed
    _final_response: Callable[[], None] | None = None  # sent after the responses in progress; closes the connection
    _default_headers: list[tuple[bytes, bytes]] | None = None  # those that `_default_lines` was made of
    _default_lines = b""
    _endpoint: Endpoint | None = None
    _last_headers: list[tuple[bytes, bytes]] | None = None  # those that `_fields` was made of
    _fields = RequestFields("GET")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the timeout of the first request head."""
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)
        self._endpoint = self.app if isinstance(self.app, Endpoint) else None
        self._deadline = self.loop.call_later(HEAD_TIMEOUT, self._close_on_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers and drop what was not parsed."""
        self._cancel_deadline()
        self._cancel_keep_alive_timer()
        self._unparsed, self._position, self._final_response = b"", 0, None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, up to the first request that has to wait for an earlier response."""
        self._last_read_at = self.loop.time()
        if self._final_response is not None:
            return
        if self._unparsed:
            data = self._unparsed[self._position :] + data
        elif data.find(_END_OF_HEAD) == len(data) - len(_END_OF_HEAD) and not self._is_in_message and self._is_idle:
            self._parse(data)  # the usual read: one head, and nothing waits
            return
        self._parse_available(data, 0)

    def on_message_begin(self) -> None:
        """Reset the state of one request. Its ASGI scope is made later, and only for the ASGI path."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._is_in_head = self._is_in_message = True
        self._is_dispatched = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a field of the head. Trailer fields are ignored (RFC 9110, section 6.5.1)."""
        if self._is_in_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Answer from memory, or hand the request to the application."""
        self._head_bytes = 0
        self._is_in_head = False
        if self._deadline is not None:
            self._cancel_deadline()
        self._is_answered = self._answer_from_memory()
        if not self._is_answered:
            self._previous_cycle = self.cycle
            url, headers = self.url, self.headers
            super().on_message_begin()
            self.url, self.headers, self.scope["headers"] = url, headers, headers
            expectations = (value.lower() for name, value in headers if name == b"expect")
            self.expect_100_continue = b"100-continue" in expectations
            super().on_headers_complete()
            self._is_dispatched = True

    def on_body(self, body: bytes) -> None:
        """Keep body bytes out of the count of the head."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Start the keep-alive timer if the request was answered from memory; else uvicorn does what is needed."""
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
        """Continue with the next pipelined request after a response of the ASGI path."""
        self._cancel_keep_alive_timer()
        super().on_response_complete()
        if self._final_response is None:
            self._parse_available(self._unparsed, self._position)
        elif self._is_idle:
            self._final_response()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed.

        If it is the body of a request that was dispatched, 400 replaces the response, unless that has started.
        """
        if self._is_in_message and self._is_dispatched:
            if self.cycle.response_started:
                self._finish(self.transport.close)
                return
            self._discard_cycle()
        self._finish(lambda: super(BoundedProtocol, self).send_400_response(msg))

    def _discard_cycle(self) -> None:
        """Suppress the response to the request whose body is being parsed."""
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        self.cycle.disconnected = True  # so that what the application sends is dropped
        self.cycle.message_event.set()
        self.cycle = self._previous_cycle  # type: ignore[assignment]  # None before the first, unlike uvicorn's types

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection. One timer serves all requests that came since it was set."""
        self.timeout_keep_alive_task = None
        if self._head_bytes or not self._is_idle:
            return  # the end of that request sets a timer
        left = self._last_read_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        """Do nothing on each read: the timer's handler compares with `_last_read_at` instead."""

    def _cancel_keep_alive_timer(self) -> None:
        super()._unset_keepalive_if_required()

    @property
    def _is_idle(self) -> bool:
        before: RequestResponseCycle | None = self.cycle  # None before the first, unlike uvicorn's types
        return not self.pipeline and (before is None or before.response_complete)

    def _parse_available(self, data: bytes, at: int) -> None:
        """Parse `data` from `at` on, one head at a time; keep the rest where the next request has to wait."""
        size, is_closing = len(data), self.transport.is_closing
        while at < size and (self._is_in_message or self._is_idle) and not is_closing():
            end = data.find(_END_OF_HEAD, at) + len(_END_OF_HEAD)
            if end < len(_END_OF_HEAD):
                end = size
            self._parse(data[at:end] if end - at < size else data)
            at = end
            if self._final_response is not None:
                return
        is_waiting = at < size
        if is_waiting and is_closing():
            return
        self._unparsed, self._position = (data, at) if is_waiting else (b"", 0)
        if is_waiting != self._flow.is_held:
            self._flow.is_held = is_waiting
            if is_waiting:
                self._flow.pause_reading()
            else:
                self._flow.resume_reading()

    def _parse(self, data: bytes) -> None:
        """Parse bytes up to at most one end of a head, within the limits on its size and its time."""
        self._head_bytes += len(data)
        super().data_received(data)
        if not self._head_bytes or self.transport.is_closing() or self._final_response is not None:
            return
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self._close_on_timeout)
        if self._head_bytes > MAX_HEAD:
            self._finish(self._refuse_large_head)

    def _refuse_large_head(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _finish(self, respond: Callable[[], None]) -> None:
        """Stop reading; call `respond`, which closes the connection, after the responses in progress."""
        self._unparsed, self._position = b"", 0
        self._cancel_deadline()
        if self._is_idle:
            respond()
            return
        self._final_response = respond
        self._flow.is_held = True
        self._flow.pause_reading()

    def _answer_from_memory(self) -> bool:
        parser: httptools.HttpRequestParser = self.parser
        if self._endpoint is None or not self._is_idle or self.flow.write_paused:
            return False
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        if self.headers != self._last_headers:  # the requests of one connection mostly have the same fields
            self._last_headers, self._fields = self.headers, RequestFields.of("GET", self.headers)
        found = self._endpoint.cached_response(self.url, self._fields)
        if found is None:
            return False
        head, body = found
        default = self.server_state.default_headers
        if default is not self._default_headers:  # uvicorn makes a new list each second
            self._default_headers = default
            self._default_lines = b"".join(b"%s: %s\r\n" % pair for pair in default)
        self.transport.writelines((b"HTTP/1.1 200 OK\r\n", self._default_lines, head, b"\r\n", body))
        return True

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_on_timeout(self, *_: Any) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
