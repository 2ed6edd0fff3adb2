"""Verifies every edit of front matter: the result is parsed, and may differ only in what was to be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import yaml

from imgcache.core import ArticleUnreadable, Declared, Edit
from imgcache.scanner.frontmatter.entries import Entry, entries
from imgcache.scanner.frontmatter.fields import Fields
from imgcache.scanner.frontmatter.yaml_marks import Head


class Content(NamedTuple):
    """What a file contains: the root of its YAML, the entries in it, and the bytes below it."""

    root: yaml.Node | None
    found: list[Entry]
    rest: bytes


def read_content(data: bytes, read: Callable[[bytes], Head], fields: Fields) -> Content:
    """Return what a file contains. `read` finds and parses its YAML; its errors are raised."""
    head = read(data)
    found = entries(head.root, head.text, fields) if head.root else []
    return Content(head.root, found, data[head.body_offset :])


def check_edit(before: Content, after: Content, edits: dict[int, Edit]) -> None:
    """Compare the result of edits with what was there.

    Args:
        before: of the file before the edits.
        after: of the file after them.
        edits: the edits, by the index of their entry.

    Raises:
        ArticleUnreadable: the result differs in anything else; at the first entry that was to be edited.
    """
    actual = [(e.url, e.field, e.declared, e.is_cached, e.flaggable) for e in after.found]
    expected = [_expected(entry, edits.get(number)) for number, entry in enumerate(before.found)]
    is_same = actual == expected and after.rest == before.rest
    if not is_same or _content(before.root, before.found, edits) != _content(after.root, after.found, edits):
        first = before.found[min(edits)]
        raise unsafe_edit(first.line, first.column)


def _expected(entry: Entry, edit: Edit | None) -> tuple[str, str, Declared, bool | None, bool]:
    """Return the content of an entry after its edit."""
    declared, is_cached = entry.declared, entry.is_cached
    if edit and edit.size:
        keys = {key.value for key, _ in entry.mapping.value} if entry.mapping else set[str]()
        width = edit.size.width if entry.keys.width in keys else declared.width
        height = edit.size.height if entry.keys.height in keys else declared.height
        declared = Declared(width, height)
    if edit and edit.flag is not None:
        is_cached = True if edit.flag else False if is_cached is False else None
    url = edit.url if edit and edit.url is not None else entry.url
    return url, entry.field, declared, is_cached, entry.flaggable


def _content(root: yaml.Node | None, found: list[Entry], edits: dict[int, Edit]) -> list[str | int]:
    """Return everything that the YAML contains, in order, without what the edits may change."""
    excluded: set[int] = set()
    for number, edit in edits.items():
        mapping, scalar, sizes = found[number].mapping, found[number].scalar, found[number].keys[1:]
        if edit.url is not None:
            excluded.add(id(scalar))
        for key, value in mapping.value if mapping else ():
            if edit.flag is not None and key.value == "isCached":
                excluded |= {id(key), id(value)}
            elif edit.size and key.value in sizes:
                excluded.add(id(value))
    content: list[str | int] = []
    order: dict[int, int] = {}
    stack = [root] if root else []
    while stack:
        node = stack.pop()
        if id(node) in excluded:
            continue
        content.append(order.setdefault(id(node), len(order)))
        if content[-1] != len(order) - 1:
            continue
        content.append(node.tag)
        if isinstance(node, yaml.ScalarNode):
            content.append(node.value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(reversed(node.value))
        else:
            stack.extend(child for pair in reversed(node.value) for child in reversed(pair))
    return content


def unsafe_edit(line: int, column: int) -> ArticleUnreadable:
    """Return the error for an edit that is refused."""
    message = "this entry cannot be edited without changing something else: write it as plain `key: value` lines"
    return ArticleUnreadable(message, line=line, column=column)
