"""Finds the sections of simple front matter that may name images, with a few regular expressions.

Most front matter uses little of YAML: `key:`, `key: scalar`, `- scalar` and `- key: scalar`. A scalar is one plain
word or sentence, or a quoted string that ends on its line. Everything else is left to libyaml, which alone decides what
valid YAML is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from imgcache.scanner.frontmatter.fields import DEFAULT, IMAGE_EXTENSIONS, Fields, names_image

# The first form matches nearly all strings in half the time of the second: it only searches for a quote.
_SCALAR = (
    rb"""(?:"(?=.*"[ ]*+\r?\n)[^"]*+"(?<!\\")|"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"|'[^'\r\n]*+'|"""
    rb"""-?[A-Za-z0-9/.][^\s:]*+(?:(?::(?=\S)|[ ](?=[^\s#]))[^\s:]*+)*+)"""
)
_PAIR = rb"[A-Za-z_][A-Za-z0-9_-]*+:(?=[ \r\n])(?:[ ]++%b)?+" % _SCALAR
# A block of sections: each is a key at the left margin with lines below it that are indented or begin with a dash.
_PLAIN = re.compile(
    rb"(?:[A-Za-z_][A-Za-z0-9_-]*+:(?:[ ]++%(scalar)b)?+[ ]*+\r?\n"
    rb"(?:(?:[ ]++(?:-[ ]++)?+%(pair)b|[ ]*+-[ ]++(?:%(pair)b|%(scalar)b))?+[ ]*+\r?\n)*+)*+"
    % {b"pair": _PAIR, b"scalar": _SCALAR}
)
_TOP_KEY = re.compile(rb"\n([A-Za-z_][A-Za-z0-9_-]*+):")  # in a plain block
_FEW_KEYS = 100
_IMAGES = b"images"  # a section without this word has no list of images
# What may be an image outside of such a list: an extension, a key that names one, Markdown or HTML.
EXTENSION = re.compile(rb"\.(?:%b)(?![\w.-])" % IMAGE_EXTENSIONS.encode(), re.IGNORECASE)
_NESTED_KEY = re.compile(rb"\n[ -]++([A-Za-z_][A-Za-z0-9_-]*+):[ \r\n]")
_MARKUP = re.compile(rb"!\[|<(?:img|source|picture|video)[\s/]", re.IGNORECASE)


class Section(NamedTuple):
    """One top-level key with all lines below it. `line` counts from 1, which is the opening `---`."""

    line: int
    text: bytes


def plain_sections(lines: bytes, fields: Fields = DEFAULT) -> list[Section] | None:
    """Return the top-level keys whose lines may name images; None if any line is not plain.

    Plain means: no anchor, tag, flow or block style anywhere, no repeated top-level key, and no Markdown or HTML with
    images. Then nothing outside a section can change its meaning. A mistake in another section is not detected.

    Args:
        lines: the front matter between its fences, with the line feed before it.
        fields: what names an image beside the lists named `images`.
    """
    if not _PLAIN.fullmatch(lines, 1):
        return None
    keys = _TOP_KEY.findall(lines)
    if len(set(keys)) < len(keys):
        return None
    places: list[tuple[int, int]] = []
    at = lines.find(_IMAGES)
    while at >= 0:
        section = _section_around(lines, at)
        places.append(section)
        at = lines.find(_IMAGES, section[1])
    if not fields.reads_nothing:
        if (b"<" in lines or (b"!" in lines and b"![" in lines)) and _MARKUP.search(lines):
            return None
        more = _guessed(lines, keys, places) if fields.guesses else _listed_sections(lines, fields)
        if more and any(key.lower().endswith((b"width", b"height")) for key in keys):
            return None  # the size of an image in another section
        places = sorted({*places, *more}) if more else places
    found: list[Section] = []
    line, counted = 1, 0
    for start, end in places:
        line += lines.count(b"\n", counted, start)
        counted = start
        found.append(Section(line, lines[start:end]))
    return found


def _section_around(lines: bytes, at: int) -> tuple[int, int]:
    """Return start and end of the section around a place: lines below its key are indented, blank or items."""
    following = _TOP_KEY.search(lines, at)
    start = lines.rfind(b"\n", 0, at) + 1
    while lines[start] in b" -\r\n":
        start = lines.rfind(b"\n", 0, start - 1) + 1
    return start, following.start(1) if following else len(lines)


def _guessed(lines: bytes, keys: list[bytes], known: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the sections that may name images beside the known ones. Takes linear time."""
    found: list[tuple[int, int]] = []
    gap = 0
    for start, end in (*known, (len(lines), len(lines))):
        if start - gap > 1:
            if EXTENSION.search(lines, gap, start):
                found += _sections_with(EXTENSION, lines, gap, start)
            if _has_name(tuple(_NESTED_KEY.findall(lines, gap, start))):
                found += _sections_with(_NESTED_KEY, lines, gap, start)
        gap = end
    if _has_name(tuple(keys)):
        found += [_section_around(lines, key.start(1)) for key in _TOP_KEY.finditer(lines) if _names(key[1])]
    return found


def _sections_with(pattern: re.Pattern[bytes], lines: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    while match := pattern.search(lines, at, end):
        section = _section_around(lines, match.start() + 1)
        yield section
        at = section[1] - 1


def _has_name(keys: tuple[bytes, ...]) -> bool:
    """Return whether a key names an image. The articles of a site have the same keys."""
    return _has_name_remembered(keys) if len(keys) < _FEW_KEYS else any(map(_names, keys))


@functools.lru_cache(maxsize=512)
def _has_name_remembered(keys: tuple[bytes, ...]) -> bool:
    return any(map(_names, keys))


@functools.lru_cache(maxsize=1024)
def _names(key: bytes) -> bool:
    return key != _IMAGES and names_image(key.decode())


def _listed_sections(lines: bytes, fields: Fields) -> list[tuple[int, int]]:
    """Return the sections that the user has listed."""
    tops = fields.top_keys
    places = (found.start(1) for found in _TOP_KEY.finditer(lines) if _is_listed(found[1].decode(), tops))
    return [_section_around(lines, at) for at in places]


def _is_listed(key: str, tops: list[str]) -> bool:
    return any(fnmatchcase(key, top) for top in tops)


@functools.lru_cache(maxsize=1024)
def may_name(key: bytes) -> bool:
    """Return whether a URL without an extension may be an image under this key."""
    return DEFAULT.may_name(key.decode())
