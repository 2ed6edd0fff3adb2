"""Finds the metadata of Python-Markdown: lines `Key: value` at the top of an article, which Pelican and MkDocs read.

A line with four spaces before it continues the value above. The first blank line, or any other line, ends the metadata
(https://python-markdown.github.io/extensions/meta_data/). Keys count in small letters.
"""

from __future__ import annotations

import re

from imgcache.scanner.frontmatter.documents.nodes import Array, Member, Scalar, Table

# An address on the first line would be a key `https` too; it is far more often the start of a text.
_LINE = re.compile(r" {0,3}([A-Za-z0-9_-]+):(?!//)[ \t]*+([^\r\n]*)")
_MORE = re.compile(r"(?: {4}|\t)[ \t]*+([^\r\n]*)")
_END = re.compile(r"\r?\n|\Z")
_BLANK = re.compile(r"[ \t]*+(?:\r?\n|\Z)")

_Values = dict[str, list[str]]


def places(text: str) -> tuple[Table, _Values, int]:
    """Return the tree, the values by their keys, and the end of the metadata with the blank line that closes it.

    There is no metadata where the end is 0.
    """
    root, values, at = Table({}, in_braces=False), _Values(), 0
    key = ""
    while at < len(text) and not _BLANK.match(text, at):
        found = _LINE.match(text, at)
        if found:
            key = found[1].lower()
            root.members.setdefault(key, Member(Array([]), found.start(1), found.end(1), ""))
        else:
            found = _MORE.match(text, at) if key else None
        if not found or not (line_end := _END.match(text, found.end())):  # a carriage return within the line
            return root, values, at
        value = found[found.lastindex or 0].rstrip()
        start = found.start(found.lastindex or 0)
        _add(root, key, Scalar(start, start + len(value), value))
        values.setdefault(key, []).append(value)
        at = line_end.end()
    blank = _BLANK.match(text, at)
    return root, values, blank.end() if blank and values else at


def _add(root: Table, key: str, scalar: Scalar) -> None:
    lines = root.members[key].value
    assert isinstance(lines, Array)  # noqa: S101 (`places` makes no other)
    lines.items.append(scalar)
    lines.end = scalar.end
