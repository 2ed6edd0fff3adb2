"""Decides who may see the gallery, which names articles and drafts: `serve.gallery` in imgcache.yml. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

# Fields that proxies add (RFC 7239; RFC 9110, section 7.6.3; and older ones): the connection is not from the client.
_PROXY_FIELDS = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,253})(?::[0-9]{1,5})?")


def sees_gallery(policy: str, client: str | None, host: str | None, names: Iterable[bytes]) -> bool:
    """Whether a request may see the gallery.

    With `local` the client must be on this machine, not behind a proxy, and Host must name this machine. Without the
    last rule any web page could point its own name here (DNS rebinding) and read the gallery in a visitor's browser.

    Args:
        policy: `on`, `local` or `off`.
        client: address of the peer; None where there is none, as with a Unix socket.
        host: the Host field.
        names: of the request's header fields, in lower case.
    """
    if policy != "local":
        return policy == "on"
    return _is_loopback(client or "") and _names_this_machine(host or "") and _PROXY_FIELDS.isdisjoint(names)


def _names_this_machine(host: str) -> bool:
    """`localhost` and names that end in it are this machine (RFC 6761, section 6.3)."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name.strip("[]"))


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
