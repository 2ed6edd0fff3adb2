"""The edit that nearly all articles need, without a YAML parser: a flag where there was none, in plain lines.

A fifth of the time of an edit at the marks of nodes. Whatever else is to be done, or is not plain, is left to that.
"""

from __future__ import annotations

from collections.abc import Sequence

from imgcache.core import Declared, Edit
from imgcache.scanner.frontmatter.entries import Entry
from imgcache.scanner.frontmatter.plain_lines import Section, flag_places, plain_entries
from imgcache.scanner.frontmatter.reading import outline
from imgcache.scanner.frontmatter.yaml_marks import has_lone_cr

_Said = tuple[str, str, Declared, bool | None]


def flagged(data: bytes, edits: Sequence[Edit]) -> bytes | None:
    """The file with `isCached: true` in every entry that is named; None where that is not plain to do.

    Raises:
        ArticleUnreadable: the file cannot be read.
    """
    if not all(edit.flag and edit.size is None and edit.url is None and edit.was is None for edit in edits):
        return None
    sections = _plain(data)
    found = None if sections is None else plain_entries(sections)
    places = None if sections is None else flag_places(sections)
    named = {(edit.line, edit.column) for edit in edits}
    if found is None or places is None or not named <= places.keys():
        return None
    edited = _with_lines(data, dict(places[place] for place in named))
    expected = [(*_said(e)[:-1], (e.line, e.column) in named or e.is_cached) for e in found]
    return edited if _says(_plain(edited), expected) else None


def _plain(data: bytes) -> list[Section] | None:
    return None if has_lone_cr(data) else outline(data).sections


def _with_lines(data: bytes, indents: dict[int, int]) -> bytes:
    """A flag's line after each of these lines, at its indent, ended as the line before it is."""
    pieces: list[bytes] = []
    position = number = kept = 0
    for last in sorted(indents):
        while number < last:
            position = data.index(b"\n", position) + 1
            number += 1
        line_end = b"\r\n" if data[position - 2 : position] == b"\r\n" else b"\n"
        pieces += [data[kept:position], b" " * indents[last], b"isCached: true", line_end]
        kept = position
    return b"".join([*pieces, data[kept:]])


def _says(sections: list[Section] | None, expected: list[_Said]) -> bool:
    found = None if sections is None else plain_entries(sections)
    return found is not None and [_said(entry) for entry in found] == expected


def _said(entry: Entry) -> _Said:
    return entry.url, entry.field, entry.declared, entry.is_cached
