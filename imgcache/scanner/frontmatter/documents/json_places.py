"""Finds the positions of keys and values in a JSON document, which the json module has accepted."""

from __future__ import annotations

import json
import re

from imgcache.scanner.frontmatter.documents.nodes import Array, Member, Misread, Node, Scalar, Table

_BLANK = re.compile(r"[ \t\r\n]*+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_WORD = re.compile(r"[^\s,\[\]{}:\"]++")


class DoubledKey(ValueError):
    """A key comes twice in an object; `at` is the place of the second."""

    def __init__(self, at: int) -> None:
        super().__init__("a key comes twice")
        self.at = at


def places(text: str, start: int) -> Node:
    """Return the tree of the value that begins at `start`.

    Raises:
        DoubledKey: a key comes twice in an object.
        Misread: it is not valid, or this reader is wrong.
    """
    return _value(text, start)[0]


def _value(text: str, at: int) -> tuple[Node, int]:
    if text[at] == "[":
        items: list[Node] = []
        at = _past_blank(text, at + 1)
        while text[at] != "]":
            item, at = _value(text, at)
            items.append(item)
            at = _after_comma(text, at)
        return Array(items, at + 1), at + 1
    if text[at] == "{":
        table = Table({}, in_braces=True)
        at = _past_blank(text, at + 1)
        while text[at] != "}":
            at = _after_comma(text, _pair(text, at, table))
        table.end = at + 1
        return table, at + 1
    found = (_STRING if text[at] == '"' else _WORD).match(text, at)
    if not found:
        raise Misread
    return Scalar(at, found.end()), found.end()


def _pair(text: str, at: int, table: Table) -> int:
    key = _STRING.match(text, at)
    if not key:
        raise Misread
    name: str = json.loads(key[0])
    if name in table.members:
        raise DoubledKey(at)
    colon = _past_blank(text, key.end())
    value, end = _value(text, _past_blank(text, colon + 1))
    table.members[name] = Member(value, at, key.end(), "")
    return end


def _after_comma(text: str, at: int) -> int:
    at = _past_blank(text, at)
    return _past_blank(text, at + 1) if text[at] == "," else at


def _past_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
