"""Finds the rules of style sheets that would stop matching an image if a `<picture>` stood around it. Pure.

`display: contents` keeps the boxes of the page as they were, but selectors follow the tree: `p > img`, `img + img` and
`img:first-child` no longer match an `<img>` inside a `<picture>` (Selectors Level 4, sections 13 and 14.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from turbohtml import Element

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?", re.DOTALL)
_PRELUDE = re.compile(r"([^{};]++)\{")
_ATTRIBUTE = re.compile(r"\[[^\]]*+\]")
_RELATION = re.compile(r"[>+~]|:(?:first|last|only|nth)-|:has\(", re.IGNORECASE)
_LAST = re.compile(r"(?:^|[\s>+~])([^\s>+~]+)$")
_OTHER_TYPE = re.compile(r"(?!img\b)[a-zA-Z]", re.IGNORECASE)
_BESIDE_IMAGE = re.compile(r"\bimg\b[^,]*[+~]|:has\([^)]*\bimg\b", re.IGNORECASE)
_STATE = re.compile(r":(?:hover|focus(?:-within|-visible)?|active|visited|link|any-link|target)\b", re.IGNORECASE)
_IMPORT = re.compile(r"@import\s*(?:url\(\s*)?[\"']?([^\"')\s;]+)", re.IGNORECASE)
_HOST = re.compile(r"(?:https?:)?//([^/?#]+)", re.IGNORECASE)
_EVERY_IMAGE = "img"
_LONGEST = 2_000  # characters of a selector; a longer one counts as matching nothing


def structural(sheet: str, site_url: str) -> list[str]:
    """Returns the selectors of a style sheet that depend on where in the tree an image is.

    States such as `:hover` are removed, for a rule may match later. Selectors of pseudo-elements are left out: images
    have none. A sheet of another host that this one imports may have a rule for any image.

    Args:
        sheet: its text.
        site_url: the address of the site, "" where it is not known.
    """
    plain = _COMMENT.sub(" ", sheet)
    text = _STRING.sub('""', plain)
    imports_foreign = any(is_foreign(found[1], site_url) for found in _IMPORT.finditer(plain))
    found: dict[str, None] = {_EVERY_IMAGE: None} if imports_foreign else {}
    for prelude in _PRELUDE.findall(text):
        if prelude.lstrip().startswith("@"):
            continue
        for selector in _split(prelude):
            plain = _ATTRIBUTE.sub("", selector)
            if "::" not in plain and len(selector) <= _LONGEST and _RELATION.search(plain) and _may_be_image(plain):
                found[_STATE.sub("", selector)] = None
    return list(found)


def is_foreign(address: str, site_url: str) -> bool:
    """Returns whether a style sheet cannot be read here: it is of another host, and not one that serves fonts."""
    host = _HOST.match(address.strip())
    own = _HOST.match(site_url)
    return host is not None and (own is None or host[1] != own[1]) and not host[1].startswith("fonts.")


def match(image: Element, selectors: Iterable[str]) -> bool:
    """Returns whether one of these selectors matches an image, or something beside it because of the image."""
    return any(_BESIDE_IMAGE.search(selector) or _matches(image, selector) for selector in selectors)


def _matches(image: Element, selector: str) -> bool:
    try:
        return image.matches(selector)
    except ValueError:  # of a newer standard, or none at all: it may match
        return True


def _may_be_image(plain: str) -> bool:
    last = _LAST.search(plain)
    return _BESIDE_IMAGE.search(plain) is not None or last is None or _OTHER_TYPE.match(last[1]) is None


def _split(prelude: str) -> list[str]:
    """Splits a list of selectors at its commas, except those in parentheses and brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(prelude):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append(prelude[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, prelude[start:]] if part.strip()]
