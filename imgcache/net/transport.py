"""httpx's transport over aiohttp, with our connector, our proxies and URLs that go out as they are."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterable

import aiohttp
import httpx
import msgspec
from aiohttp.abc import AbstractResolver
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from imgcache.models import Limits
from imgcache.net.connect_to import ConnectTo, redirected
from imgcache.net.connector import TRUSTED, GuardedConnector
from imgcache.net.guard import Guard, blocked
from imgcache.net.proxies import Proxies, Proxy
from imgcache.net.tls import ssl_context
from imgcache.urls import split

MAX_HEADERS = 100  # fields of one response; each of at most MAX_FIELD bytes
MAX_FIELD = 8_190

# Names that mean something on the local network only (RFC 6761, 6762, 7686, 8375, 9476; ICANN for .internal)
LOCAL_SUFFIXES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "alt", "onion", "test", "invalid")


class Route(msgspec.Struct, frozen=True):
    """How one request travels: the URL to connect by, the name to expect there, through which proxy."""

    url: URL
    name: str | None = None  # set where it is not the URL's: SNI and certificate go by it
    proxy: Proxy | None = None


class Body(httpx.AsyncByteStream):
    """A response's body in the pieces that arrive."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._response.content.iter_any():
            yield piece

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        self._response.release()


class Transport(AiohttpTransport):
    """An httpx transport; raises aiohttp's own exceptions, which `failures.classify` reads.

    httpx-aiohttp hands aiohttp the URL as text, which then re-quotes it (`%7E` becomes `~`, `%2F` in a signed query
    `/`); here it goes as it is. Nothing is kept between requests but connections: no cookies, no credentials.
    Must be made inside a running event loop.
    """

    def __init__(
        self, *, guard: Guard, limits: Limits, connect_to: Iterable[ConnectTo], resolver: AbstractResolver | None
    ) -> None:
        context = ssl_context()
        self._guard = guard
        self._connect_to = tuple(connect_to)
        self._proxies = Proxies()
        self._timeout = aiohttp.ClientTimeout(total=None, connect=limits.connect, sock_read=limits.read)
        self._resolver = resolver or aiohttp.ThreadedResolver()
        connector = GuardedConnector(guard, resolver=self._resolver, context=context)
        self._session = aiohttp.ClientSession(
            connector=connector,
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
        route = await self._route(request)
        headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw]
        if route.proxy and route.url.scheme == "http":  # no CONNECT that would carry them (RFC 9110, section 11.7.1)
            headers += route.proxy.headers.items()
        token = TRUSTED.set(route.name is not None or route.proxy is not None)
        try:
            response = await self._session.request(
                "GET",
                route.url,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout,
                server_hostname=route.name,
                proxy=route.proxy.url if route.proxy else None,
                proxy_headers=route.proxy.headers if route.proxy else None,
            )
        finally:
            TRUSTED.reset(token)
        return httpx.Response(response.status, headers=response.raw_headers, stream=Body(response), request=request)

    async def _route(self, request: httpx.Request) -> Route:
        scheme, host, port = split(str(request.url))
        target = redirected(self._connect_to, host, port)
        path = request.url.raw_path.decode("ascii")
        if target is not None:
            # `name` also keeps these connections apart in the pool: a URL that names the target itself is not trusted.
            netloc = f"[{target[0]}]" if ":" in target[0] else target[0]
            return Route(URL(f"{scheme}://{netloc}:{target[1]}{path}", encoded=True), name=host)
        url = URL(str(request.url), encoded=True)
        proxy = self._proxies.choose(scheme, host, port)
        if proxy is not None:
            await self._judge(host, port)
        return Route(url, proxy=proxy)

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
