"""httpx's transport over aiohttp, with our connector, our proxies and URLs that go out as they are.

It is asked in two ways: by httpx's own interface, and by `ask`, which spares httpx's Request and Response.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterable, Mapping

import aiohttp
import httpx
import msgspec
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from imgcache.core import MOST_IDLE, Limits, split_url
from imgcache.downloader.http.connect_to import ConnectTo, redirected
from imgcache.downloader.http.connector import TRUSTED, GuardedConnector, Handler
from imgcache.downloader.http.guard import Guard, blocked
from imgcache.downloader.http.proxies import Proxies, Proxy
from imgcache.downloader.http.response import RequestSender, Response, readable
from imgcache.downloader.http.tls import ssl_context

MAX_HEADERS = 100  # fields of one response; each of at most MAX_FIELD bytes
MAX_FIELD = 8_190

# Names that mean something on the local network only (RFC 6761, 6762, 7686, 8375, 9476; ICANN for .internal)
LOCAL_SUFFIXES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "alt", "onion", "test", "invalid")


class Route(msgspec.Struct, frozen=True):
    """How a request travels that does not go directly: the URL to connect by, the name expected there, the proxy."""

    url: URL
    name: str | None = None  # set where it is not the URL's: SNI and certificate go by it
    proxy: Proxy | None = None


class _Response(aiohttp.ClientResponse):
    """aiohttp's response, which remembers until when the certificate of its connection is good.

    A connection goes back as soon as a body is complete, which may be before anybody could ask it.
    """

    certificate_ends: float | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the head."""
        protocol = connection.protocol
        if isinstance(protocol, Handler):
            self.certificate_ends = protocol.certificate_ends
        return await super().start(connection)


class _Reply(Response):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self.status = response.status
        self.raw_headers = response.raw_headers
        is_plain = all(value.isascii() and name.isascii() for name, value in response.raw_headers)
        self.headers = response.headers if is_plain else readable(response.raw_headers)
        if isinstance(response, _Response):
            self.certificate_ends = response.certificate_ends

    async def piece(self, most: int | None = None) -> bytes:
        piece = await (self._content.readany() if most is None else self._content.read(most))
        self.received += len(piece)
        return piece

    async def close(self) -> None:
        self._response.release()


class _Body(httpx.AsyncByteStream):
    def __init__(self, reply: Response) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._reply.piece():
            yield piece

    async def aclose(self) -> None:
        await self._reply.close()


class Transport(AiohttpTransport, RequestSender):
    """An httpx transport; raises aiohttp's own exceptions, which `failures.classify` reads.

    URLs go out as they are: aiohttp would quote a text anew (`%7E` becomes `~`, `%2F` in a signed query `/`). Nothing
    is kept between requests but connections: no cookies, no credentials. Must be made inside a running event loop.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        limits: Limits,
        connect_to: Iterable[ConnectTo],
        resolver: AbstractResolver | None,
        idle: int = MOST_IDLE,
    ) -> None:
        """`idle` connections wait for a next request at most."""
        self._guard = guard
        self._connect_to = tuple(connect_to)
        self._proxies = Proxies()
        self._resolver = resolver or aiohttp.ThreadedResolver()
        context = ssl_context()
        self._session = aiohttp.ClientSession(
            connector=GuardedConnector(guard, resolver=self._resolver, context=context, idle=idle),
            response_class=_Response,
            timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect, sock_read=limits.read),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            max_headers=MAX_HEADERS,
            max_field_size=MAX_FIELD,
            max_line_size=MAX_FIELD,
        )
        super().__init__(verify=context, trust_env=False, client=self._session)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a GET and return its head; the body is streamed by whoever reads it."""
        headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw]
        reply = await self.ask(str(request.url), dict(headers))
        return httpx.Response(reply.status, headers=reply.raw_headers, stream=_Body(reply))

    async def ask(self, url: str, headers: Mapping[str, str]) -> _Reply:
        """Send a GET and return its head; the body is read by whoever wants it."""
        route = await self._route(url)
        if route is None:
            return _Reply(await self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False))
        headers = {"Host": url.split("/", 3)[2], **headers}
        if route.proxy and route.url.scheme == "http":  # no CONNECT that would carry them (RFC 9110, section 11.7.1)
            headers = {**headers, **route.proxy.headers}
        token = TRUSTED.set(True)
        try:
            response = await self._session.get(
                route.url,
                headers=headers,
                allow_redirects=False,
                server_hostname=route.name,
                proxy=route.proxy.url if route.proxy else None,
                proxy_headers=route.proxy.headers if route.proxy else None,
            )
        finally:
            TRUSTED.reset(token)
        return _Reply(response)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _route(self, url: str) -> Route | None:
        """How to get there if not directly."""
        if not self._connect_to and not self._proxies:
            return None
        scheme, host, port = split_url(url)
        target = redirected(self._connect_to, host, port)
        if target is not None:
            # `name` also keeps these connections apart in the pool: a URL that names the target itself is not trusted.
            netloc = f"[{target[0]}]" if ":" in target[0] else target[0]
            path = url.partition("://")[2].partition("/")[2]
            return Route(URL(f"{scheme}://{netloc}:{target[1]}/{path}", encoded=True), name=host)
        proxy = self._proxies.choose(scheme, host, port)
        if proxy is None:
            return None
        await self._judge(host, port)
        return Route(URL(url, encoded=True), proxy=proxy)

    async def _judge(self, host: str, port: int) -> None:
        """Refuse a target that only the proxy will connect to.

        Here every address must be allowed, for the choice among them is the proxy's. A name that does not resolve on
        this side passes unless it is local by its form: behind a proxy, names often resolve there only. The limit: what
        the proxy then finds for the name is the proxy's to guard.
        """
        if _is_address(host):
            self._guard.check(host, host)
            return
        try:
            found = await self._resolver.resolve(host, port)
        except OSError:
            bare = host.rstrip(".")
            if "." not in bare or any(bare == end or bare.endswith(f".{end}") for end in LOCAL_SUFFIXES):
                raise blocked(host, host) from None
            return
        for result in found:
            self._guard.check(result["host"], host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
