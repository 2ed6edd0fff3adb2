"""Sends requests through httpx, whose transport is aiohttp with our guard. The only module that imports httpx.

httpx's transport interface is used directly. `httpx.AsyncClient` would add redirects, cookies and authentication, which
this program must not have, and about 0.1 ms of CPU time per request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from imgcache.core import MAX_IDLE_CONNECTIONS, BadUrl, ConnectFailure, ImageError, Limits, clean_text, split_url
from imgcache.downloader.http.connect_to import ConnectTo
from imgcache.downloader.http.connector import TRUSTED, GuardedConnector, GuardedHandler
from imgcache.downloader.http.error_mapping import ConnectTimeout, NoConnection, Stalled
from imgcache.downloader.http.guard import Guard
from imgcache.downloader.http.routing import Router
from imgcache.downloader.http.tls import ssl_context

MAX_HEADERS = 100  # fields of one response; each of at most MAX_FIELD bytes
MAX_FIELD = 8_190

Transport = httpx.AsyncBaseTransport
"""The interface of httpx at which tests replace the network."""

_CERTIFICATE_ENDS = "certificate_ends"  # the key of httpx's response extensions
_NO_BODY = httpx.ByteStream(b"")
_ANY_URL = httpx.URL("http://localhost/")
# What other transports than ours raise. Ours raises aiohttp's exceptions, which `error_mapping.classify` reads.
_HTTPX_FAILURES: tuple[tuple[type[Exception], type[ImageError], str], ...] = (
    (httpx.ConnectTimeout, ConnectTimeout, "no connection within the limit (limits.connect)"),
    (httpx.TimeoutException, Stalled, "no byte came within the limit (limits.read)"),
    (httpx.ConnectError, NoConnection, "no connection"),
    (httpx.UnsupportedProtocol, BadUrl, "the URL cannot be requested"),
    (httpx.InvalidURL, BadUrl, "the URL cannot be requested"),
    (httpx.RemoteProtocolError, ConnectFailure, "the answer is not valid HTTP"),
)


class Response:
    """The response to one request: its head, and its body as it arrives. Callers must call `close` on every path.

    Attributes:
        status: the status code.
        headers: the header fields; names in any case.
        certificate_ends: when the server's certificate expires, in seconds since the epoch; None over http.
        received: the bytes of the body that have been received so far.
    """

    def __init__(self, response: httpx.Response, url: str) -> None:
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport must be asynchronous")
        self.status = response.status_code
        self.headers = decode_headers(response.headers.raw)
        self.certificate_ends: float | None = response.extensions.get(_CERTIFICATE_ENDS)
        self.received = 0
        self._url = url
        self._stream = response.stream
        self._chunks = aiter(response.stream)
        self._rest = b""

    async def read(self, most: int | None = None) -> bytes:
        """Return what has arrived of the body, at most `most` bytes; empty at its end. Raises as the transport does."""
        if not self._rest:
            try:
                self._rest = await anext(self._chunks)
            except StopAsyncIteration:
                return b""
            except httpx.HTTPError as error:
                raise _failure(error, self._url) from error
            self.received += len(self._rest)
        data, self._rest = (self._rest, b"") if most is None else (self._rest[:most], self._rest[most:])
        return data

    async def close(self) -> None:
        """Return the connection to the pool if the body has been read to its end, else drop it."""
        await self._stream.aclose()


class RequestSender:
    """Sends GET requests through an httpx transport.

    Args:
        make_transport: called by `open`, in the running event loop.
    """

    def __init__(self, make_transport: Callable[[], Transport]) -> None:
        self._make_transport = make_transport
        self._transport: Transport | None = None

    def open(self) -> None:
        """Make the transport."""
        self._transport = self._make_transport()

    async def close(self) -> None:
        """Close all connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def send(self, url: str, headers: Mapping[str, str]) -> Response:
        """Send a GET for `url`, a `request_url`, and return the response as soon as its head has arrived.

        Raises:
            ImageError: a refusal by the guard, or an exception of httpx.
            Exception: whatever else the transport raises: `error_mapping.NETWORK_ERRORS`.
        """
        if self._transport is None:
            raise RuntimeError("a client must be used inside `async with`")
        fields = {"Host": url.split("/", 3)[2], **headers}
        try:
            response = await self._transport.handle_async_request(_Request(url, fields))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failure(error, url) from error
        return Response(response, url)


