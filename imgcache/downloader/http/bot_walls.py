"""Whether a 403 or 429 comes from a bot wall in front of the server, and not from the server itself.

By headers first: `cf-mitigated: challenge` (Cloudflare, "Detect a Challenge Page response"), `x-amzn-waf-action` (AWS
WAF, "How the Challenge and CAPTCHA actions work"), `x-datadome` and `x-dd-b` (DataDome), `Server: AkamaiGHost` (the
edge itself answers). Then by what the first bytes of a challenge page hold. Limit: a wall that says nothing of itself
is taken for the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from imgcache.downloader.http.error_mapping import NETWORK_ERRORS
from imgcache.downloader.http.response import Response

STATUSES = frozenset({403, 429})
_HEAD = 16_384  # bytes of a page that are looked at
_PATIENCE = 2.0  # seconds for them: the answer is known, only its reason is not

_HEADERS: tuple[tuple[str, str, str], ...] = (
    ("cf-mitigated", "", "Cloudflare"),
    ("x-amzn-waf-action", "", "AWS WAF"),
    ("x-datadome", "", "DataDome"),
    ("x-dd-b", "", "DataDome"),
    ("server", "akamaighost", "Akamai"),
    ("server", "datadome", "DataDome"),
)
_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"/cdn-cgi/challenge-platform/", "Cloudflare"),
    (b"challenges.cloudflare.com", "Cloudflare"),
    (b"cf-browser-verification", "Cloudflare"),
    (b"captcha-delivery.com", "DataDome"),
    (b".token.awswaf.com", "AWS WAF"),
    (b"errors.edgesuite.net", "Akamai"),
    (b"_incapsula_resource", "Imperva"),
    (b"captcha.px-cdn.net", "HUMAN"),
    (b"px-captcha", "HUMAN"),
)


def find_bot_wall(headers: Mapping[str, str], head: bytes = b"") -> str | None:
    """The name of the bot wall that these headers, or the first bytes of a page, speak of."""
    for name, value, maker in _HEADERS:
        if name in headers and headers[name].lower().startswith(value):
            return maker
    page = head.lower()
    return next((maker for mark, maker in _MARKS if mark in page), None)


async def before(reply: Response) -> str | None:
    """The name of the bot wall that gave this answer, None where there is none; reads a little of its body."""
    if reply.status not in STATUSES:
        return None
    return find_bot_wall(reply.headers) or find_bot_wall(reply.headers, await _head(reply))


async def _head(reply: Response) -> bytes:
    head = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            while len(head) < _HEAD and (piece := await reply.piece(_HEAD)):
                head += piece
    except NETWORK_ERRORS:  # the page is not the answer: its status is
        pass
    return head
