"""Decides quickly whether a text can name an image at all, before any parser is loaded. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from imgcache.scanner.markup.syntax import CALLED, HUGO, LIQUID

_CALLED = CALLED.encode()
_OPENINGS = {LIQUID: re.compile(rb"\{[%{]"), HUGO: re.compile(rb"\{\{[<%]")}
# All is searched in the bytes of a text: a word is found there ten times as fast as in a text with wide characters.
_ELEMENT = re.compile(rb"<(?:[iI][mM][gG]|[sS][oO][uU][rR][cC][eE])[ \t\n\f\r/]")
# What names images in other places than `src` and `srcset`. Each pattern is searched if its word is in the text.
_RARE = (
    (b"data-", re.compile(rb"data-(?:src|orig|lazy|echo|bg|back|poster)")),
    (b"poster", re.compile(rb"poster[ \t\n\f\r]*+=")),
    (b"background", re.compile(rb"background[ \t\n\f\r]*+=")),
)
_RARE_ELEMENT = re.compile(rb"<(?:image|input|amp-|feImage)")
# CSS functions are written in small letters, or in capitals. Text that was escaped twice (`style=\&quot;`) is no CSS.
_CSS = (b"url(", b"URL(", b"image-set(")
_STYLES = tuple(
    re.compile(rb"%b(?:[ \t\n\f\r]*+=(?!\\)|(?<=<%b)[ \t\n\f\r>])" % (word, word)) for word in (b"style", b"STYLE")
)


class Marks(NamedTuple):
    """What a text can have, by the marks in it.

    Attributes:
        images: images outside of calls.
        rare: images in other places of HTML than `<img>` and `<source>`.
        calls: calls of what may name an image.
    """

    images: bool
    rare: bool
    calls: bool


def marks(text: str, *, html: bool, languages: Collection[str]) -> Marks:
    """Search a text for all marks.

    Args:
        text: a body.
        html: whether it is HTML rather than Markdown.
        languages: those of calls.
    """
    data = text.encode(errors="surrogatepass")
    has_tags = b"<" in data
    rare = has_tags and _names_rarely(data)
    images = rare or (not html and b"![" in data) or (has_tags and _ELEMENT.search(data) is not None)
    calls = _CALLED in data or (b"{" in data and any(_OPENINGS[language].search(data) for language in languages))
    return Marks(images, rare, calls)


def has_css(text: str) -> bool:
    """Return whether CSS can name an image."""
    return "url(" in text or "URL(" in text or "image-set(" in text


def _names_rarely(data: bytes) -> bool:
    if any(function in data for function in _CSS) and any(style.search(data) for style in _STYLES):
        return True
    if _RARE_ELEMENT.search(data):
        return True
    return any(word in data and pattern.search(data) for word, pattern in _RARE)
