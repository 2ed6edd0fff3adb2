"""Parses URLs as articles have them, and normalizes them for requests.

The normal form follows the WHATWG URL standard (https://url.spec.whatwg.org/, "basic URL parser"), because articles are
proofread in browsers. It is stricter in these points: credentials, percent-encoded hosts, tabs and newlines, and IPv4
addresses in any form but four decimals are refused. A quote (') in a query is not encoded, so that a signed query
arrives byte for byte.
"""

from __future__ import annotations

import functools
import ipaddress
import re

import idna

from imgcache.core.errors import BadScheme, BadUrl, ImageError

MAX_LENGTH = 16_384  # characters; RFC 9110, section 4.1 asks for at least 8,000
DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_UNSAFE_IN_PATH = re.compile(r'[^!-~]|["<>^`{}]')  # the path percent-encode set
_UNSAFE_IN_QUERY = re.compile(r'[^!-~]|["<>]')  # the query percent-encode set
_LABEL = re.compile(
    r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?"
)  # "_" is not allowed in host names (RFC 952), but in use
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # "ends in a number checker": such a host has to be an address
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CREDENTIALS = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*:)?([/\\]*)[^/\\?#]*@")
_AMPERSAND = re.compile(r"&(?:amp|#0{0,8}38|#[xX]0{0,8}26);", re.IGNORECASE)  # as character references of HTML
_DOTS = {".": ".", "%2e": ".", "..": "..", ".%2e": "..", "%2e.": "..", "%2e%2e": ".."}


def clean_text(text: str, limit: int = 200) -> str:
    """Returns `text` for a message or a log: at most `limit` characters, without control, escape or bidi characters.

    Unprintable characters become U+FFFD, so that a reader sees where they were.
    """
    cut = text[:limit]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else "\ufffd" for c in cut)
    return cut if len(text) <= limit else cut[: limit - 1] + "…"


def redact(url: str, limit: int = 200) -> str:
    """Returns `url` for a message or a log: clean, and with credentials replaced by `***`."""
    return clean_text(without_credentials(url.strip()), limit)


def without_credentials(url: str) -> str:
    """Returns `url` with user name and password replaced by `***`."""
    return _CREDENTIALS.sub(r"\1\2***@", url)


def request_url(url: str) -> str:
    """Returns the URL to request, in ASCII: `https://host[:port]/path[?query]`.

    `//host/x` becomes https, the fragment is removed, spaces and Unicode are percent-encoded, host names become
    A-labels (UTS 46), and dot segments are resolved. Everything else stays. A returned URL is returned unchanged.

    Args:
        url: as the article has it.

    Raises:
        BadScheme: the scheme is neither http nor https.
        BadUrl: it is relative, empty or too long, or has credentials, control characters or an invalid host.
    """
    text = url.strip(" \t\r\n\f")
    scheme, rest = _split_scheme(text)
    rest, _, _ = rest.partition("#")
    rest, mark, query = rest.partition("?")
    rest = rest.replace("\\", "/")
    if not rest.startswith("//"):
        raise BadUrl(f"no host: two slashes are missing after {scheme}:")
    authority, slash, path = rest[2:].partition("/")
    path = _encode(_UNSAFE_IN_PATH, _without_dots(slash + path or "/"))
    return f"{scheme}://{_authority(authority, scheme)}{path}{mark}{_encode(_UNSAFE_IN_QUERY, query)}"


def browser_url(url: str) -> str:
    """Returns the URL that a browser requests where a template prints an article's URL into a page.

    Front matter often has `&amp;` and `&#038;` for the `&` of a query, since a page needs them (HTML standard, section
    13.1.2.3). They are decoded here; the URL as written stays the name of the image. A URL that was read from HTML has
    none left. Arguments and errors are those of `request_url`.
    """
    return request_url(_AMPERSAND.sub("&", url) if "&" in url else url)


