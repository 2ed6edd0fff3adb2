"""What the configurations of all web servers share: the checked options and the response headers. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from imgcache.core import ConfigError, clean_text
from imgcache.publisher.entries import FILE

DEFAULT_UPSTREAM = "http://127.0.0.1:8080"

# What may be served from the folder: exactly the paths under which the cache keeps files.
PATH = rf"^/{FILE.pattern}$"

# A file never changes once it is written (RFC 8246). Browsers must not guess its type, pages of other sites may show it
# (Fetch, section 3.8), and opened on its own it can run nothing (CSP 3, section 6).
LASTING = "public, max-age=31536000, immutable"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

_UPSTREAM = re.compile(r"(https?)://((?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)/?")
_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_LISTEN = re.compile(r"(?:(?:[0-9.]+|\[[0-9A-Fa-f:.]+\]):)?[0-9]{1,5}")
# A path stands between double quotes; nginx has no way to write a $ (it would name a variable), and no escape of braces
# survives in a Caddyfile, where they name placeholders.
_UNQUOTABLE = re.compile(r"""["\\${}\x00-\x1f\x7f]""")


class WebServer(msgspec.Struct, frozen=True):
    """One web server in front of the endpoint.

    `names` are its host names, `listen` is a port or an address with a port (`80`, `127.0.0.1:8090`), and `upstream` is
    the endpoint. The gallery names articles and drafts, so requests for it are passed on only with `shows_gallery`.
    """

    root: str
    scheme: str
    upstream: str
    names: tuple[str, ...]
    listen: str
    shows_gallery: bool = False


def parse_web_server(
    cache: Path, upstream: str, names: Sequence[str], listen: str, *, shows_gallery: bool = False
) -> WebServer:
    """Checks the options of the command line.

    Raises:
        ConfigError: a value cannot be written into a configuration, or would change its meaning.
    """
    root = str(cache)
    if found := _UNQUOTABLE.search(root):
        raise ConfigError(
            f"{clean_text(root, 4096)} has a {found[0]!r}, which cannot be written into a configuration; move the cache"
        )
    match = _UPSTREAM.fullmatch(upstream)
    if match is None:
        raise ConfigError(f"{clean_text(upstream)!r} is not an address such as {DEFAULT_UPSTREAM}", where="--upstream")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{clean_text(name)!r} is not a host name such as images.example.org", where="--server-name"
            )
    if not _LISTEN.fullmatch(listen):
        raise ConfigError(
            f"{clean_text(listen)!r} is neither a port nor an address such as 127.0.0.1:8090", where="--listen"
        )
    return WebServer(root, match[1], match[2], tuple(names), listen, shows_gallery)
