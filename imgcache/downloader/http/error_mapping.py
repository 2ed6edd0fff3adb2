"""What went wrong on the way, as one of our errors. Pure.

The transport maps every connect error to a timeout, so the answer comes from the chain of causes, innermost knowledge
first.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

from imgcache.core import (
    BadUrl,
    ConnectFailure,
    DnsFailure,
    FetchTimeout,
    ImageError,
    NoOpenFiles,
    TlsFailure,
    Truncated,
    clean_text,
    is_lack,
)
from imgcache.downloader.http.connector import AddressRefused
from imgcache.downloader.http.guard import blocked

NETWORK_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,  # TimeoutError among them
    UnicodeError,  # a name that the resolver cannot encode
)
"""What `classify` takes: all that transports raise on purpose."""


class NoConnection(ConnectFailure):
    """Nothing answered at all: this counts against the host."""


class ConnectTimeout(FetchTimeout):
    """Nothing answered in time: this counts against the host."""


class Stalled(FetchTimeout):
    """The host sent nothing in time, or next to nothing: this counts against it."""


_BROKEN: tuple[tuple[tuple[type[BaseException], ...], type[ImageError], str], ...] = (
    ((aiohttp.ClientPayloadError,), Truncated, "the body broke off"),
    ((aiohttp.ClientConnectorError, httpx.ConnectError), NoConnection, "no connection"),
    ((aiohttp.InvalidURL, httpx.InvalidURL, httpx.UnsupportedProtocol), BadUrl, "the URL cannot be asked for"),
    ((aiohttp.ClientResponseError, HttpProcessingError, httpx.RemoteProtocolError), ConnectFailure, "no HTTP answer"),
)


def counts_against_host(error: ImageError) -> bool:
    """Whether the host, not only this URL, could not be reached, or sent nothing in time."""
    return isinstance(error, NoConnection | ConnectTimeout | DnsFailure | Stalled)


def classify(error: BaseException, host: str) -> ImageError:
    """The ImageError that says what `error`, raised while asking `host`, comes down to."""
    chain = list(_chain(error))
    where = clean_text(host, 80)
    for link in chain:
        if isinstance(link, ImageError):
            return link
        if isinstance(link, AddressRefused):
            return blocked(host, link.address)
    return _lack(error, where) or _unresolved(chain, where) or _timeout(chain, where) or _broken(chain, where)


def _lack(error: BaseException, where: str) -> ImageError | None:
    if not is_lack(error):
        return None
    return NoOpenFiles(f"{where}: no more connections can be opened on this machine (ulimit -n)")


def _unresolved(chain: list[BaseException], where: str) -> ImageError | None:
    """What went wrong with TLS or the host's name."""
    for link in chain:
        if isinstance(link, ssl.SSLError) and isinstance(link, aiohttp.ClientError):
            continue  # aiohttp's wrapper is an SSLError by inheritance only; the real one is its cause
        if isinstance(link, ssl.SSLCertVerificationError):
            return TlsFailure(f"{where}: the certificate is not good: {clean_text(link.verify_message)}")
        if isinstance(link, ssl.SSLError):
            return TlsFailure(f"{where}: the TLS handshake failed: {clean_text(link.reason or str(link))}")
        if isinstance(link, socket.gaierror | UnicodeError | aiohttp.ClientConnectorDNSError):
            return DnsFailure(f"{where}: the name does not resolve: {clean_text(_text(link))}")
    return None


def _timeout(chain: list[BaseException], where: str) -> ImageError | None:
    for link in chain:
        if isinstance(link, aiohttp.ConnectionTimeoutError | httpx.ConnectTimeout):
            return ConnectTimeout(f"{where}: no connection within the limit (limits.connect)")
        if isinstance(link, aiohttp.ServerTimeoutError | httpx.TimeoutException):
            return Stalled(f"{where}: no byte came within the limit (limits.read)")
        if isinstance(link, TimeoutError):
            return Stalled(f"{where}: the connection stopped answering")
    return None


def _broken(chain: list[BaseException], where: str) -> ImageError:
    for link in chain:
        if isinstance(link, aiohttp.ClientHttpProxyError):
            return ConnectFailure(f"{where}: the proxy answered {link.status}")
        for kinds, failure, text in _BROKEN:
            if isinstance(link, kinds):
                if isinstance(link, HttpProcessingError | aiohttp.ClientResponseError) and "chunk" in _text(link):
                    # llhttp's reasons, such as "Invalid character in chunk size", when they came with the head at once
                    return Truncated(f"{where}: the body broke off: {clean_text(_text(link))}")
                return failure(f"{where}: {text}: {clean_text(_text(link), 120)}")
    return ConnectFailure(f"{where}: the connection broke: {clean_text(_text(chain[0]))}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _text(error: BaseException) -> str:
    """One line for people; an errno without its text is spelt out."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, aiohttp.ClientPayloadError) and isinstance(inner.__cause__, HttpProcessingError):
        inner = inner.__cause__
    if isinstance(inner, aiohttp.ClientResponseError | HttpProcessingError):
        # str() would bring URL and headers along; the first line is the reason, below it the parser quotes the bytes
        return inner.message.partition("\n")[0].rstrip(":")
    if isinstance(inner, OSError) and inner.errno is not None:
        return inner.strerror or os.strerror(inner.errno)
    return str(inner) or type(inner).__name__
