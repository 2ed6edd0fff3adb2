"""The tree of a TOML or JSON document with the position of each part, in characters of the file."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

MAX_DEPTH = 100  # far more than in real front matter; copying and printing values is recursive


class Misread(ValueError):
    """The positions and the parsed values do not belong to the same document."""


class TooDeep(ValueError):
    """More than MAX_DEPTH levels."""


class Scalar(msgspec.Struct, gc=False):
    """A string, number, date, or word. `value` is set by `fill`."""

    start: int
    end: int
    value: object = None


class Array(msgspec.Struct):
    """`[…]`, or the tables of several `[[headers]]`, which have no `end`."""

    items: list[Node]
    end: int = -1


class Table(msgspec.Struct):
    """An object of JSON, an inline table of TOML (both `in_braces`), or a table of TOML whose keys stand on lines.

    `end` is the end of its text, -1 for a table with a header.
    """

    members: dict[str, Member]
    in_braces: bool
    end: int = -1


Node = Scalar | Array | Table


class Member(NamedTuple):
    """One key and its value.

    `start` and `end` are those of the key; `prefix` is the text before its last part (`cover.` of `cover.url`). A table
    that only a header names has no position: its `start` is -1.
    """

    value: Node
    start: int
    end: int
    prefix: str


def fill(root: Node, known: object) -> None:
    """Put the parsed values into the scalars.

    Raises:
        Misread: the two differ in their keys or in the length of a list.
        TooDeep: there are more than MAX_DEPTH levels.
    """
    stack: list[tuple[Node, object, int]] = [(root, known, 1)]
    while stack:
        node, value, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise TooDeep
        if isinstance(node, Table):
            if not isinstance(value, dict) or node.members.keys() != value.keys():
                raise Misread
            stack += [(member.value, value[key], depth + 1) for key, member in node.members.items()]
        elif isinstance(node, Array):
            if not isinstance(value, list) or len(node.items) != len(value):
                raise Misread
            stack += [(item, one, depth + 1) for item, one in zip(node.items, value, strict=True)]
        elif isinstance(value, dict | list):
            raise Misread
        else:
            node.value = value
