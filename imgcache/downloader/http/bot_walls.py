"""Tells whether a 403 or 429 comes from a bot wall in front of the server, and not from the server itself.

The headers are checked first: `cf-mitigated: challenge` (Cloudflare, "Detect a Challenge Page response"),
`x-amzn-waf-action` (AWS WAF, "How the Challenge and CAPTCHA actions work"), `x-datadome` and `x-dd-b` (DataDome),
`Server: AkamaiGHost` (the edge itself answers). Then the first bytes of the page are searched for the marks of a
challenge. Limit: a wall without such a mark is taken for the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from imgcache.core import ImageError
from imgcache.downloader.http.error_mapping import NETWORK_ERRORS
from imgcache.downloader.http.transport import Response

STATUSES = frozenset({403, 429})
_HEAD = 16_384  # bytes of a page that are searched
BODY_TIMEOUT = 2.0  # seconds to read them: the status is known, only its reason is not

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
    """Return the name of the bot wall that sent these headers, or a page that begins with `head`; None for none."""
    for name, value, vendor in _HEADERS:
        if name in headers and headers[name].lower().startswith(value):
            return vendor
    page = head.lower()
    return next((vendor for mark, vendor in _MARKS if mark in page), None)


async def identify(response: Response) -> str | None:
    """Return the name of the bot wall that sent this response, None for none; reads a little of the body."""
    if response.status not in STATUSES:
        return None
    return find_bot_wall(response.headers) or find_bot_wall(response.headers, await _head(response))


async def _head(response: Response) -> bytes:
    head = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while len(head) < _HEAD and (chunk := await response.read(_HEAD)):
                head += chunk
    except (ImageError, *NETWORK_ERRORS):  # the status is the result; the page only explains it
        pass
    return head
