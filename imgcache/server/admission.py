"""Decides which requests are refused at once, and which route the others take. Pure.

Both the ASGI path and the fast path of `imgcache.server.protocol` use it, so that they cannot differ.
"""

from __future__ import annotations

from typing import NamedTuple

from imgcache.server.bodies import Headers
from imgcache.server.request_fields import RequestFields

MAX_TARGET = 60_000  # bytes; enough for the longest allowed image URL, all escaped; httptools refuses 65,536 with 400
_ALLOW: Headers = ((b"allow", b"GET, HEAD"),)
ROUTES = {
    "/image": "image",
    "/manifest.json": "manifest",
    "/healthz": "healthz",
    "/metrics": "metrics",
    "/": "gallery",
}
FOLDERS = {"/assets/": "assets", "/gallery/": "gallery"}


class Refusal(NamedTuple):
    """Why a request is refused: status, error code, message for the client, and further headers."""

    status: int
    code: str
    message: str
    headers: Headers = ()


def refusal(fields: RequestFields, *, version: str, target_bytes: int) -> Refusal | None:
    """Returns why a request is refused, whatever its route; None where it is not.

    Args:
        fields: its method and header fields.
        version: of HTTP, such as `1.1`.
        target_bytes: length of path and query.
    """
    if version == "1.1" and not fields.has_one_host:
        return Refusal(400, "host", "an HTTP/1.1 request must have exactly one Host field")
    if fields.method not in {"GET", "HEAD"}:
        return Refusal(405, "method", "only GET and HEAD are allowed", _ALLOW)
    if target_bytes > MAX_TARGET:
        return Refusal(414, "too-long", f"path and query may have at most {MAX_TARGET:,} bytes")
    return None


def route(path: str) -> str:
    """Returns the route of a path, `other` for none. Metrics have it as a label, so there are few."""
    name = ROUTES.get(path)
    if name is not None:
        return name
    return next((name for folder, name in FOLDERS.items() if path.startswith(folder)), "other")