class _Request(httpx.Request):
    """A GET whose `url` is parsed only for transports that read it: parsing takes a tenth of the time of a request.

    With a stream, httpx also skips the preparation of a body and of default fields.
    """

    def __init__(self, text: str, headers: Mapping[str, str]) -> None:
        self.text = text
        super().__init__("GET", _ANY_URL, headers=headers, stream=_NO_BODY)

    @property
    def url(self) -> httpx.URL:
        """The URL, parsed by httpx."""
        return httpx.URL(self.text)

    @url.setter
    def url(self, value: httpx.URL) -> None:
        """Ignore what httpx sets."""


class _AiohttpResponse(aiohttp.ClientResponse):
    """aiohttp's response, which remembers when the certificate of its connection expires.

    The connection returns to the pool as soon as the body is complete, which may be before anybody asks for the date.
    """

    certificate_ends: float | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the head of the response."""
        protocol = connection.protocol
        if isinstance(protocol, GuardedHandler):
            self.certificate_ends = protocol.certificate_ends
        return await super().start(connection)


class _Body(httpx.AsyncByteStream):
    """The stream of a response. No generator: one that is not read to its end costs a task and a system call."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self._response.content.readany():
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._response.release()


class GuardedTransport(AiohttpTransport):
    """An httpx transport over aiohttp with our connector and routes; it raises aiohttp's own exceptions.

    URLs are sent unchanged: aiohttp would quote a text again (`%7E` becomes `~`, `%2F` in a signed query `/`). Only
    connections are kept between requests, no cookies and no credentials. Must be made inside a running event loop.

    Args:
        idle: the number of connections that are kept for a next request at most.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        limits: Limits,
        connect_to: Iterable[ConnectTo],
        resolver: AbstractResolver | None,
        idle: int = MAX_IDLE_CONNECTIONS,
    ) -> None:
        resolver = resolver or aiohttp.ThreadedResolver()
        self._router = Router(guard=guard, connect_to=connect_to, resolver=resolver)
        context = ssl_context()
        self._session = aiohttp.ClientSession(
            connector=GuardedConnector(guard, resolver=resolver, context=context, idle=idle),
            response_class=_AiohttpResponse,
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
        """Send a GET and return the head of its response; the body is streamed."""
        url = request.text if isinstance(request, _Request) else str(request.url)
        headers = {name.decode("ascii"): value.decode("ascii") for name, value in request.headers.raw}
        response = await self._get(url, headers)
        ends = response.certificate_ends if isinstance(response, _AiohttpResponse) else None
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Body(response),
            extensions={_CERTIFICATE_ENDS: ends},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _get(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        route = await self._router.route(url)
        if route is None:
            return await self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False)
        proxy = route.proxy
        if proxy and route.url.scheme == "http":  # there is no CONNECT to carry them (RFC 9110, section 11.7.1)
            headers = {**headers, **proxy.headers}
        token = TRUSTED.set(True)
        try:
            return await self._session.get(
                route.url,
                headers=headers,
                allow_redirects=False,
                server_hostname=route.server_name,
                proxy=proxy.url if proxy else None,
                proxy_headers=proxy.headers if proxy else None,
            )
        finally:
            TRUSTED.reset(token)


def decode_headers(raw: Iterable[tuple[bytes, bytes]]) -> MultiMapping[str]:
    """Return header fields as text: UTF-8 where all of them are valid, else Latin-1, so that no byte is lost."""
    fields = tuple(raw)
    for encoding in ("utf-8", "latin-1"):
        try:
            return CIMultiDict((name.decode(encoding), value.decode(encoding)) for name, value in fields)
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 decodes every byte")


def _failure(error: Exception, url: str) -> ImageError:
    where, reason = clean_text(split_url(url)[1], 80), clean_text(str(error) or type(error).__name__, 120)
    for kind, failure, text in _HTTPX_FAILURES:
        if isinstance(error, kind):
            is_timeout = issubclass(failure, ConnectTimeout | Stalled)
            return failure(f"{where}: {text}" if is_timeout else f"{where}: {text}: {reason}")
    return ConnectFailure(f"{where}: the connection broke: {reason}")
