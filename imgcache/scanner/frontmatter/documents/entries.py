"""Finds the images of front matter in TOML or JSON: the `images` lists at any depth, and all strings with key paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from imgcache.core import Declared, Focus, Reference
from imgcache.scanner.frontmatter.documents.nodes import Array, Node, Scalar, Table
from imgcache.scanner.frontmatter.documents.reading import Document

MAX_NAME = 100  # characters of one key in the path of a field, which every nested list repeats

_PIXELS = re.compile(r"[1-9][0-9]{0,8}")
Path = tuple[str | int, ...]


class StringValue(NamedTuple):
    """One string of a front matter. `field` has the keys above it, joined by dots; `line` and `column` are its own."""

    value: str
    field: str
    line: int
    column: int


class Entry(NamedTuple):
    """One image of a list. `path` leads from the root to the entry; `table` is None for a bare URL."""

    url: str
    field: str
    line: int
    column: int
    declared: Declared
    is_cached: bool | None
    flaggable: bool
    focus: Focus | None
    path: Path
    table: Table | None
    scalar: Scalar


class _Reached(NamedTuple):
    node: Node
    path: Path
    field: str
    in_images: bool  # directly under a key `images`


def strings(document: Document) -> list[StringValue]:
    """Return every string at any depth, in the order of the file."""
    found = [reached for reached in _reached(document.root) if isinstance(reached.node, Scalar)]
    texts = [
        StringValue(node.value, reached.field, *document.place(node.start))
        for reached in found
        if isinstance(node := reached.node, Scalar) and isinstance(node.value, str)
    ]
    return sorted(texts, key=lambda text: (text.line, text.column))


def references(document: Document, article: str) -> tuple[Reference, ...]:
    """Return every image as a reference of an article."""
    return tuple(
        Reference(
            url=entry.url,
            article=article,
            line=entry.line,
            column=entry.column,
            field=entry.field,
            declared=entry.declared,
            is_cached=entry.is_cached,
            flaggable=entry.flaggable,
            focus=entry.focus,
        )
        for entry in entries(document)
    )


def entries(document: Document) -> list[Entry]:
    """Return every image of the lists named `images`, in the order of the file."""
    if "images" not in document.text and "\\" not in document.text:  # keys may have escapes
        return []
    found = [_entry(reached, document) for reached in _reached(document.root) if reached.in_images]
    return sorted((entry for entry in found if entry), key=lambda entry: (entry.line, entry.column))


def _reached(root: Table) -> Iterator[_Reached]:
    stack = [_Reached(root, (), "", in_images=False)]
    while stack:
        reached = stack.pop()
        yield reached
        node, path, field, in_images = reached
        if isinstance(node, Array):
            stack += [_Reached(item, (*path, number), field, in_images) for number, item in enumerate(node.items)]
        elif isinstance(node, Table):
            for key, member in node.members.items():
                name = f"{field}.{key[:MAX_NAME]}" if field else key[:MAX_NAME]
                stack.append(_Reached(member.value, (*path, key), name, in_images=key == "images"))


def _entry(reached: _Reached, document: Document) -> Entry | None:
    node = reached.node
    if isinstance(node, Scalar):
        if not isinstance(node.value, str) or not node.value:
            return None
        line, column = document.place(node.start)
        return Entry(node.value, reached.field, line, column, Declared(), None, flaggable=False, focus=None,
                     path=reached.path, table=None, scalar=node)  # fmt: skip
    if not isinstance(node, Table):
        return None
    values = {key: member.value for key, member in node.members.items()}
    url = values.get("url")
    if not isinstance(url, Scalar) or not isinstance(url.value, str) or not url.value:
        return None
    is_cached = _flag(values.get("isCached"))
    line, column = document.place(url.start)
    return Entry(
        url.value, reached.field, line, column, Declared(_pixels(values.get("width")), _pixels(values.get("height"))),
        is_cached, flaggable=is_cached is not None or "isCached" not in values, focus=_focus(node, document),
        path=reached.path, table=node, scalar=url,
    )  # fmt: skip


def _flag(node: Node | None) -> bool | None:
    """Return a boolean, or the value of the strings `true` and `false`, which templates treat alike."""
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _pixels(node: Node | None) -> int | None:
    """Return a positive whole number, also from a string; None for any other value."""
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return int(value) if _PIXELS.fullmatch(str(value)) else None


def _focus(table: Table, document: Document) -> Focus | None:
    """Return a list of two numbers from 0 to 1; None if the entry has none, or null."""
    member = table.members.get("focus")
    if member is None or (isinstance(member.value, Scalar) and member.value.value is None):
        return None
    items = member.value.items if isinstance(member.value, Array) else []
    values = [item.value if isinstance(item, Scalar) else None for item in items]
    numbers = [float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    fits = len(numbers) == len(items) == 2 and min(numbers) >= 0 and max(numbers) <= 1
    return Focus((numbers[0], numbers[1]) if fits else None, *document.place(max(member.start, 0)))
