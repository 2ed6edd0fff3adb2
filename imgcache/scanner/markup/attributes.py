"""Finds every image that HTML names: in images of all kinds, in attributes for scripts, and in styles. Pure.

Nearly all texts have only `<img>` and `<source>`, which `html.py` finds at several times the speed. Here each tag is
read where one of the rarer names is in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgcache.scanner.markup import css, html
from imgcache.scanner.markup.character_references import unescape
from imgcache.scanner.markup.html import ATTRIBUTES, COMMENT_END, SPACE, end_of_text, srcset_urls
from imgcache.scanner.markup.names import BACKGROUNDS, LAZY_ADDRESSES, LAZY_SETS, looks_like_image
from imgcache.scanner.markup.quick import names_rarely

# Tags that name no image for sure: usual names, and attributes that hold neither an address nor a function of CSS.
_PLAIN_NAMES = (
    r"a|abbr|article|b|blockquote|body|br|center|code|dd|div|dl|dt|em|figcaption|figure|font|footer|h[1-6r]|head|header|"
    r"html|i|li|link|main|meta|nav|ol|p|picture|pre|section|small|span|strong|sub|sup|t(?:able|body|d|foot|h|head|r)|u|ul"
)
_PLAIN_TAG = (
    rf"""<(?:{_PLAIN_NAMES})(?:[{SPACE}]++(?:style="[^"(]*+"|(?!style|background|data|poster)[a-z-]++="[^"]*+"))*+"""
    rf"""[{SPACE}]*+/?+>"""
)
_PLAIN = re.compile(rf"(?:[^<]*+(?:</[a-zA-Z][a-zA-Z0-9]*+>|{_PLAIN_TAG}|<(?![a-zA-Z/!?])))*+[^<]*+")
_TAG = re.compile(rf"<(/?+[a-zA-Z][^{SPACE}/>]*+)({ATTRIBUTES})>")
_ATTRIBUTE = re.compile(
    rf"[{SPACE}/]++|([^{SPACE}/>][^{SPACE}/>=]*+)(?:[{SPACE}]*+=[{SPACE}]*+"
    rf"""(?:"([^"]*+)(?:"|\Z)|'([^']*+)(?:'|\Z)|([^{SPACE}"'>][^{SPACE}>]*+))?+)?+"""
)
_OTHER = re.compile(r"<(?:!|\?|/(?![a-zA-Z]))")  # a comment up to `>` (sections 13.2.5.6, .7 and .41)
_TEXT_ELEMENTS = frozenset(
    {"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"}
)
_ICON = ".ico"  # beside text, in styles: a symbol of the page's design, which has neither sizes nor variants
_IN_STYLE = re.compile(r"url\(|image-set\(", re.IGNORECASE)

_IMAGES = frozenset({"img", "amp-img", "amp-anim"})
_SETS = frozenset({"srcset", *LAZY_SETS})
_LAZY = frozenset(LAZY_ADDRESSES)
_BACKGROUNDS = frozenset({"background", *BACKGROUNDS})
_OTHER_MEDIA = frozenset({"iframe", "script", "video", "audio", "track", "embed", "object"})

_Raw = tuple[str, int]  # a value as it is written, and the index of its first character


def image_urls(text: str) -> Iterator[tuple[str, int]]:
    """Yield each URL with the index of its first character in `text`, decoded, without empty and templated ones."""
    return _all_urls(text) if names_rarely(text) else html.image_urls(text)


def _all_urls(text: str) -> Iterator[tuple[str, int]]:
    position = _after_plain(text, 0)
    while position < len(text):
        if tag := _TAG.match(text, position):
            name = tag[1].lower()
            yield from _urls_of_tag(name, tag[2], tag.start(2))
            position = tag.end()
            if name in _TEXT_ELEMENTS:
                position = end_of_text(text, name, tag.end())
                if name == "style":
                    yield from _in_css(text[tag.end() : position], range(tag.end(), position + 1))
        elif text.startswith("<!--", position):
            closing = COMMENT_END.search(text, position + 2)
            position = closing.end() if closing else len(text)
        elif _OTHER.match(text, position):
            end = text.find(">", position)
            position = end + 1 if end >= 0 else len(text)
        else:
            return  # an unclosed tag, which is no tag
        position = _after_plain(text, position)


def _after_plain(text: str, position: int) -> int:
    """Return the place of the next tag that may name an image, or of a comment; the end if there is none."""
    found = _PLAIN.match(text, position)
    return found.end() if found else len(text)


def _urls_of_tag(tag: str, attributes: str, base: int) -> Iterator[tuple[str, int]]:
    if "=" not in attributes:
        return
    values: dict[str, _Raw] = {}
    for found in _ATTRIBUTE.finditer(attributes):
        group = found.lastindex or 0
        if found[1]:  # the first of two attributes counts (section 13.2.5.33)
            raw = (found[group], base + found.start(group)) if group > 1 else ("", 0)
            values.setdefault(found[1].lower(), raw)
    for name, raw in values.items():
        if not raw[0] or "{{" in raw[0] or "{%" in raw[0]:
            continue
        if name == "style":
            yield from _in_style(raw)
        elif name in _SETS and (tag in _IMAGES or tag == "source"):
            value, places = unescape(raw[0])
            yield from ((url, raw[1] + places[at]) for url, at in srcset_urls(value))
        elif _holds_image(tag, name, values):
            yield from _address(raw)
        elif name in _LAZY and tag not in _OTHER_MEDIA:
            yield from (one for one in _address(raw) if looks_like_image(one[0]))
        elif name in _BACKGROUNDS:
            is_css = _IN_STYLE.search(raw[0])
            yield from _in_style(raw) if is_css else (one for one in _address(raw) if looks_like_image(one[0]))


def _holds_image(tag: str, name: str, values: dict[str, _Raw]) -> bool:
    """Whether this attribute is the address of an image, whatever its name looks like."""
    if tag in _IMAGES:
        return name == "src" or name in _LAZY
    if tag in {"video", "amp-video"}:
        return name in {"poster", "data-poster"}
    if tag in {"image", "feimage"}:
        return name in {"href", "xlink:href"}
    return tag == "input" and name == "src" and values.get("type", ("", 0))[0].strip(SPACE).lower() == "image"


def _address(raw: _Raw) -> Iterator[tuple[str, int]]:
    value, places = unescape(raw[0])
    if url := value.strip(SPACE):
        yield url, raw[1] + places[len(value) - len(value.lstrip(SPACE))]


def _in_style(raw: _Raw) -> Iterator[tuple[str, int]]:
    value, places = unescape(raw[0])
    yield from ((url, raw[1] + at) for url, at in _in_css(value, places))


def _in_css(text: str, places: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield the images of CSS, each with the place of its first character; `url(#a)` is a part of the page itself."""
    if not _IN_STYLE.search(text):
        return
    for one in css.addresses(text):
        url = css.unescaped(text[one.start : one.end])
        if url.strip(SPACE) and not url.startswith("#") and not url.lower().endswith(_ICON):
            yield url, places[one.start]