def join_url(base: str, location: str) -> str:
    """Resolves a Location (RFC 9110, section 10.2.2) against `base`, a result of `request_url`.

    Unlike `urllib.parse.urljoin` it keeps double slashes. Raises the same errors as `request_url`.
    """
    target = location.strip(" \t\r\n\f")
    plain = target.replace("\\", "/")
    scheme, _, rest = base.partition("://")
    authority, slash, tail = rest.partition("/")
    if _SCHEME.match(target):
        return request_url(target)
    if plain.startswith("//"):
        return request_url(f"{scheme}:{target}")
    if plain.startswith("/"):
        return request_url(f"{scheme}://{authority}{target}")
    path = slash + tail.partition("?")[0]
    if target.startswith("?") or not target.partition("#")[0]:
        return request_url(f"{scheme}://{authority}{path}{target}" if target.startswith("?") else base)
    return request_url(f"{scheme}://{authority}{path[: path.rindex('/') + 1]}{target}")


def host_of(url: str) -> str:
    """Returns the host of `url`, in lower-case ASCII without port or brackets: the unit of per-host limits.

    Raises the same errors as `request_url`.
    """
    return split_url(request_url(url))[1]


def host_if_any(url: str) -> str:
    """Returns `host_of(url)`, or "" for a URL that cannot be requested: for grouping."""
    try:
        return host_of(url)
    except ImageError:
        return ""


def split_url(url: str) -> tuple[str, str, int]:
    """Returns scheme, host (without brackets) and port of a URL from `request_url`."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
    return scheme, host, int(port) if port else DEFAULT_PORTS[scheme]


def _split_scheme(text: str) -> tuple[str, str]:
    if not text:
        raise BadUrl("the URL is empty")
    if len(text) > MAX_LENGTH:
        raise BadUrl(f"the URL has {len(text):,} characters; at most {MAX_LENGTH:,} are allowed")
    if _CONTROLS.search(text):
        raise BadUrl("the URL contains control characters")
    if text.replace("\\", "/").startswith("//"):
        return "https", text
    found = _SCHEME.match(text)
    if not found:
        raise BadUrl("the URL is relative: it has no host")
    scheme = found[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise BadScheme(f"{clean_text(scheme, 20)}: URLs are not fetched, only http: and https: URLs are")
    return scheme, text[found.end() :]


@functools.lru_cache(maxsize=1024)  # the URLs of a site have few hosts
def _authority(text: str, scheme: str) -> str:
    if "@" in text:
        raise BadUrl("the URL contains credentials, which are never sent; remove them")
    if text.startswith("["):
        host, bracket, port = text.partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise BadUrl(f"{clean_text(text, 80)} is not an IPv6 address in brackets")
        host, port = f"[{_ipv6(host[1:])}]", port[1:]
    else:
        host, _, port = text.partition(":")
        host = _host(host)
    if not port:
        return host
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536 and len(port) < 6):
        raise BadUrl(f"{clean_text(port, 20)} is not a port; a port is a number from 1 to 65535")
    return host if int(port) == DEFAULT_PORTS[scheme] else f"{host}:{int(port)}"


def _ipv6(text: str) -> str:
    if "%" in text:  # a zone (RFC 6874) has a meaning on one machine only
        raise BadUrl(f"[{clean_text(text, 80)}] has a zone, which is valid on one machine only")
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise BadUrl(f"[{clean_text(text, 80)}] is not an IPv6 address") from None


def _host(text: str) -> str:
    shown = clean_text(text, 80)
    if not text:
        raise BadUrl("the URL has no host")
    if "%" in text:
        raise BadUrl(f"the host {shown} is percent-encoded; write it as plain text")
    host = text.lower()
    if not host.isascii():
        try:
            host = idna.encode(host[:256], uts46=True).decode("ascii")
        except UnicodeError:
            raise BadUrl(f"the host {shown} is not a valid name (IDNA)") from None
    labels = host.removesuffix(".").split(".")
    if len(host) > 254 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadUrl(f"the host {shown} is not a valid name")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(host, shown)
    return host


def _ipv4(host: str, shown: str) -> str:
    """Octal, hexadecimal and short forms of an address (inet_aton) are refused: they are used to disguise one."""
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise BadUrl(f"the host {shown} ends in a number, but is not an IPv4 address of four decimals") from None


def _without_dots(path: str) -> str:
    """Resolves dot segments (RFC 3986, section 5.2.4) as browsers do: `%2e` is a dot, empty segments stay."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        dots = _DOTS.get(segment.lower())
        if dots is None:
            kept.append(segment)
            continue
        if dots == ".." and kept:
            kept.pop()
        if position == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def _encode(unsafe: re.Pattern[str], text: str) -> str:
    return unsafe.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
