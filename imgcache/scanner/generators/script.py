"""Reads plain strings from configuration files in JavaScript and TypeScript, as text. Nothing is run. Pure.

A string counts if it stands alone after a key or in a call: `dir: { input: "src" }`, `addPassthroughCopy("src/img")`.
What an expression would give is unknown, and counts as not set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from imgcache.core import ConfigError

# The next part of a script; a backtick string only counts without `${`.
_PART = re.compile(
    r"""\s++|//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)"""
    r"""|"(?P<double>(?:[^"\\\n]|\\.)*+)(?:"|(?=\n)|\Z)|'(?P<single>(?:[^'\\\n]|\\.)*+)(?:'|(?=\n)|\Z)"""
    r"""|`(?P<tick>(?:[^`\\]|\\.)*+)(?:`|\Z)"""
    r"""|(?P<word>[A-Za-z_$][\w$]*+)|(?P<sign>.)""",
    re.DOTALL,
)
_STRINGS = frozenset({"double", "single", "tick"})
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ALONE = re.compile(r"[ \t]*+(?:[,;}\])\r\n]|//|/\*|\Z)")  # what follows a string that is no part of an expression
_MAX_DEPTH = 30  # of brackets in brackets: deeper strings are no settings


class Found(NamedTuple):
    """One string: the keys around it, joined by dots; its own key; the function in whose call it stands; its value."""

    path: str
    key: str
    call: str
    value: str


class _Frame(NamedTuple):
    key: str
    call: str


class Script:
    """The strings of one script."""

    def __init__(self, text: str) -> None:
        """Find them in the text of the script."""
        self._found = list(_strings(text))

    def __getitem__(self, path: str) -> str:
        """Return the first string at a path of keys, such as `dir.input`; "" if there is none."""
        return next(iter(self.all(path)), "")

    def all(self, path: str) -> list[str]:
        """Return all strings at a path of keys: the value of the key, or the items of its list."""
        return [one.value for one in self._found if one.path == path]

    def called(self, name: str) -> list[tuple[str, str]]:
        """Return the strings in calls of a function, each with its key in a mapping, or with ""."""
        return [(one.key, one.value) for one in self._found if one.call == name]


def read_script(file: Path) -> Script:
    """Read a script; one that does not exist has no strings."""
    try:
        return Script(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Script("")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file cannot be read: {error}", where=file.name) from None


def _strings(text: str) -> Iterator[Found]:
    frames: list[_Frame] = []
    before, last, key = "", "", ""  # the sign before this part, the word or string before it, the key that a `:` ended
    for part in _PART.finditer(text):
        kind = part.lastgroup
        if kind is None:
            continue
        value = part[kind]
        if kind in _STRINGS:
            value = _ESCAPE.sub(r"\1", value)
            is_known = "${" not in value and len(frames) <= _MAX_DEPTH and _ALONE.match(text, part.end())
            if before in {":", "(", "[", ","} and is_known:
                yield _found(frames, key if before == ":" else "", value)
            before, last = "string", value
        elif kind == "word":
            before, last = "word", value
        else:
            _follow(frames, value, before, last, key)
            key = last if value == ":" and before in {"string", "word"} else ""
            before = value


def _follow(frames: list[_Frame], sign: str, before: str, last: str, key: str) -> None:
    if sign == "(":
        frames.append(_Frame("", last if before == "word" else ""))
    elif sign in "{[":
        frames.append(_Frame(key if before == ":" else "", frames[-1].call if frames else ""))
    elif sign in ")}]" and frames:
        frames.pop()


def _found(frames: list[_Frame], key: str, value: str) -> Found:
    path = ".".join(filter(None, (*(frame.key for frame in frames), key)))
    return Found(path, key, frames[-1].call if frames else "", value)
