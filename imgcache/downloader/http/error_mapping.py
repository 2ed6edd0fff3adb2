"""Turns the exceptions and the status codes of HTTP requests into our errors. Pure.

aiohttp wraps most causes in exceptions that say little, so `classify` reads the whole chain of causes.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from imgcache.core import (
    BadUrl,
    ConnectFailure,
    DnsFailure,
    FetchTimeout,
    HttpStatus,
    ImageError,
    NoOpenFiles,
    TlsFailure,
    Truncated,
    clean_text,
    is_out_of_descriptors,
)
from imgcache.downloader.http.connector import AddressRefused
from imgcache.downloader.http.guard import blocked
from imgcache.downloader.http.retry import retry_after

NETWORK_ERRORS = (
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,  # TimeoutError among them
    UnicodeError,  # a name that the resolver cannot encode
)
"""The exceptions that our transport raises on purpose, for `classify`."""


class NoConnection(ConnectFailure):
    """The host did not answer at all: this counts against it."""


class ConnectTimeout(FetchTimeout):
    """The host did not answer in time: this counts against it."""


class Stalled(FetchTimeout):
    """The host sent nothing in time, or next to nothing: this counts against it."""


_FAILURES: tuple[tuple[tuple[type[BaseException], ...], type[ImageError], str], ...] = (
    ((aiohttp.ClientPayloadError,), Truncated, "the body broke off"),
    ((aiohttp.ClientConnectorError,), NoConnection, "no connection"),
    ((aiohttp.InvalidURL,), BadUrl, "the URL cannot be requested"),
    ((aiohttp.ClientResponseError, HttpProcessingError), ConnectFailure, "the answer is not valid HTTP"),
)


def counts_against_host(error: ImageError) -> bool:
    """Return whether the host itself, and not only this URL, could not be reached or sent nothing in time."""
    return isinstance(error, NoConnection | ConnectTimeout | DnsFailure | Stalled)


def status_error(status: int, wait: str | None, now: float, bot_wall: str | None = None) -> HttpStatus:
    """Return the error for a status that is not the image's.

    Args:
        status: the status code.
        wait: the Retry-After field of the response.
        now: in seconds since the epoch.
        bot_wall: the name of the bot wall that answered.
    """
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    by = f", from a bot wall ({bot_wall})" if bot_wall else ""
    message = f"the server answered {status}{phrase}{by}"
    return HttpStatus(message, status, wall=bot_wall, retry_after=retry_after(wait, now))


def classify(error: BaseException, host: str) -> ImageError:
    """Return the ImageError for `error`, which was raised by a request to `host`."""
    chain = list(_chain(error))
    where = clean_text(host, 80)
    for link in chain:
        if isinstance(link, ImageError):
            return link
        if isinstance(link, AddressRefused):
            return blocked(host, link.address)
    if is_out_of_descriptors(error):
        return NoOpenFiles(f"{where}: no more connections can be opened on this machine (ulimit -n)")
    return _tls_or_dns_failure(chain, where) or _timeout(chain, where) or _broken(chain, where)


def _tls_or_dns_failure(chain: list[BaseException], where: str) -> ImageError | None:
    for link in chain:
        if isinstance(link, ssl.SSLError) and isinstance(link, aiohttp.ClientError):
            continue  # aiohttp's wrapper is an SSLError by inheritance only; the real one is its cause
        if isinstance(link, ssl.SSLCertVerificationError):
            return TlsFailure(f"{where}: the certificate is not valid: {clean_text(link.verify_message)}")
        if isinstance(link, ssl.SSLError):
            return TlsFailure(f"{where}: the TLS handshake failed: {clean_text(link.reason or str(link))}")
        if isinstance(link, socket.gaierror | UnicodeError | aiohttp.ClientConnectorDNSError):
            return DnsFailure(f"{where}: the name does not resolve: {clean_text(_text(link))}")
    return None


def _timeout(chain: list[BaseException], where: str) -> ImageError | None:
    for link in chain:
        if isinstance(link, aiohttp.ConnectionTimeoutError):
            return ConnectTimeout(f"{where}: no connection within the limit (limits.connect)")
        if isinstance(link, aiohttp.ServerTimeoutError):
            return Stalled(f"{where}: no byte came within the limit (limits.read)")
        if isinstance(link, TimeoutError):
            return Stalled(f"{where}: the connection stopped answering")
    return None


def _broken(chain: list[BaseException], where: str) -> ImageError:
    for link in chain:
        if isinstance(link, aiohttp.ClientHttpProxyError):
            return ConnectFailure(f"{where}: the proxy answered {link.status}")
        for kinds, failure, text in _FAILURES:
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
    """Return one line for users; an errno without a text gets the system's."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, aiohttp.ClientPayloadError) and isinstance(inner.__cause__, HttpProcessingError):
        inner = inner.__cause__
    if isinstance(inner, aiohttp.ClientResponseError | HttpProcessingError):
        # str() would add URL and headers; the first line is the reason, and below it the parser quotes the bytes
        return inner.message.partition("\n")[0].rstrip(":")
    if isinstance(inner, OSError) and inner.errno is not None:
        return inner.strerror or os.strerror(inner.errno)
    return str(inner) or type(inner).__name__
