"""Parses the query of a request to `/image` strictly. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from imgcache.server.negotiation import FORMATS

MAX_WIDTH = 99_999
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_WIDTH = re.compile(r"[1-9][0-9]{0,4}")
_KNOWN = frozenset({"url", "w", "format"})


class Query(NamedTuple):
    """The parameters. `plain_url` is `url` with `+` taken literally, because some clients do not escape it."""

    url: str
    plain_url: str
    width: int | None
    format: str | None


def parse(text: bytes) -> Query:
    """Parses `application/x-www-form-urlencoded` (WHATWG URL, section 5.1). Unknown names are ignored.

    Raises:
        ValueError: a name is repeated, an escape or the UTF-8 is invalid, or a value is out of range. The message is
            for the client.
    """
    if _BAD_ESCAPE.search(text):
        raise ValueError("the query has a % without two hexadecimal digits after it")
    values: dict[str, bytes] = {}
    for part in text.split(b"&"):
        name, _, value = part.partition(b"=")
        known = _decode(name)
        if known in values:
            raise ValueError(f"`{known}` is given twice")
        if known in _KNOWN:
            values[known] = value
    if not values.get("url"):
        raise ValueError("`url` is missing: /image?url=URL[&w=WIDTH][&format=webp]")
    width = _decode(values["w"]) if "w" in values else None
    if width is not None and not _WIDTH.fullmatch(width):
        raise ValueError(f"`w` must be a whole number of pixels from 1 to {MAX_WIDTH}")
    format_ = _decode(values["format"]) if "format" in values else None
    if format_ is not None and format_ not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(sorted(FORMATS))}")
    url = values["url"]
    return Query(_decode(url), _decode(url.replace(b"+", b"%2B")), int(width) if width else None, format_)


def _decode(value: bytes) -> str:
    try:
        return unquote_to_bytes(value.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise ValueError("the query is not valid UTF-8") from None
