"""Parses the Accept field of a request (RFC 9110, section 12.5.1). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

# Every repeat is possessive (`++`, `*+`), so that no input causes backtracking.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
# A quoted string without an end goes to the end of the field.
_MEMBER = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+[\\"]?+)++', re.DOTALL)
_RANGE = re.compile(rf"\s*+({_WORD})/({_WORD})")
_PARAMETER = re.compile(rf"\s*+;\s*+(?:({_WORD})=({_WORD}|{_QUOTED}))?+", re.DOTALL)
_WEIGHT = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")  # section 12.4.2


class MediaRange(NamedTuple):
    """One member of Accept, in lower case. `q` is from 0 (not acceptable) to 1."""

    type: str
    subtype: str
    q: float


def parse_accept(field: str) -> tuple[MediaRange, ...]:
    """Returns the media ranges of an Accept field; none where it is empty or all of it is malformed.

    Malformed members are skipped, and those with parameters other than a weight: image types have none.
    """
    found = (_parse_member(part[0]) for part in _MEMBER.finditer(field))
    return tuple(member for member in found if member is not None)


def quality(ranges: tuple[MediaRange, ...], media_type: str) -> float:
    """Returns the weight of a media type, 0 to 1: that of the most specific range that matches it.

    Without any range every type has weight 1.
    """
    if not ranges:
        return 1.0
    kind, _, name = media_type.partition("/")
    best = (-1, 0.0)
    for item in ranges:
        if item.type == kind and item.subtype in (name, "*"):
            best = max(best, (2 if item.subtype == name else 1, item.q))
        elif item.type == "*" and item.subtype == "*":
            best = max(best, (0, item.q))
    return best[1]


def prefers_html(ranges: tuple[MediaRange, ...]) -> bool:
    """Whether the client is a browser that navigates, rather than a program."""
    return quality(ranges, "text/html") > quality(ranges, "application/json")


def _parse_member(text: str) -> MediaRange | None:
    head = _RANGE.match(text)
    if head is None:
        return None
    weight, at, end = 1.0, head.end(), len(text.rstrip())
    while at < end:
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            return None
        at = parameter.end()
        if parameter[1] is None:
            continue
        if parameter[1].lower() != "q" or not _WEIGHT.fullmatch(parameter[2]):
            return None
        weight = float(parameter[2])
    return MediaRange(head[1].lower(), head[2].lower(), weight)
