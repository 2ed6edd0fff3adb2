"""What a client takes: the Accept field of a request (RFC 9110, section 12.5.1). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

# Every repeat is possessive (`++`, `*+`): no text is gone over twice, however it is made.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
# A quoted text that does not end goes to the end of the field.
_MEMBER = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+[\\"]?+)++', re.DOTALL)
_RANGE = re.compile(rf"\s*+({_WORD})/({_WORD})")
_PARAMETER = re.compile(rf"\s*+;\s*+(?:({_WORD})=({_WORD}|{_QUOTED}))?+", re.DOTALL)
_WEIGHT = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")  # section 12.4.2


class MediaRange(NamedTuple):
    """One member of Accept, in lower case. `q` is from 0 (not taken) to 1."""

    type: str
    subtype: str
    q: float


def parse_accept(field: str) -> tuple[MediaRange, ...]:
    """The media ranges of an Accept field; empty where it is absent, empty, or none of it can be read.

    A member that cannot be read, or has another parameter than a weight, is passed over: no image type here has any.
    """
    found = (_member(part[0]) for part in _MEMBER.finditer(field))
    return tuple(one for one in found if one is not None)


def quality(ranges: tuple[MediaRange, ...], media_type: str) -> float:
    """How much a type is wanted, 0 to 1: the weight of the most specific range that it matches.

    Without any range everything is taken.
    """
    if not ranges:
        return 1.0
    kind, _, name = media_type.partition("/")
    best = (-1, 0.0)
    for one in ranges:
        if one.type == kind and one.subtype in (name, "*"):
            best = max(best, (2 if one.subtype == name else 1, one.q))
        elif one.type == "*" and one.subtype == "*":
            best = max(best, (0, one.q))
    return best[1]


def prefers_html(ranges: tuple[MediaRange, ...]) -> bool:
    """Whether a person is to read the answer, rather than a program."""
    return quality(ranges, "text/html") > quality(ranges, "application/json")


def _member(text: str) -> MediaRange | None:
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
