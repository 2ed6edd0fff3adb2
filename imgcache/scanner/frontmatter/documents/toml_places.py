"""Finds the positions of keys and values in a TOML document, which tomllib has accepted."""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

from imgcache.scanner.frontmatter.documents.nodes import Array, Member, Misread, Node, Scalar, Table

_SPACE = re.compile(r"[ \t]*+")
_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_KEY = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[A-Za-z0-9_-]++""")
# Strings (TOML 1.0, section "String"): a closing delimiter of three may have two more quotes before it.
_SCALAR = re.compile(
    r'''"""(?:[^"\\]|\\[\s\S]|"(?!""))*+""""{0,2}|\'\'\'(?:[^']|'(?!''))*+\'\'\''{0,2}'''
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'"""
    r"|\d{4}-\d\d-\d\d[ ]\d\d:[^\s,\[\]{}#]++|[^\s,\[\]{}#]++"
)


class _Key(NamedTuple):
    name: str
    start: int
    end: int


def places(text: str, start: int, end: int) -> Table:
    """Return the tree of the document from `start` to `end`.

    Raises:
        Misread: it is not valid, or this reader is wrong.
    """
    root = Table({}, in_braces=False)
    current, at = root, _past(_BLANK, text, start)
    while at < end:
        if text[at] == "[":
            width = 2 if text.startswith("[[", at) else 1
            keys, at = _keys(text, at + width)
            current = _opened(root, [key.name for key in keys], is_array=width == 2)
            at += width
        else:
            at = _pair(text, at, current)
        at = _past(_BLANK, text, at)
    return root


def _pair(text: str, at: int, table: Table) -> int:
    """Read `key = value` into a table; returns the end of the value."""
    keys, equals = _keys(text, at)
    value, end = _value(text, _past(_SPACE, text, equals + 1))
    for key in keys[:-1]:
        table = _inner(table, key.name, at)
        table.end = end
    last = keys[-1]
    if text[equals] != "=" or last.name in table.members:
        raise Misread
    table.members[last.name] = Member(value, at, last.end, text[at : last.start])
    return end


def _value(text: str, at: int) -> tuple[Node, int]:
    if text[at] == "[":
        items: list[Node] = []
        at = _past(_BLANK, text, at + 1)
        while text[at] != "]":
            item, at = _value(text, at)
            items.append(item)
            at = _after_comma(text, at)
        return Array(items, at + 1), at + 1
    if text[at] == "{":
        table = Table({}, in_braces=True)
        at = _past(_BLANK, text, at + 1)
        while text[at] != "}":
            at = _after_comma(text, _pair(text, at, table))
        table.end = at + 1
        return table, at + 1
    found = _SCALAR.match(text, at)
    if not found:
        raise Misread
    return Scalar(at, found.end()), found.end()


def _after_comma(text: str, at: int) -> int:
    at = _past(_BLANK, text, at)
    return _past(_BLANK, text, at + 1) if text[at] == "," else at


def _keys(text: str, at: int) -> tuple[list[_Key], int]:
    """Return the parts of a dotted key, and the position of the character after it."""
    keys: list[_Key] = []
    while True:
        at = _past(_SPACE, text, at)
        found = _KEY.match(text, at)
        if not found:
            raise Misread
        keys.append(_Key(_name(found[0]), at, found.end()))
        at = _past(_SPACE, text, found.end())
        if text[at] != ".":
            return keys, at
        at += 1


def _name(raw: str) -> str:
    if raw[0] == '"' and "\\" in raw:
        return next(iter(tomllib.loads(f"{raw} = 0")))
    return raw[1:-1] if raw[0] in "\"'" else raw


def _opened(root: Table, names: list[str], *, is_array: bool) -> Table:
    """Return the table that a header opens."""
    table = root
    for name in names[:-1]:
        table = _inner(table, name)
    if not is_array:
        return _inner(table, names[-1])
    several = table.members.setdefault(names[-1], Member(Array([]), -1, -1, "")).value
    if not isinstance(several, Array):
        raise Misread
    several.items.append(Table({}, in_braces=False))
    return _inner(table, names[-1])


def _inner(table: Table, name: str, at: int = -1) -> Table:
    """Return the table under a key, or the last one of an array. A new table begins at `at`."""
    value = table.members.setdefault(name, Member(Table({}, in_braces=table.in_braces), at, -1, "")).value
    if isinstance(value, Array):
        value = value.items[-1]
    if not isinstance(value, Table):
        raise Misread
    return value


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
