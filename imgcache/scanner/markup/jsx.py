"""Finds images in the tags of MDX: `<img src="…">`, `<Image src={"…"} />` and other components. Pure.

The value of an attribute counts if it is a string, also in braces, or in a call that only completes the address. In
components other than images, only what looks like an image is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgcache.scanner.markup.character_references import unescape
from imgcache.scanner.markup.html import srcset_urls
from imgcache.scanner.markup.names import LAZY_ADDRESSES, LAZY_SETS, is_rooted, looks_like_image
from imgcache.scanner.markup.syntax import BODY, CALL

_COMMENT = re.compile(r"\{/\*|<!--")
_COMMENT_END = {"{/*": "*/}", "<!--": "-->"}
_VISIBLE = re.compile(r"\S")
_OPENING = re.compile(r"<([A-Za-z][\w.:-]*+)(?=[\s/>])")
# An expression with up to three braces in each other, which also has objects of styles.
_BRACES = r"\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}"
_PART = re.compile(
    rf"""[\s/]++|(?P<name>[A-Za-z_:][\w:.-]*+)(?:\s*+=\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'"""
    rf"""|(?P<braces>{_BRACES})))?+|{_BRACES}|(?P<end>>)"""
)
_STRING = re.compile(r"""\{\s*+(?:(?:useBaseUrl|withBase|require)\(\s*+)?+(["'`])([^"'`{}\\\n]*+)\1""")
_URL = re.compile(r"""url\(\s*+["'\\]*+([^"'()\s\\]++)""")

_IMAGES = frozenset({"img", "Img", "Image", "NextImage", "IdealImage"})
_ADDRESSES = frozenset({"src", "img", *LAZY_ADDRESSES})
_SETS = frozenset({"srcset", *LAZY_SETS})

_Value = tuple[str, Sequence[int]]  # a string, and the index in the text of each of its characters


def without_comments(text: str) -> str:
    """Return the text with dots in place of comments, so that every place stays."""
    pieces: list[str] = []
    position = 0
    while opening := _COMMENT.search(text, position):
        end = text.find(_COMMENT_END[opening[0]], opening.end())
        if end < 0:
            break  # an error in MDX; what follows is read all the same
        end += len(_COMMENT_END[opening[0]])
        pieces += [text[position : opening.start()], _VISIBLE.sub(".", text[opening.start() : end])]
        position = end
    return "".join(pieces) + text[position:]


def images(lines: list[str]) -> Iterator[tuple[str, int, int, str]]:
    """Yield each URL with its line and column, both from 0, and its field, in the order of the text.

    Args:
        lines: of a text without comments and code.
    """
    text = "\n".join(lines)
    line = start = counted = 0
    for url, offset, field in _in_text(text):
        if passed := text.count("\n", counted, offset):
            line += passed
            start = text.rfind("\n", counted, offset) + 1
        counted = offset
        yield url, line, offset - start, field


def _in_text(text: str) -> Iterator[tuple[str, int, str]]:
    position = 0
    while opening := _OPENING.search(text, position):
        position = opening.end()
        while part := _PART.match(text, position):
            position = part.end()
            if part["end"]:
                break
            if part["name"]:
                yield from _in_attribute(opening[1], part)


def _in_attribute(tag: str, part: re.Match[str]) -> Iterator[tuple[str, int, str]]:
    name = part["name"].lower()
    if name == "style" and part["braces"]:
        start = part.start("braces")
        yield from ((found[1], start + found.start(1), BODY) for found in _URL.finditer(part["braces"]))
        return
    value = _value(part)
    if value is None or not value[0].strip():
        return
    url, places = value
    if tag in _IMAGES and name in _SETS:
        yield from ((one, places[at], BODY) for one, at in srcset_urls(url))
    elif (tag in _IMAGES and name in _ADDRESSES) or name == "poster":
        yield url, places[0], BODY
    elif tag[0].isupper() and looks_like_image(url) and (is_rooted(url) or url.startswith(("./", "../"))):
        yield url, places[0], CALL


def _value(part: re.Match[str]) -> _Value | None:
    """Return the string of an attribute."""
    for group in ("double", "single"):
        if part[group] is not None:
            value, places = unescape(part[group])
            return value, [part.start(group) + at for at in places]
    if part["braces"] and (found := _STRING.match(part["braces"])):
        start = part.start("braces") + found.start(2)
        return found[2], range(start, start + len(found[2]) + 1)
    return None
