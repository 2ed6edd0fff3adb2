"""Parses JSON into a tree with the position of every string and number. Pure."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_TOKEN = re.compile(r'[ \t\n\r]*+(?:("(?:[^"\\\x00-\x1f]|\\.)*+")|([{}\[\]:,])|([^ \t\n\r{}\[\]:,"]++))', re.DOTALL)
_DEEPEST = 200


class NotJson(ValueError):
    """The text is not JSON, or nested too deeply."""


class Scalar(NamedTuple):
    """A string, by the positions of what stands between its quotes, or a number or word by its own."""

    value: str
    start: int
    end: int
    quoted: bool


class Members(NamedTuple):
    """An object; of two members of one name the last counts, as in every reader."""

    values: dict[str, Value]


class Items(NamedTuple):
    """An array."""

    values: list[Value]


Value = Scalar | Members | Items


def parse(text: str) -> Value:
    """Returns the tree of a whole JSON text.

    Raises:
        NotJson: the text is not JSON, or nested more than 200 levels deep.
    """
    value, position = _value(text, 0, 0)
    if text[position:].strip(" \t\n\r"):
        raise NotJson(f"something follows the value at character {position + 1}")
    return value


def unescaped(raw: str) -> str:
    """Returns what stands between the quotes of a string, with escapes decoded."""
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(f'"{raw}"', strict=False))
    except ValueError:
        return raw


def _next(text: str, position: int) -> re.Match[str]:
    found = _TOKEN.match(text, position)
    if found is None:
        raise NotJson(f"no JSON at character {position + 1}")
    return found


def _value(text: str, position: int, depth: int) -> tuple[Value, int]:
    if depth > _DEEPEST:
        raise NotJson(f"nested more than {_DEEPEST} levels deep")
    token = _next(text, position)
    if token[1] is not None:
        return _string(token), token.end()
    if token[3] is not None:
        return Scalar(token[3], *token.span(3), quoted=False), token.end()
    if token[2] == "{":
        return _members(text, token.end(), depth + 1)
    if token[2] == "[":
        return _items(text, token.end(), depth + 1)
    raise NotJson(f"{token[2]} at character {token.start(2) + 1} is not expected")


def _string(token: re.Match[str]) -> Scalar:
    return Scalar(unescaped(token[1][1:-1]), token.start(1) + 1, token.end(1) - 1, quoted=True)


def _members(text: str, position: int, depth: int) -> tuple[Members, int]:
    values: dict[str, Value] = {}
    token = _next(text, position)
    while token[2] != "}":
        if token[1] is None:
            raise NotJson(f"a name is missing at character {token.start() + 1}")
        colon = _next(text, token.end())
        if colon[2] != ":":
            raise NotJson(f"a colon is missing at character {colon.start() + 1}")
        values[_string(token).value], position = _value(text, colon.end(), depth)
        token = _next(text, position)
        if token[2] == ",":
            token = _next(text, token.end())
            if token[2] == "}":
                raise NotJson(f"a name is missing at character {token.start() + 1}")
        elif token[2] != "}":
            raise NotJson(f"a comma is missing at character {token.start() + 1}")
    return Members(values), token.end()


def _items(text: str, position: int, depth: int) -> tuple[Items, int]:
    values: list[Value] = []
    token = _next(text, position)
    while token[2] != "]":
        value, position = _value(text, token.start(), depth)
        values.append(value)
        token = _next(text, position)
        if token[2] == ",":
            token = _next(text, token.end())
            if token[2] == "]":
                raise NotJson(f"a value is missing at character {token.start() + 1}")
        elif token[2] != "]":
            raise NotJson(f"a comma is missing at character {token.start() + 1}")
    return Items(values), token.end()
