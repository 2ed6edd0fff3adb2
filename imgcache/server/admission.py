"""Which requests are refused before anything is looked up, and which route the others take. Pure.

Both ways to an answer, the one through ASGI and the short one of `imgcache.server.protocol`, ask here.
"""

from __future__ import annotations

from typing import NamedTuple

from imgcache.server.bodies import Headers
from imgcache.server.request_fields import RequestFields

MAX_TARGET = 60_000  # bytes: the longest URL that is fetched, all escaped, fits; httptools ends at 65,535 with 400
_ALLOW: Headers = ((b"allow", b"GET, HEAD"),)
_ROUTES = {
    "/image": "image",
    "/manifest.json": "manifest",
    "/healthz": "healthz",
    "/metrics": "metrics",
    "/": "gallery",
}


class Refusal(NamedTuple):
    """What is wrong with a request: status, code, a message for the client, and what the answer's head adds."""

    status: int
    code: str
    message: str
    headers: Headers = ()


def refusal(asked: RequestFields, *, version: str, target_bytes: int) -> Refusal | None:
    """Why a request is refused whatever it asks for; None where it is not.

    Args:
        asked: its method and fields.
        version: of HTTP, such as `1.1`.
        target_bytes: the length of path and query.
    """
    if version == "1.1" and not asked.has_one_host:
        return Refusal(400, "host", "a request of HTTP/1.1 has one Host field")
    if asked.method not in {"GET", "HEAD"}:
        return Refusal(405, "method", "only GET and HEAD are answered", _ALLOW)
    if target_bytes > MAX_TARGET:
        return Refusal(414, "too-long", f"at most {MAX_TARGET:,} bytes are read")
    return None


def route(path: str) -> str:
    """The name of the route that a path takes: the metrics count by it, so there are few. `other` is none of them."""
    name = _ROUTES.get(path)
    if name is not None:
        return name
    if path.startswith("/assets/"):
        return "assets"
    return "gallery" if path.startswith("/gallery/") else "other"
