"""Finds every image that HTML names: in images of all kinds, in attributes for scripts, and in styles. Pure.

Nearly all texts have only `<img>` and `<source>`, which `html.py` finds at several times the speed. Here each tag is
read where one of the rarer names is in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgcache.scanner.markup import css
from imgcache.scanner.markup.character_references import unescape
from imgcache.scanner.markup.html import ATTRIBUTES, COMMENT_END, OTHER_COMMENT, SPACE, end_of_text, srcset_urls
from imgcache.scanner.markup.names import BACKGROUNDS, LAZY_ADDRESSES, LAZY_SETS, looks_like_image
from imgcache.scanner.markup.quick import has_css

# Tags that name no image for sure: by their name, and by attributes that hold neither an address nor CSS with brackets.
# The usual names stand first. Names that begin like those of images and of elements with text are read one by one.
_PLAIN_NAME = (
    rf"(?:t[dr]|p|a|div|span|b|br|strong|table)(?=[{SPACE}/>])|(?!i[mnf]|s[oc]|sty|t[ie]|x|no|pl|vi)[a-z][a-z0-9]*+"
)
_PLAIN_ATTRIBUTES = rf"""(?:[{SPACE}]++(?:style="[^"(]*+"|(?!style|background|data|poster|src)[a-z-]++="[^"]*+"))*+"""
_PLAIN_TAG = rf"""<(?:{_PLAIN_NAME}){_PLAIN_ATTRIBUTES}[{SPACE}]*+/?+>"""
_PLAIN_SOURCE = rf"""src="([^"{SPACE}&{{][^"{SPACE}&{{]*+)\""""
_PLAIN_IMAGE = rf"<img{_PLAIN_ATTRIBUTES}[{SPACE}]++{_PLAIN_SOURCE}{_PLAIN_ATTRIBUTES}[{SPACE}]*+/?+>"
# All that names no image, then the image if it is like most.
_TO_IMAGE = re.compile(
    rf"(?:[^<]*+(?:</[a-zA-Z][a-zA-Z0-9]*+>|{_PLAIN_TAG}|<(?![a-zA-Z/!?])|{OTHER_COMMENT}))*+[^<]*+(?:{_PLAIN_IMAGE})?+"
)
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
# Sheets of newsletters are long, and often name fonts and other sheets alone: then they need not be read by tokens.
_NO_IMAGES = re.compile(
    r"@import(?:[^;{}@]|@(?!import))*+;|@font-face\s*+\{[^{}]*+\}|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)", re.IGNORECASE
)
# CSS without these has no strings, comments, escapes and rules: there `url()` means the same everywhere.
_SPECIAL = re.compile(r"""["'\\@]|/\*|image-set""", re.IGNORECASE)
_PLAIN_URL = re.compile(
    rf"(?<![\w\x80-\U0010ffff-])url\([{SPACE}]*+([^{SPACE}()]++)[{SPACE}]*+(?:\)|\Z)", re.IGNORECASE
)

_IMAGES = frozenset({"img", "amp-img", "amp-anim"})
_SETS = frozenset({"srcset", *LAZY_SETS})
_LAZY = frozenset(LAZY_ADDRESSES)
_BACKGROUNDS = frozenset({"background", *BACKGROUNDS})
_OTHER_MEDIA = frozenset({"iframe", "script", "video", "audio", "track", "embed", "object"})

_Raw = tuple[str, int]  # a value as it is written, and the index of its first character


def image_urls(text: str) -> Iterator[tuple[str, int]]:
    """Yield each URL with the index of its first character in `text`, decoded, without empty and templated ones."""
    position = 0
    while found := _TO_IMAGE.match(text, position):
        position = found.end()
        if found[1]:
            yield found[1], found.start(1)
        elif tag := _TAG.match(text, position):
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
            return  # the end of the file, or an unclosed tag, which is no tag


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
            is_css = has_css(raw[0])
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
    if not has_css(text) or ("@" in text and not has_css(_NO_IMAGES.sub("", text))):
        return
    if _SPECIAL.search(text):
        found = [(css.unescaped(text[one.start : one.end]), one.start) for one in css.addresses(text)]
    else:  # as nearly all attributes are
        found = [(one[1], one.start(1)) for one in _PLAIN_URL.finditer(text)]
    for url, start in found:
        if url.strip(SPACE) and not url.startswith("#") and not url.lower().endswith(_ICON):
            yield url, places[start]
