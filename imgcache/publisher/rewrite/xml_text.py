"""Reads XML as events with positions: start and end of each element, its text and its attributes. Pure.

A feed is often not well-formed, and every reader shows it all the same: an unknown entity, a bare `&`, a missing end
tag. So this follows the tokens of XML 1.0 (sections 2.4 to 3.1) and requires nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<text>[^<]++)
    | <!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)
    | <!--.*?(?:-->|\Z)
    | <\?.*?(?:\?>|\Z)
    | <!(?:[^>"'\[]|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|\[[^\]]*+(?:\]|\Z))*+>?
    | </(?P<end>[^\s>]*+)[^>]*+>?
    | <(?P<start>[^\s/>!?]++)(?P<attributes>(?:[^>"']|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))*+)(?:>|\Z)
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"']++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
_NAMESPACE = re.compile(r"""\sxmlns:([^\s=:]+)\s*=\s*["']([^"']*)["']""")
# The prefixes by which this package knows the name spaces; a feed may use others.
_PREFIXES = {
    "http://search.yahoo.com/mrss/": "media",
    "http://search.yahoo.com/mrss": "media",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://www.google.com/schemas/sitemap-image/1.1": "image",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://www.w3.org/2005/Atom": "atom",
}


class Started(NamedTuple):
    """A start tag. `name` has the usual prefix of its name space; each attribute has the positions of its value."""

    name: str
    attributes: dict[str, tuple[int, int]]
    empty: bool


class Text(NamedTuple):
    """Character data, by its position."""

    start: int
    end: int
    cdata: bool


class Ended(NamedTuple):
    """An end tag."""

    name: str


def events(text: str) -> Iterator[Started | Text | Ended]:
    """Yields start tags, text and end tags, as a reader of the file sees them."""
    prefixes = {prefix: _PREFIXES[uri] for prefix, uri in _NAMESPACE.findall(text) if uri in _PREFIXES}
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "text":
            yield Text(*token.span(), cdata=False)
        elif kind == "cdata":
            yield Text(*token.span("cdata"), cdata=True)
        elif kind == "end":
            yield Ended(_named(token["end"], prefixes))
        elif kind == "attributes":
            yield _started(token, prefixes)


def _started(token: re.Match[str], prefixes: dict[str, str]) -> Started:
    base = token.start("attributes")
    attributes: dict[str, tuple[int, int]] = {}
    for found in _ATTRIBUTE.finditer(token["attributes"]):
        start, end = found.span(found.lastindex or 0)
        attributes.setdefault(found[1], (base + start, base + end))
    return Started(_named(token["start"], prefixes), attributes, token["attributes"].endswith("/"))


def _named(name: str, prefixes: dict[str, str]) -> str:
    prefix, colon, local = name.partition(":")
    if not colon:
        return name
    known = prefixes.get(prefix, prefix)
    return local if known == "atom" else f"{known}:{local}"
