"""Reads the images of simple front matter, line by line, without a YAML parser.

It takes a fraction of the time that libyaml takes. `plain_sections` says which lines can be read so.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from imgcache.core import Declared, Reference
from imgcache.scanner.frontmatter.entries import Entry
from imgcache.scanner.frontmatter.fields import (
    DEFAULT,
    Fields,
    Verdict,
    first_of,
    size_keys,
    without_links,
)
from imgcache.scanner.frontmatter.plain_sections import EXTENSION, Section, may_name

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
_FLAGS = {b"true": True, b'"true"': True, b"'true'": True, b"false": False, b'"false"': False, b"'false'": False}
_CACHED_SECTIONS = 64  # many articles of a site repeat the same provider and the same author
_MAX_INDENT = 40  # a deeper indent is left to the parser, which counts the levels


class _NeedsParser(Exception):
    """Only a YAML parser can decide what a value means."""


class _Open:
    """A mapping or a sequence whose lines are being read.

    `rank` orders what may be nested in what: a mapping in column c has rank 2c, a sequence 2c + 1. `key` is the last
    key of a mapping while it has no value yet.
    """

    __slots__ = ("field", "in_images", "key", "named", "rank", "values")

    def __init__(self, rank: int, field: str, *, in_images: bool) -> None:
        self.rank = rank
        self.field = field
        self.in_images = in_images
        self.key = b""
        self.values: dict[bytes, tuple[bytes, int, int]] = {}  # scalar, line, column
        self.named: list[tuple[bytes, str, Verdict]] = []  # keys and texts of images beside lists named `images`


class PlainImage(NamedTuple):
    """An image in plain lines. `mapping`: the values of its entry that may carry a flag, None for any other image."""

    entry: Entry
    mapping: _Open | None = None

    @property
    def flag_place(self) -> tuple[int, int] | None:
        """The line after which a flag goes, and its indent; None if it has a flag, or must not have one."""
        if self.mapping is None:
            return None
        values = self.mapping.values
        own = [values[key] for key in (name.encode() for name in self.entry.keys) if key in values]
        if b"isCached" in values or not all(scalar for scalar, _, _ in own):
            return None
        shift = self.entry.line - values[self.entry.keys.url.encode()][1]
        return max(line for _, line, _ in own) + shift, self.mapping.rank // 2


def plain_images(sections: list[Section], fields: Fields = DEFAULT) -> list[PlainImage] | None:
    """Return every image of plain sections; None if a parser is needed."""
    try:
        return [
            image._replace(entry=image.entry._replace(line=first + image.entry.line))
            for first, text in sections
            for image in _images(text, fields)
        ]
    except _NeedsParser:
        return None


def plain_references(sections: list[Section], article: str, fields: Fields = DEFAULT) -> tuple[Reference, ...] | None:
    """Return every image of plain sections as a reference of an article; None if a parser is needed."""
    try:
        return tuple(
            [
                Reference(
                    url=entry.url,
                    article=article,
                    line=first + entry.line,
                    column=entry.column,
                    field=entry.field,
                    declared=entry.declared,
                    is_cached=entry.is_cached,
                    flaggable=entry.flaggable,
                    list_field=entry.list_field,
                    guessed=entry.guessed,
                )
                for first, text in sections
                for entry, _ in _images(text, fields)
            ]
        )
    except _NeedsParser:
        return None


@functools.lru_cache(maxsize=_CACHED_SECTIONS)
def _images(text: bytes, fields: Fields) -> tuple[PlainImage, ...]:
    """Return every image of one section, whose first line is line 0. Raises _NeedsParser."""
    lines = _LINE.findall(text)
    if len(lines) != text.count(b"\n"):
        raise _NeedsParser
    if not text.isascii() and _SPECIAL.search(text.decode()):
        raise _NeedsParser
    found = _in_lines(lines, fields)
    return tuple(found) if len(found) < 2 else tuple(sorted(found, key=lambda image: image.entry[2:4]))


def _in_lines(lines: list[tuple[bytes, bytes, bytes, bytes, bytes]], fields: Fields) -> list[PlainImage]:
    """Return every image of the lines, in no particular order.

    Raises:
        _NeedsParser: the indents form no plain tree, or a key is repeated.
    """
    found: list[PlainImage] = []
    mappings: list[_Open] = []
    stack = [_Open(0, "", in_images=False)]
    guesses, lists = fields.guesses, not fields.guesses and not fields.reads_nothing
    for number, (lead, dash, key, gap, scalar) in enumerate(lines):
        if not key and not scalar:
            continue
        column = len(lead)
        if dash:
            sequence = _opened(stack, 2 * column + 1)
            if not key:
                found += _bare(scalar, sequence, number, column + len(dash) + 1, fields)
                continue
            column += len(dash)
            mapping = _Open(2 * column, sequence.field, in_images=sequence.in_images)
            stack.append(mapping)
        else:
            mapping = _opened(stack, 2 * column)
        if column > _MAX_INDENT or key in mapping.values:
            raise _NeedsParser
        if not mapping.values:
            mappings.append(mapping)
        at = column + len(key) + len(gap) + 2
        mapping.values[key] = (scalar, number, at)
        mapping.key = b"" if scalar else key
        if not scalar or (mapping.in_images and key == b"url"):
            continue
        if (guesses and (b"//" in scalar or may_name(key))) or lists or key == b"images":
            found += _value(mapping, key, fields)
    for mapping in mappings:
        if mapping.in_images or mapping.named:
            found += _of_mapping(mapping)
    return found


def _value(mapping: _Open, key: bytes, fields: Fields) -> list[PlainImage]:
    """Return the image that is the value of the key `images`; another one is noted in its mapping.

    Raises:
        _NeedsParser: only a parser can read the value.
    """
    scalar, line, column = mapping.values[key]
    if key != b"images":
        mapping.named += _named(mapping, key, scalar, fields)
        return []
    url, field = _text(scalar), _path(mapping.field, key)
    return [PlainImage(Entry(url, field, line, column, list_field=field))] if url else []


def _named(mapping: _Open, key: bytes, scalar: bytes, fields: Fields) -> list[tuple[bytes, str, Verdict]]:
    """Return a key with its text if it names an image. Raises _NeedsParser."""
    if fields.guesses and not (EXTENSION.search(scalar) or may_name(key)):
        return []
    text = _text(scalar)
    verdict = fields.judge(_path(mapping.field, key), text) if text else Verdict.NOTHING
    return [(key, text, verdict)] if verdict in {Verdict.GUESSED, Verdict.CERTAIN} else []


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


def _bare(scalar: bytes, sequence: _Open, line: int, column: int, fields: Fields) -> list[PlainImage]:
    """Return an item of a list that is no mapping, if it is an image. Raises _NeedsParser."""
    verdict, url, field = Verdict.CERTAIN, "", sequence.field
    if sequence.in_images:
        url = _text(scalar)
    elif not fields.reads_nothing and (b"/" in scalar or b"." in scalar or not fields.guesses):
        url = _text(scalar)
        verdict = fields.judge(field, url)
    if not url or verdict not in {Verdict.GUESSED, Verdict.CERTAIN}:
        return []
    is_guess = verdict is Verdict.GUESSED
    return [PlainImage(Entry(url, field, line, column, list_field=field, guessed=is_guess))]


def _of_mapping(mapping: _Open) -> list[PlainImage]:
    """Return the images of a mapping. Raises _NeedsParser."""
    listed = _listed(mapping) if mapping.in_images else []
    if not mapping.named:
        return listed
    named = {key.decode(): (text, verdict) for key, text, verdict in mapping.named if not (listed and key == b"url")}
    images = without_links(named)
    first, known = "" if listed else first_of([*images]), [key.decode() for key in mapping.values]
    found = listed
    for key, verdict in images.items():
        text, raw = named[key][0], key.encode()
        names = size_keys(key, known, is_first=key == first)
        _, line, column = mapping.values[raw]
        has_flag = key == first and bool(mapping.field)
        entry = Entry(
            url=text,
            field=_path(mapping.field, raw),
            line=line,
            column=column,
            declared=Declared(*(_pixels(mapping.values.get(name.encode())) for name in names[1:])),
            is_cached=_flag(mapping) if has_flag else None,
            flaggable=has_flag,
            list_field=mapping.field,
            guessed=verdict is Verdict.GUESSED,
            keys=names,
        )
        found = [*found, PlainImage(entry, mapping if has_flag else None)]
    return found


def _listed(mapping: _Open) -> list[PlainImage]:
    """Return an entry of a list named `images`. Raises _NeedsParser."""
    values = mapping.values
    url, line, column = values.get(b"url", (b"", 0, 0))
    text = _text(url)
    if not text:
        return []
    if b"focus" in values:
        raise _NeedsParser
    entry = Entry(
        url=text,
        field=mapping.field,
        line=line,
        column=column,
        declared=Declared(_pixels(values.get(b"width")), _pixels(values.get(b"height"))),
        is_cached=_flag(mapping),
        flaggable=True,
        list_field=mapping.field,
    )
    return [PlainImage(entry, mapping)]


def _flag(mapping: _Open) -> bool | None:
    """Return the flag of an entry. Raises _NeedsParser."""
    flag = mapping.values.get(b"isCached")
    if flag is None:
        return None
    if flag[0] not in _FLAGS:
        raise _NeedsParser
    return _FLAGS[flag[0]]


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
