"""Reads simple front matter, line by line, without a YAML parser.

Most front matter uses little of YAML: `key:`, `key: scalar`, `- scalar` and `- key: scalar`. A scalar is one plain
word or sentence, or a quoted string that ends on its line. This subset is read here in a fraction of the time that
libyaml takes. Everything else is left to libyaml, which alone decides what valid YAML is.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from imgcache.core import Declared
from imgcache.scanner.frontmatter.entries import Entry

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
# The same lines for their content, and stricter: no control characters, only the most common escapes, no key near the
# 1,024 characters after which YAML no longer accepts its colon.
_LINE = re.compile(
    rb"^([ ]*+)(-[ ]++)?+(?:([A-Za-z_][A-Za-z0-9_-]{0,99}+):(?=[ \r\n])([ ]*+))?+"
    rb"""("[^"\\\x00-\x1f\x7f]*+(?:\\["\\/nt][^"\\\x00-\x1f\x7f]*+)*+"|'[^'\x00-\x1f\x7f]*+'|"""
    rb"""-?[A-Za-z0-9/.][^\x00-\x20:\x7f]*+(?:(?::(?=\S)|[ ](?=[^\s#]))[^\x00-\x20:\x7f]*+)*+)?+[ ]*+\r?\n""",
    re.MULTILINE,
)
# Line breaks in YAML 1.1, but in no editor, and what YAML calls unprintable.
_SPECIAL = re.compile("[\x80-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_IMAGES = b"images"  # a section without this word has no list of images
_FLAGS = {b"true": True, b'"true"': True, b"'true'": True, b"false": False, b'"false"': False, b"'false'": False}
_CACHED_SECTIONS = 64  # many articles of a site repeat the same provider and the same author
_MAX_INDENT = 40  # a deeper indent is left to the parser, which counts the levels


class Section(NamedTuple):
    """One top-level key with all lines below it. `line` counts from 1, which is the opening `---`."""

    line: int
    text: bytes


def plain_sections(lines: bytes) -> list[Section] | None:
    """Return the top-level keys whose lines contain the word `images`; None if any line is not plain.

    Plain means: no anchor, tag, flow or block style anywhere, and no repeated top-level key. Then nothing outside a
    section can change its meaning. A mistake in a section without the word is not detected.

    Args:
        lines: the front matter between its fences, with the line feed before it.
    """
    if not _PLAIN.fullmatch(lines, 1):
        return None
    keys = _TOP_KEY.findall(lines)
    if len(set(keys)) < len(keys):
        return None
    found: list[Section] = []
    line, counted = 1, 0
    at = lines.find(_IMAGES)
    while at >= 0:
        start = _section_start(lines, at)
        following = _TOP_KEY.search(lines, at)
        end = following.start(1) if following else len(lines)
        line += lines.count(b"\n", counted, start)
        counted = start
        found.append(Section(line, lines[start:end]))
        at = lines.find(_IMAGES, end)
    return found


def _section_start(lines: bytes, at: int) -> int:
    """Return the start of the section around a place: the lines below its key are indented, blank or items."""
    while True:
        start = lines.rfind(b"\n", 0, at) + 1
        if lines[start] not in b" -\r\n":
            return start
        at = start - 1


class _NeedsParser(Exception):
    """Only a YAML parser can decide what a value means."""


class _Open:
    """A mapping or a sequence whose lines are being read.

    `rank` orders what may be nested in what: a mapping in column c has rank 2c, a sequence 2c + 1. `key` is the last
    key of a mapping while it has no value yet.
    """

    __slots__ = ("field", "in_images", "key", "rank", "values")

    def __init__(self, rank: int, field: str, *, in_images: bool) -> None:
        self.rank = rank
        self.field = field
        self.in_images = in_images
        self.key = b""
        self.values: dict[bytes, tuple[bytes, int, int]] = {}  # scalar, line, column


def plain_entries(sections: list[Section]) -> list[Entry] | None:
    """Return every image of plain sections, like `entries`; None if a parser is needed."""
    found: list[Entry] = []
    try:
        for first, text in sections:
            found += [
                Entry(
                    url=entry.url,
                    field=entry.field,
                    line=first + entry.line,
                    column=entry.column,
                    declared=entry.declared,
                    is_cached=entry.is_cached,
                    flaggable=entry.flaggable,
                )
                for entry in _entries(text)
            ]
    except _NeedsParser:
        return None
    return found


@functools.lru_cache(maxsize=_CACHED_SECTIONS)
def _entries(text: bytes) -> tuple[Entry, ...]:
    """Return every image of one section, whose first line is line 0. Raises _NeedsParser."""
    found = [one if isinstance(one, Entry) else _entry(one) for one in _images([Section(0, text)])]
    return tuple([entry for entry in found if entry])


def flag_places(sections: list[Section]) -> dict[tuple[int, int], tuple[int, int]] | None:
    """Return where to insert a flag in each entry that has none; None if a parser is needed.

    Returns:
        The line after which it goes and its indent, by the line and column of the URL of the entry.
    """
    try:
        mappings = [found for found in _images(sections) if isinstance(found, _Open)]
    except _NeedsParser:
        return None
    places: dict[tuple[int, int], tuple[int, int]] = {}
    for mapping in mappings:
        own = [mapping.values[name] for name in (b"url", b"width", b"height") if name in mapping.values]
        if b"url" in mapping.values and b"isCached" not in mapping.values and all(scalar for scalar, _, _ in own):
            _, line, column = mapping.values[b"url"]
            places[line, column] = max(number for _, number, _ in own), mapping.rank // 2
    return places


def _images(sections: list[Section]) -> list[Entry | _Open]:
    """Return bare URLs and mappings in places of images. Raises _NeedsParser."""
    found: list[Entry | _Open] = []
    for section in sections:
        lines = _LINE.findall(section.text)
        if len(lines) != section.text.count(b"\n"):
            raise _NeedsParser
        if not section.text.isascii() and _SPECIAL.search(section.text.decode()):
            raise _NeedsParser
        found += _in_lines(lines, section.line)
    return found


def _in_lines(lines: list[tuple[bytes, bytes, bytes, bytes, bytes]], line: int) -> list[Entry | _Open]:
    """Return bare URLs and mappings in places of images, in the order of the lines.

    Raises:
        _NeedsParser: the indents form no plain tree, or a key is repeated.
    """
    found: list[Entry | _Open] = []
    stack = [_Open(0, "", in_images=False)]
    for number, (lead, dash, key, gap, scalar) in enumerate(lines, line):
        if not key and not scalar:
            continue
        column = len(lead)
        if dash:
            sequence = _opened(stack, 2 * column + 1)
            if not key:
                if sequence.in_images:
                    found += _bare(scalar, sequence.field, number, column + len(dash) + 1)
                continue
            column += len(dash)
            mapping = _Open(2 * column, sequence.field, in_images=sequence.in_images)
            stack.append(mapping)
        else:
            mapping = _opened(stack, 2 * column)
        if column > _MAX_INDENT or key in mapping.values:
            raise _NeedsParser
        if mapping.in_images and not mapping.values:
            found.append(mapping)
        at = column + len(key) + len(gap) + 2
        mapping.values[key] = (scalar, number, at)
        mapping.key = b"" if scalar else key
        if scalar and key == b"images":
            found += _bare(scalar, _path(mapping.field, key), number, at)
    return found


def _opened(stack: list[_Open], rank: int) -> _Open:
    """Return the collection of this rank around a line: one that is open, or a new one as the value of a key."""
    top = stack[-1]
    while top.rank > rank:
        stack.pop()
        top = stack[-1]
    if top.rank == rank:
        return top
    if not top.key:
        raise _NeedsParser
    inner = _Open(rank, _path(top.field, top.key), in_images=top.key == b"images")
    top.key = b""
    stack.append(inner)
    return inner


def _path(field: str, key: bytes) -> str:
    return f"{field}.{key.decode()}" if field else key.decode()


def _bare(scalar: bytes, field: str, line: int, column: int) -> list[Entry]:
    url = _text(scalar)
    return [Entry(url, field, line, column)] if url else []


def _entry(mapping: _Open) -> Entry | None:
    values = mapping.values
    url, line, column = values.get(b"url", (b"", 0, 0))
    text = _text(url)
    if not text:
        return None
    flag = values.get(b"isCached")
    if (flag and flag[0] not in _FLAGS) or b"focus" in values:
        raise _NeedsParser
    declared = Declared(_pixels(values.get(b"width")), _pixels(values.get(b"height")))
    return Entry(text, mapping.field, line, column, declared, _FLAGS[flag[0]] if flag else None, flaggable=True)


def _text(scalar: bytes) -> str:
    """Return the value of a string. Plain scalars that may be numbers, dates or words of YAML need a parser."""
    if scalar.startswith((b'"', b"'")):
        if b"\\" in scalar and scalar.startswith(b'"'):
            raise _NeedsParser
        return scalar[1:-1].decode()
    if scalar and b"/" not in scalar and not (scalar[:1].isalpha() and len(scalar) > len("false")):
        raise _NeedsParser
    return scalar.decode()


def _pixels(value: tuple[bytes, int, int] | None) -> int | None:
    if not value:
        return None
    scalar = value[0]
    digits = scalar[1:-1] if scalar.startswith((b'"', b"'")) else scalar
    return int(digits) if digits.isdigit() and len(digits) < 10 and digits[0] != 0x30 else None
