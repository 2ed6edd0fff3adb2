"""Opens connections for aiohttp; the guard checks the address of every socket at the moment it is created.

Nothing happens between the check and connect(2), so DNS rebinding (a name whose address changes) is without effect.
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

from imgcache.core import MAX_IDLE_CONNECTIONS, can_open_files
from imgcache.downloader.http.guard import Guard

MAX_INTERIM = 16  # 1xx responses before the final one; RFC 9110, section 15.2 sets no limit
DNS_TTL = 60  # seconds for which a DNS answer is used
KEEPALIVE = 5.0  # seconds an idle connection is kept: a run meets thousands of hosts, and file descriptors are few

TRUSTED: contextvars.ContextVar[bool] = contextvars.ContextVar("trusted", default=False)
"""Whether the operator named the target of the connection being opened (`--connect-to`, a proxy); false by default.

A context variable, because only the tasks that connect for this request, racing its addresses, may see it.
"""


class AddressRefused(OSError):
    """The guard refused this address. An OSError, so that aiohttp tries the next address of the same name."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, "address not allowed")  # aiohappyeyeballs raises it if all texts are equal
        self.address = address


class PublicFirstResolver(AbstractResolver):
    """Removes addresses that the guard refuses; keeps all where it refuses all, so that the socket reports it."""

    def __init__(self, inner: AbstractResolver, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve `host` with the inner resolver."""
        name = host.rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            host = "localhost"  # always this machine; DNS is not asked (RFC 6761, section 6.3)
        try:
            found = await self._inner.resolve(host, port, family)
        except OSError as error:
            if not can_open_files():  # the error of getaddrinfo(3) differs between systems
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error
            raise
        if not found:  # aiohttp fails with an IndexError on an empty list
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        return [result for result in found if self._guard.allows(result["host"])] or found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


class GuardedHandler(ResponseHandler):
    """aiohttp's protocol for one connection, which fails at once in two cases.

    aiohttp reads any number of 1xx responses, and lets the reader of a body wait until its timeout when the chunked
    coding breaks after the head.
    """

    _interim = 0

    @functools.cached_property
    def certificate_ends(self) -> float | None:
        """When the server's certificate expires, in seconds since the epoch; None where there is none."""
        connection = self.transport and self.transport.get_extra_info("ssl_object")
        ends = connection and (connection.getpeercert() or {}).get("notAfter")
        return float(ssl.cert_time_to_seconds(ends)) if ends else None

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Fail this connection and the body that is being read from it."""
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
    """A TCPConnector that opens sockets only to addresses that the guard allows, or that the operator named.

    It does not limit the connections in use; politeness does.

    Args:
        guard: decides which addresses are allowed.
        resolver: None for the system's.
        context: for TLS.
        idle: the connections, to all hosts together, that are kept for a next request at most.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        resolver: AbstractResolver | None,
        context: ssl.SSLContext,
        idle: int = MAX_IDLE_CONNECTIONS,
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
        # The only way to replace aiohttp's protocol; the test with a flood of 1xx fails if the attribute moves.
        self._factory = functools.partial(GuardedHandler, loop=self._loop)  # type: ignore[assignment]  # partial is invariant

    def _open(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not TRUSTED.get() and not self._guard.allows(address[0]):
            raise AddressRefused(address[0])
        return socket.socket(family, kind, protocol)

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        """Keep a connection, and close the oldest beyond `idle`, which aiohttp does not limit.

        A test with many hosts fails if this hook moves.
        """
        super()._release(key, protocol, should_close=should_close)
        while sum(map(len, self._conns.values())) > self._idle:
            oldest = min(self._conns, key=lambda each: self._conns[each][0][1])
            self._conns[oldest].popleft()[0].close()
            if not self._conns[oldest]:
                del self._conns[oldest]
