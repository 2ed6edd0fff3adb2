"""Front matter of one plain line after another, cut into its top-level keys and read without a YAML parser.

Most front matter needs little of YAML: `key:`, `key: scalar`, `- scalar` and `- key: scalar`, a scalar being one plain
word or sentence or a quoted string that ends on its line. What is in that language is read here in a fraction of the
time that libyaml takes; all else is handed back unread, so that there is one judge of what is YAML and what is not.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from imgcache.core import Declared
from imgcache.scanner.frontmatter.entries import Entry

# The first form is that of nearly all strings, and takes half the time of the second: it looks for a quote alone.
_SCALAR = (
    rb"""(?:"(?=.*"[ ]*+\r?\n)[^"]*+"(?<!\\")|"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"|'[^'\r\n]*+'|"""
    rb"""-?[A-Za-z0-9/.][^\s:]*+(?:(?::(?=\S)|[ ](?=[^\s#]))[^\s:]*+)*+)"""
)
_PAIR = rb"[A-Za-z_][A-Za-z0-9_-]*+:(?=[ \r\n])(?:[ ]++%b)?+" % _SCALAR
# A whole block of sections: each a key at the left margin, and below it lines that are indented or begin with a dash.
_PLAIN = re.compile(
    rb"(?:[A-Za-z_][A-Za-z0-9_-]*+:(?:[ ]++%(scalar)b)?+[ ]*+\r?\n"
    rb"(?:(?:[ ]++(?:-[ ]++)?+%(pair)b|[ ]*+-[ ]++(?:%(pair)b|%(scalar)b))?+[ ]*+\r?\n)*+)*+"
    % {b"pair": _PAIR, b"scalar": _SCALAR}
)
_TOP_KEY = re.compile(rb"\n([A-Za-z_][A-Za-z0-9_-]*+):")  # in a plain block
# The same lines once more, now for what they say, and stricter: no control characters, no escapes but the commonest,
# no key near the 1,024 characters at which YAML stops looking for its colon.
_LINE = re.compile(
    rb"^([ ]*+)(-[ ]++)?+(?:([A-Za-z_][A-Za-z0-9_-]{0,99}+):(?=[ \r\n])([ ]*+))?+"
    rb"""("[^"\\\x00-\x1f\x7f]*+(?:\\["\\/nt][^"\\\x00-\x1f\x7f]*+)*+"|'[^'\x00-\x1f\x7f]*+'|"""
    rb"""-?[A-Za-z0-9/.][^\x00-\x20:\x7f]*+(?:(?::(?=\S)|[ ](?=[^\s#]))[^\x00-\x20:\x7f]*+)*+)?+[ ]*+\r?\n""",
    re.MULTILINE,
)
# Line breaks to YAML 1.1 and to no editor, and what YAML calls unprintable.
_ODD = re.compile("[\x80-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WANTED = b"images"  # where this word does not stand, there is no list of images
_FLAGS = {b"true": True, b'"true"': True, b"'true'": True, b"false": False, b'"false"': False, b"'false'": False}
_KNOWN = 64  # sections kept at hand: articles of one site name the same provider and the same author again and again
_FAR_RIGHT = 40  # a deeper indent is left to the parser, which counts the levels


class Section(NamedTuple):
    """One top-level key with all lines below it. `line` counts from 1 in the block, the opening `---` being line 1."""

    line: int
    text: bytes


def plain_sections(lines: bytes) -> list[Section] | None:
    """The top-level keys whose lines contain the word `images`; None if any line is not plain.

    Plain means no anchor, tag, flow or block style anywhere, and no top-level key twice: so nothing outside of a
    section can change its meaning. A mistake in a section without the word goes unnoticed.

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
    at = lines.find(_WANTED)
    while at >= 0:
        start = _section_start(lines, at)
        following = _TOP_KEY.search(lines, at)
        end = following.start(1) if following else len(lines)
        line += lines.count(b"\n", counted, start)
        counted = start
        found.append(Section(line, lines[start:end]))
        at = lines.find(_WANTED, end)
    return found


def _section_start(lines: bytes, at: int) -> int:
    """Where the top-level key stands that a place belongs to: the lines below it are indented, blank or items."""
    while True:
        start = lines.rfind(b"\n", 0, at) + 1
        if lines[start] not in b" -\r\n":
            return start
        at = start - 1


class _Unclear(Exception):
    """What a value means is for a YAML parser to say."""


class _Open:
    """A mapping or a sequence whose lines are being read.

    `rank` orders what may stand inside what: a mapping in column c has rank 2c, a sequence 2c + 1. `key` is the last
    key of a mapping, as long as nothing has been its value.
    """

    __slots__ = ("field", "in_images", "key", "rank", "values")

    def __init__(self, rank: int, field: str, *, in_images: bool) -> None:
        self.rank = rank
        self.field = field
        self.in_images = in_images
        self.key = b""
        self.values: dict[bytes, tuple[bytes, int, int]] = {}  # scalar, line, column


def plain_entries(sections: list[Section]) -> list[Entry] | None:
    """Every image of plain sections, as `entries` finds them; None where that is not plain to see."""
    found: list[Entry] = []
    try:
        for first, text in sections:
            found += [
                Entry(url, field, first + line, column, declared, is_cached, flaggable)
                for url, field, line, column, declared, is_cached, flaggable, _, _, _ in _entries(text)
            ]
    except _Unclear:
        return None
    return found


@functools.lru_cache(maxsize=_KNOWN)
def _entries(text: bytes) -> tuple[Entry, ...]:
    """Every image of one section, its first line being line 0. Raises _Unclear."""
    found = [one if isinstance(one, Entry) else _entry(one) for one in _images([Section(0, text)])]
    return tuple([entry for entry in found if entry])


def flag_places(sections: list[Section]) -> dict[tuple[int, int], tuple[int, int]] | None:
    """Where the flag of each entry belongs that has none: after which line, and how many columns in.

    By the line and column of the entry's URL; None where that is not plain to see.
    """
    try:
        mappings = [found for found in _images(sections) if isinstance(found, _Open)]
    except _Unclear:
        return None
    places: dict[tuple[int, int], tuple[int, int]] = {}
    for mapping in mappings:
        own = [mapping.values[name] for name in (b"url", b"width", b"height") if name in mapping.values]
        if b"url" in mapping.values and b"isCached" not in mapping.values and all(scalar for scalar, _, _ in own):
            _, line, column = mapping.values[b"url"]
            places[line, column] = max(number for _, number, _ in own), mapping.rank // 2
    return places


def _images(sections: list[Section]) -> list[Entry | _Open]:
    """Bare URLs and mappings where an image may stand. Raises _Unclear."""
    found: list[Entry | _Open] = []
    for section in sections:
        lines = _LINE.findall(section.text)
        if len(lines) != section.text.count(b"\n"):
            raise _Unclear
        if not section.text.isascii() and _ODD.search(section.text.decode()):
            raise _Unclear
        found += _in_lines(lines, section.line)
    return found


def _in_lines(lines: list[tuple[bytes, bytes, bytes, bytes, bytes]], line: int) -> list[Entry | _Open]:
    """Bare URLs, and the mappings that stand where an image may, in the order of the lines.

    Raises:
        _Unclear: the indents are none of a plain tree, or a key comes twice.
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
        if column > _FAR_RIGHT or key in mapping.values:
            raise _Unclear
        if mapping.in_images and not mapping.values:
            found.append(mapping)
        at = column + len(key) + len(gap) + 2
        mapping.values[key] = (scalar, number, at)
        mapping.key = b"" if scalar else key
        if scalar and key == b"images":
            found += _bare(scalar, _path(mapping.field, key), number, at)
    return found


def _opened(stack: list[_Open], rank: int) -> _Open:
    """The collection of this rank that a line belongs to: one that is open, or a new one as the value of a key."""
    top = stack[-1]
    while top.rank > rank:
        stack.pop()
        top = stack[-1]
    if top.rank == rank:
        return top
    if not top.key:
        raise _Unclear
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
        raise _Unclear
    declared = Declared(_pixels(values.get(b"width")), _pixels(values.get(b"height")))
    return Entry(text, mapping.field, line, column, declared, _FLAGS[flag[0]] if flag else None, flaggable=True)


def _text(scalar: bytes) -> str:
    """What a scalar says if it is a string. Plain ones that may be YAML's numbers, dates and words are not clear."""
    if scalar.startswith((b'"', b"'")):
        if b"\\" in scalar and scalar.startswith(b'"'):
            raise _Unclear
        return scalar[1:-1].decode()
    if scalar and b"/" not in scalar and not (scalar[:1].isalpha() and len(scalar) > len("false")):
        raise _Unclear
    return scalar.decode()


def _pixels(value: tuple[bytes, int, int] | None) -> int | None:
    if not value:
        return None
    scalar = value[0]
    digits = scalar[1:-1] if scalar.startswith((b'"', b"'")) else scalar
    return int(digits) if digits.isdigit() and len(digits) < 10 and digits[0] != 0x30 else None
