"""The query of a request to `/image`, read strictly. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from imgcache.server.negotiation import FORMATS

MAX_WIDTH = 99_999
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_WIDTH = re.compile(r"[1-9][0-9]{0,4}")
_KNOWN = frozenset({"url", "w", "format"})


class Query(NamedTuple):
    """What is asked for. `plain_url` is `url` with its `+` left as it stands, which not every client escapes."""

    url: str
    plain_url: str
    width: int | None
    format: str | None


def parse(text: bytes) -> Query:
    """A query as `application/x-www-form-urlencoded` (WHATWG URL, section 5.1). Unknown names are passed over.

    Raises:
        ValueError: with words for the client: a name twice, a broken escape, no UTF-8, a value out of range.
    """
    if _BROKEN.search(text):
        raise ValueError("the query has a % that two hexadecimal digits do not follow")
    given: dict[str, bytes] = {}
    for part in text.split(b"&"):
        name, _, value = part.partition(b"=")
        known = _text(name)
        if known in given:
            raise ValueError(f"`{known}` is given twice")
        if known in _KNOWN:
            given[known] = value
    if not given.get("url"):
        raise ValueError("`url` is missing: /image?url=URL[&w=WIDTH][&format=webp]")
    width = _text(given["w"]) if "w" in given else None
    if width is not None and not _WIDTH.fullmatch(width):
        raise ValueError(f"`w` must be a whole number of pixels from 1 to {MAX_WIDTH}")
    format_ = _text(given["format"]) if "format" in given else None
    if format_ is not None and format_ not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(sorted(FORMATS))}")
    url = given["url"]
    return Query(_text(url), _text(url.replace(b"+", b"%2B")), int(width) if width else None, format_)


def _text(value: bytes) -> str:
    try:
        return unquote_to_bytes(value.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise ValueError("the query is not UTF-8") from None
