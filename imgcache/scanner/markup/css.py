"""Image addresses in CSS, by the tokens of CSS Syntax Level 3 (section 4.3). Pure.

A style sheet names images by `url()`, and by plain strings in `image-set()` (CSS Images Level 4, section 2.4). The
addresses of other sheets (`@import`), of fonts (`@font-face`) and of name spaces are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NEWLINE = r"(?:\r\n|[\n\r\f])"
_ESCAPE = rf"\\(?:{_NEWLINE}|[^\n\r\f]|\Z)"
_STRING = (
    rf"""(?:"(?:[^"\\\n\r\f]|{_ESCAPE})*+(?:"|(?=[\n\r\f])|\Z)|'(?:[^'\\\n\r\f]|{_ESCAPE})*+(?:'|(?=[\n\r\f])|\Z))"""
)
_TOKEN = re.compile(
    rf"""
    /\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)
    | (?P<url>[uU][rR][lL]\([ \t\n\r\f]*+(?:
        (?P<quoted>{_STRING})
        | (?P<plain>(?:[^"'()\\ \t\n\r\f]|\\[0-9a-fA-F]{{1,6}}+[ \t\n\r\f]?+|\\[^\n\r\f])*+)[ \t\n\r\f]*+(?:\)|\Z)
        |
      ))
    | (?P<string>{_STRING})
    | (?P<function>-?[A-Za-z_\x80-\U0010ffff-][A-Za-z0-9_\x80-\U0010ffff-]*+\()
    | (?P<at>@[A-Za-z-]++)
    | [#A-Za-z0-9_\x80-\U0010ffff-]++
    | \\[^\n\r\f]
    | (?P<mark>[(){{}}\[\];])
    | [^"'/@\\(){{}}\[\];#A-Za-z0-9_\x80-\U0010ffff-]++
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_ANY = re.compile(r"url\(|image-set\(", re.IGNORECASE)
_BAD_URL = re.compile(r"(?:[^)\\]|\\.)*+(?:\)|\Z)", re.DOTALL)
_SETS = frozenset({"image-set(", "-webkit-image-set("})
_NO_IMAGES = frozenset({"@import", "@namespace", "@charset"})
_FONT = "@font-face"
_TYPE = re.compile(r"""[^,"'()]*?type\(\s*+(["'])([^"'\\]*+)\1""", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\r\f])?|(\r\n|[\n\r\f])|(.))", re.DOTALL)


class Address(NamedTuple):
    """One address, by the positions of what stands between quotes or brackets.

    `media_type` is what `type()` says beside it in an `image-set()`, `type_at` where.
    """

    start: int
    end: int
    media_type: str = ""
    type_at: int = 0


def addresses(text: str) -> Iterator[Address]:
    """Every address of an image, in the order of the sheet."""
    if not _ANY.search(text):  # most sheets of pages
        return
    open_functions: list[str] = []
    statement = ""
    position = 0
    while position < len(text) and (token := _TOKEN.match(text, position)):
        position = token.end()
        kind = token.lastgroup
        if kind == "url":
            if token["quoted"] is None and (token["plain"] is None or not _closed(token)):
                position = _after_bad_url(text, token.end())
                continue
            if token["quoted"] is not None:
                open_functions.append("url(")
            if not statement:
                yield _address(text, token, "plain" if token["quoted"] is None else "quoted", open_functions)
        elif kind == "string":
            if open_functions and open_functions[-1] in _SETS:
                yield _address(text, token, "string", open_functions)
        elif kind == "function":
            open_functions.append(token[0].lower())
        elif kind == "at":
            name = token[0].lower()
            statement = name if name in _NO_IMAGES or name == _FONT else ""
        elif kind == "mark":
            statement = _after_mark(token[0], open_functions, statement)


def unescaped(raw: str) -> str:
    """An address with CSS escapes undone (CSS Syntax Level 3, section 4.3.7)."""
    return _ESCAPED.sub(_character, raw) if "\\" in raw else raw


def _closed(token: re.Match[str]) -> bool:
    return token[0].endswith(")") or token.end() == len(token.string)


def _after_bad_url(text: str, position: int) -> int:
    """Past the remnants of a bad url (CSS Syntax Level 3, section 4.3.14)."""
    found = _BAD_URL.match(text, position)
    return found.end() if found else len(text)


def _after_mark(mark: str, open_functions: list[str], statement: str) -> str:
    if mark == "(":
        open_functions.append("")
    elif mark == ")":
        if open_functions:
            open_functions.pop()
    elif mark == ";":
        return statement if statement == _FONT else ""
    elif mark == "}":
        open_functions.clear()
        return ""
    return statement


def _address(text: str, token: re.Match[str], group: str, open_functions: list[str]) -> Address:
    start, end = token.span(group)
    if group != "plain":
        quote = text[start]
        start += 1
        end -= text[end - 1] == quote and end > start
    after = _TYPE.match(text, token.end() + (group == "quoted"))
    if after and any(name in _SETS for name in open_functions):
        return Address(start, end, after[2], after.start(2))
    return Address(start, end)


def _character(found: re.Match[str]) -> str:
    if found[1]:
        code = int(found[1], 16)
        return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else "\ufffd"
    return "" if found[2] else found[3]
