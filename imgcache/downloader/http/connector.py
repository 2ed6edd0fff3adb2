"""The connector: every socket is checked against the guard at the moment it is opened.

Nothing lies between the check and connect(2), so a name whose answer changes (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import contextvars
import errno
import functools
import os
import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError

from imgcache.core import MOST_IDLE, are_left
from imgcache.downloader.http.guard import Guard

MAX_INTERIM = 16  # 1xx responses before the final one; RFC 9110, section 15.2 sets no limit
DNS_TTL = 60  # seconds that an answer is used for further connections of this run
KEEPALIVE = 5.0  # seconds an idle connection is kept: a run meets thousands of hosts, and file descriptors are few

TRUSTED: contextvars.ContextVar[bool] = contextvars.ContextVar("trusted", default=False)
"""Whether the connection being opened goes where the operator said (`--connect-to`, a proxy). Closed by default; a
context variable, because it must travel into the tasks that race addresses and into nothing else."""


class AddressRefused(OSError):
    """The guard's no, as an OSError, so that the next address of the same name is tried."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, "address not allowed")  # the same text for all: aiohappyeyeballs then raises it
        self.address = address


class PublicFirstResolver(AbstractResolver):
    """Of a name's addresses those that the guard allows; all of them where it allows none, for the socket to refuse."""

    def __init__(self, inner: AbstractResolver, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """As the inner resolver, less the addresses that would be refused anyway."""
        name = host.rstrip(".")
        if name == "localhost" or name.endswith(
            ".localhost"
        ):  # this machine, whatever DNS says (RFC 6761, section 6.3)
            host = "localhost"
        try:
            found = await self._inner.resolve(host, port, family)
        except OSError as error:
            if not are_left():  # what getaddrinfo(3) then says differs between systems
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error
            raise
        if not found:  # aiohttp stumbles over an empty list
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        return [result for result in found if self._guard.allows(result["host"])] or found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


class Handler(ResponseHandler):
    """aiohttp's side of one connection, less patient in two places.

    aiohttp reads 1xx responses for as long as they come, and leaves the reader of a body waiting for its timeout when
    the chunked coding breaks after the head; both end at once here.
    """

    _interim = 0

    @functools.cached_property
    def certificate_ends(self) -> float | None:
        """Until when the server's certificate is good, in seconds since the epoch; None where there is none."""
        connection = self.transport and self.transport.get_extra_info("ssl_object")
        ends = connection and (connection.getpeercert() or {}).get("notAfter")
        return float(ssl.cert_time_to_seconds(ends)) if ends else None

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Fail this connection, and the body that is being read from it."""
        super().set_exception(exc, exc_cause or exc)
        if isinstance(exc, HttpProcessingError) and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError(exc.message), exc)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Queue one parsed response head."""
        if 100 <= data[0].code < 200:
            self._interim += 1
        else:
            self._interim = 0
        if self._interim <= MAX_INTERIM:
            super().feed_data(data, size)
        elif self.transport is not None:
            self.set_exception(BadHttpMessage(f"more than {MAX_INTERIM} interim (1xx) responses"))
            self.transport.abort()


class GuardedConnector(aiohttp.TCPConnector):
    """A TCPConnector that opens sockets only to addresses the guard allows, or to trusted ones.

    It has no limit of its own on those in use, which politeness decides; of those that wait for a next request it keeps
    `idle`, over all hosts together.
    """

    def __init__(
        self, guard: Guard, *, resolver: AbstractResolver | None, context: ssl.SSLContext, idle: int = MOST_IDLE
    ) -> None:
        self._guard = guard
        self._idle = idle
        super().__init__(
            resolver=PublicFirstResolver(resolver or aiohttp.ThreadedResolver(), guard),
            socket_factory=self._open,
            ssl=context,
            limit=0,
            ttl_dns_cache=DNS_TTL,
            keepalive_timeout=KEEPALIVE,
        )
        # The only way to give aiohttp a protocol of one's own; the test with a flood of 1xx fails if it moves.
        self._factory = functools.partial(Handler, loop=self._loop)  # type: ignore[assignment]  # partial is invariant

    def _open(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not TRUSTED.get() and not self._guard.allows(address[0]):
            raise AddressRefused(address[0])
        return socket.socket(family, kind, protocol)

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        """Take a connection back. aiohttp has no limit on those that wait; a test with many hosts fails if it moves."""
        super()._release(key, protocol, should_close=should_close)
        while sum(map(len, self._conns.values())) > self._idle:
            oldest = min(self._conns, key=lambda each: self._conns[each][0][1])
            self._conns[oldest].popleft()[0].close()
            if not self._conns[oldest]:
                del self._conns[oldest]
