"""Decides quickly whether a text can name an image at all, before any parser is loaded. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from imgcache.scanner.markup.syntax import CALLED, HUGO, LIQUID

_ELEMENT = re.compile(r"<(?:[iI][mM][gG]|[sS][oO][uU][rR][cC][eE])[ \t\n\f\r/]")
# What names images in attributes other than `src` and `srcset`.
_ATTRIBUTE = re.compile(
    r"data-(?:src|orig|lazy|echo|bg|back|poster)|[pP][oO][sS][tT][eE][rR][ \t\n\f\r]*+="
    r"|<(?:image|feImage|amp-|input|INPUT)|\bbackground[ \t\n\f\r]*+="
)
# CSS functions are written in small letters, or in capitals. Text that was escaped twice (`style=\&quot;`) is no CSS.
_CSS = re.compile(r"url\(|URL\(|image-set\(")
_STYLE = re.compile(r"<[sS][tT][yY][lL][eE][ \t\n\f\r>]|[sS][tT][yY][lL][eE][ \t\n\f\r]*+=(?!\\)")


def names_image(text: str, *, html: bool) -> bool:
    """Return whether a body can name an image outside of calls."""
    return (not html and "![" in text) or _ELEMENT.search(text) is not None or names_rarely(text)


def names_rarely(text: str) -> bool:
    """Return whether HTML can name an image elsewhere than in `<img>` and `<source>`."""
    if _CSS.search(text) and _STYLE.search(text):
        return True
    return _ATTRIBUTE.search(text) is not None


def may_call(text: str, languages: Collection[str]) -> bool:
    """Return whether a text can call what names an image."""
    if CALLED in text:
        return True
    return (LIQUID in languages and ("{%" in text or "{{" in text)) or (HUGO in languages and "{{" in text)
