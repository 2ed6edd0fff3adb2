"""Who is shown the gallery, which names articles and drafts: `serve.gallery` in imgcache.yml. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

# What a proxy adds (RFC 7239; RFC 9110, section 7.6.3; and those in use before them): then the client is another one.
_BY_PROXY = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,253})(?::[0-9]{1,5})?")


def sees_gallery(policy: str, client: str | None, host: str | None, names: Iterable[bytes]) -> bool:
    """Whether a request is answered with the gallery.

    For `local` the client has to be on this machine, without a proxy between, and has to have asked for this machine by
    name: else a page of anybody could have its own name lead here (DNS rebinding) and read the gallery in the browser
    of whoever visits it.

    Args:
        policy: `on`, `local` or `off`.
        client: the address of the connection's other end; None where there is none, as with a Unix socket.
        host: the Host field.
        names: those of the request's fields, in lower case.
    """
    if policy != "local":
        return policy == "on"
    return _is_loopback(client or "") and _names_this_machine(host or "") and _BY_PROXY.isdisjoint(names)


def _names_this_machine(host: str) -> bool:
    """RFC 6761, section 6.3: `localhost` and what ends in it are this machine."""
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
