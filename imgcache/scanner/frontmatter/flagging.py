"""Sets flags in plain lines without a YAML parser: the edit that nearly all articles need.

It takes a fifth of the time of an edit at the marks of nodes, which saves 13 % of a sync that sets the flags of a whole
site. All other edits, and all text that is not plain, are left to the parser.
"""

from __future__ import annotations

from collections.abc import Sequence

from imgcache.core import Declared, Edit
from imgcache.scanner.frontmatter.entries import Entry
from imgcache.scanner.frontmatter.fields import DEFAULT, Fields
from imgcache.scanner.frontmatter.plain_lines import PlainImage, plain_images
from imgcache.scanner.frontmatter.reading import outline
from imgcache.scanner.frontmatter.yaml_marks import has_lone_cr

_Content = tuple[str, str, Declared, bool | None]


def flagged(data: bytes, edits: Sequence[Edit], fields: Fields = DEFAULT) -> bytes | None:
    """Return the file with `isCached: true` in every entry that an edit names; None if a parser is needed.

    Args:
        data: the whole file.
        edits: the edits of its front matter.
        fields: what names an image.

    Raises:
        ArticleUnreadable: the file cannot be read.
    """
    if not all(edit.flag and edit.size is None and edit.url is None and edit.was is None for edit in edits):
        return None
    found = _plain_images(data, fields)
    places = {(one.entry.line, one.entry.column): one.flag_place for one in found or ()}
    named = {(edit.line, edit.column) for edit in edits}
    lines = [place for name in named if (place := places.get(name)) is not None]
    if found is None or len(lines) < len(named):
        return None
    edited = _with_lines(data, dict(lines))
    entries = [one.entry for one in found]
    expected = [(*_content(e)[:-1], (e.line, e.column) in named or e.is_cached) for e in entries]
    after = _plain_images(edited, fields)
    return edited if after is not None and [_content(one.entry) for one in after] == expected else None


def _plain_images(data: bytes, fields: Fields) -> list[PlainImage] | None:
    sections = None if has_lone_cr(data) else outline(data, fields).sections
    return None if sections is None else plain_images(sections, fields)


def _with_lines(data: bytes, indents: dict[int, int]) -> bytes:
    """Add a line with the flag after each of these lines, with its indent and the line end of the line before."""
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


def _content(entry: Entry) -> _Content:
    return entry.url, entry.field, entry.declared, entry.is_cached
