"""Finding and parsing front matter in TOML or JSON.

As Hugo takes it: TOML between two lines `+++`, the first of them the file's first; JSON from the `{` that the file
begins with to its closing brace. What opens so and does not go on as TOML or JSON is a body: a shortcode, an expression
of Liquid or of JSX.
"""

from __future__ import annotations

import bisect
import json
import re
import tomllib
from typing import Any, Literal

import msgspec

from imgcache.errors import ArticleUnreadable
from imgcache.frontmatter.documents import json_places, toml_places
from imgcache.frontmatter.documents.nodes import MAX_DEPTH, Misread, Table, TooDeep, fill
from imgcache.frontmatter.yaml_marks import BOM, check_utf8, clean

_TOML_OPENING = re.compile(r"\+\+\+[ \t]*\r?\n")
_TOML_CLOSING = re.compile(r"\n\+\+\+[ \t]*(?=[\r\n]|\Z)")
_TOML_CONTENT = re.compile(r"""(?:[ \t]*(?:#[^\n]*)?\r?\n)*+[ \t]*(?:\[|["'A-Za-z0-9_-][^\n=]*=)""")
_JSON_OPENING = re.compile(r'\{\s*+(?:"(?:[^"\\\n]|\\.)*+"\s*+:|\}[ \t]*+(?=[\r\n]|\Z))')
_LINE_END = re.compile(r"[ \t]*\r?\n")
_AT_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")  # as tomllib ends its messages
_TOO_DEEP = f"the front matter is nested deeper than {MAX_DEPTH} levels: flatten it"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Document(msgspec.Struct, frozen=True):
    """One front matter.

    `text` is the file without its byte order mark, which all places count in; `values` is what the parser read, and
    `root` where it stands. Both are empty where there is no front matter. `body_offset` is in bytes, `body_line` counts
    from 1.
    """

    text: str
    form: Literal["toml", "json"]
    values: dict[str, Any]
    root: Table
    body_offset: int
    body_line: int
    line_starts: list[int]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        line = bisect.bisect_right(self.line_starts, at)
        return line, at - self.line_starts[line - 1] + 1


def opens(data: bytes) -> bool:
    """Whether an article may begin with front matter in TOML or JSON; a glance at its first bytes."""
    return data.startswith((b"+++", b"{", BOM + b"+++", BOM + b"{"))


def read(data: bytes) -> Document:
    """Find and parse the front matter of an article for which `opens` is true.

    Raises:
        ArticleUnreadable: not UTF-8, not closed, not valid TOML or JSON, nested too deeply, or a key twice.
    """
    check_utf8(data)
    bom = len(BOM) if data.startswith(BOM) else 0
    text = data[bom:].decode()
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    blank = Document(text, "toml", {}, Table({}, in_braces=False), 0, 1, starts)
    found = _toml(blank) if text.startswith("+") else _json(blank)
    if found is None:
        return blank
    form, values, root, end = found
    try:
        fill(root, values)
    except TooDeep as error:
        raise ArticleUnreadable(_TOO_DEEP) from error
    except Misread as error:
        raise _misread() from error
    line_end = _LINE_END.match(text, end)
    body = line_end.end() if line_end else len(text) if not text[end:].strip(" \t") else end
    line = bisect.bisect_right(starts, body)
    return Document(text, form, values, root, bom + len(text[:body].encode()), line, starts)


_Found = tuple[Literal["toml", "json"], dict[str, Any], Table, int]


def _toml(blank: Document) -> _Found | None:
    """Values, tree and the end of the closing fence."""
    text = blank.text
    opening = _TOML_OPENING.match(text)
    if not opening:
        return None
    closing = _TOML_CLOSING.search(text, opening.end() - 1)
    seems_toml = _TOML_CONTENT.match(text, opening.end())
    if not closing:
        if seems_toml:
            raise ArticleUnreadable("the front matter opened here is not closed: add a line `+++` below it")
        return None
    start, end = opening.end(), closing.start() + 1
    try:
        values = tomllib.loads(text[start:end])
        return "toml", values, toml_places.places(text, start, end), closing.end()
    except tomllib.TOMLDecodeError as error:
        raise _invalid_toml(str(error), text[start:end]) from error
    except RecursionError as error:
        raise ArticleUnreadable(_TOO_DEEP) from error
    except (Misread, IndexError) as error:
        raise _misread() from error


def _invalid_toml(message: str, block: str) -> ArticleUnreadable:
    place = _AT_PLACE.search(message)
    lines = 1 + block.count("\n")
    line, column = (int(place[1]), int(place[2])) if place and place[1] else (lines, 1)
    reason = clean(_AT_PLACE.sub("", message))
    return ArticleUnreadable(
        f"the front matter is not valid TOML: {reason}; correct it here", line=line + 1, column=column
    )


def _json(blank: Document) -> _Found | None:
    """Values, tree and the end of the closing brace."""
    text = blank.text
    if not _JSON_OPENING.match(text):
        return None
    try:
        values, end = json.JSONDecoder().raw_decode(text)
        if _SURROGATE.search(text, 0, end):
            json.dumps(values, ensure_ascii=False).encode()
        return "json", values, json_places.places(text, 0), end
    except json.JSONDecodeError as error:
        message = f"the front matter is not valid JSON: {clean(error.msg)}; correct it here"
        raise ArticleUnreadable(message, line=error.lineno, column=error.colno) from error
    except json_places.DoubledKey as error:
        line, column = blank.place(error.at)
        message = "this key comes twice in one object: remove one of them"
        raise ArticleUnreadable(message, line=line, column=column) from error
    except UnicodeEncodeError as error:
        message = "a string has half of a surrogate pair (an escape from \\ud800 to \\udfff alone): write both or none"
        raise ArticleUnreadable(message) from error
    except RecursionError as error:
        raise ArticleUnreadable(_TOO_DEEP) from error
    except (Misread, IndexError) as error:
        raise _misread() from error


def _misread() -> ArticleUnreadable:
    return ArticleUnreadable("the front matter cannot be read with its places: write it as plain `key = value` lines")
