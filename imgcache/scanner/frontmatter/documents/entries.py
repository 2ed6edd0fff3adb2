"""Finds the images of TOML or JSON: lists named `images` at any depth and other fields, and all strings with paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from imgcache.core import Declared, Focus, Reference
from imgcache.scanner.frontmatter.documents.nodes import Array, Node, Scalar, Table
from imgcache.scanner.frontmatter.documents.reading import Document
from imgcache.scanner.frontmatter.fields import DEFAULT, MAX_NAME, Fields, Keys, Verdict, first_of, size_keys

_PIXELS = re.compile(r"[1-9][0-9]{0,8}")
Path = tuple[str | int, ...]


class StringValue(NamedTuple):
    """One string of a document, and how it is written. `field` has the keys above it, joined by dots."""

    value: str
    field: str
    line: int
    column: int
    raw: str


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
    list_field: str
    guessed: bool = False
    keys: Keys = Keys()


class _Reached(NamedTuple):
    node: Node
    path: Path
    field: str
    in_images: bool  # directly under a key `images`


def strings(document: Document) -> list[StringValue]:
    """Return every string at any depth, in the order of the file."""
    found = [reached for reached in _reached(document.root) if isinstance(reached.node, Scalar)]
    texts = [
        StringValue(node.value, reached.field, *document.place(node.start), document.text[node.start : node.end])
        for reached in found
        if isinstance(node := reached.node, Scalar) and isinstance(node.value, str)
    ]
    return sorted(texts, key=lambda text: (text.line, text.column))


def references(document: Document, article: str, fields: Fields = DEFAULT) -> tuple[Reference, ...]:
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
            list_field=entry.list_field,
            guessed=entry.guessed,
        )
        for entry in entries(document, fields)
    )


def entries(document: Document, fields: Fields = DEFAULT) -> list[Entry]:
    """Return every image of the lists named `images` and of other fields, in the order of the file."""
    if fields.reads_nothing and "images" not in document.text and "\\" not in document.text:  # keys may have escapes
        return []
    found = [entry for reached in _reached(document.root) for entry in _entries_at(reached, document, fields)]
    return sorted(found, key=lambda entry: (entry.line, entry.column))


def _reached(root: Node) -> Iterator[_Reached]:
    stack = [_Reached(root, (), "", in_images=False)]
    while stack:
        reached = stack.pop()
        yield reached
        node, path, field, in_images = reached
        if isinstance(node, Array):
            stack += [_Reached(item, (*path, number), field, in_images) for number, item in enumerate(node.items)]
        elif isinstance(node, Table):
            for key, member in node.members.items():
                stack.append(_Reached(member.value, (*path, key), _field(field, key), in_images=key == "images"))


def _field(field: str, key: str) -> str:
    return f"{field}.{key[:MAX_NAME]}" if field else key[:MAX_NAME]


def _entries_at(reached: _Reached, document: Document, fields: Fields) -> Iterator[Entry]:
    node = reached.node
    if isinstance(node, Scalar):
        is_item = bool(reached.path) and isinstance(reached.path[-1], int)
        if reached.in_images or is_item:
            yield from _bare(node, reached, document, fields)
    elif isinstance(node, Table) and (reached.in_images or not fields.reads_nothing):
        yield from _in_table(node, reached, document, fields)


def _bare(node: Scalar, reached: _Reached, document: Document, fields: Fields) -> Iterator[Entry]:
    if not isinstance(node.value, str) or not node.value:
        return
    verdict = Verdict.CERTAIN if reached.in_images else fields.judge(reached.field, node.value)
    if verdict in {Verdict.CERTAIN, Verdict.GUESSED}:
        entry = _entry(None, node, reached, document, Keys())
        yield entry._replace(guessed=verdict is Verdict.GUESSED)


def _in_table(table: Table, reached: _Reached, document: Document, fields: Fields) -> Iterator[Entry]:
    values = {key: member.value for key, member in table.members.items()}
    url = values.get("url")
    listed = None
    if reached.in_images and isinstance(url, Scalar) and isinstance(url.value, str) and url.value:
        listed = _entry(table, url, reached, document, Keys())
        yield listed._replace(focus=_focus(table, document))
    skipped = {"images", "url"} if listed else {"images"}
    strings = {
        key: value
        for key, value in values.items()
        if isinstance(value, Scalar) and isinstance(value.value, str) and key not in skipped
    }
    named = fields.images_in(reached.field, {key: str(value.value) for key, value in strings.items()})
    first = "" if listed else first_of([*named])
    for key, verdict in named.items():
        entry = _entry(table, strings[key], reached, document, size_keys(key, values.keys(), is_first=key == first))
        is_flag_here = key == first and bool(reached.field)
        yield entry._replace(
            field=_field(reached.field, key),
            is_cached=entry.is_cached if is_flag_here else None,
            flaggable=entry.flaggable and is_flag_here,
            guessed=verdict is Verdict.GUESSED,
        )


def _entry(table: Table | None, url: Scalar, reached: _Reached, document: Document, keys: Keys) -> Entry:
    values = {key: member.value for key, member in table.members.items()} if table else {}
    is_cached = _flag(values.get("isCached"))
    line, column = document.place(url.start)
    return Entry(
        url=str(url.value),
        field=reached.field,
        line=line,
        column=column,
        declared=Declared(_pixels(values.get(keys.width)), _pixels(values.get(keys.height))),
        is_cached=is_cached,
        flaggable=table is not None and (is_cached is not None or "isCached" not in values),
        focus=None,
        path=reached.path,
        table=table,
        scalar=url,
        list_field=reached.field,
        keys=keys,
    )


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
