"""Finds and parses front matter in TOML, in JSON, or in the lines `Key: value` of Python-Markdown.

The rules are those of Hugo: TOML between two lines `+++`, the first of them the first line of the file; JSON from the
`{` at the start of the file to its closing brace. A file that does not continue as TOML or JSON has no front matter: it
begins with a shortcode, or an expression of Liquid or JSX.
"""

from __future__ import annotations

import bisect
import functools
import json
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, Literal

from imgcache.core import ArticleUnreadable
from imgcache.scanner.frontmatter.documents import json_places, metadata_lines, toml_places
from imgcache.scanner.frontmatter.documents.nodes import MAX_DEPTH, Misread, Node, Table, TooDeep, fill
from imgcache.scanner.frontmatter.yaml_marks import BOM, check_utf8, clean

_TOML_OPENING = re.compile(rb"\+\+\+[ \t]*\r?\n")
_TOML_CLOSING = re.compile(rb"\n\+\+\+[ \t]*(?=[\r\n]|\Z)")
_TOML_CONTENT = re.compile(rb"""(?:[ \t]*(?:#[^\n]*)?\r?\n)*+[ \t]*(?:\[|["'A-Za-z0-9_-][^\n=]*=)""")
_JSON_OPENING = re.compile(rb'\{\s*+(?:"(?:[^"\\\n]|\\.)*+"\s*+:|\}[ \t]*+(?=[\r\n]|\Z))')
_METADATA_OPENING = re.compile(rb"(?:\xef\xbb\xbf)? {0,3}[A-Za-z0-9_-]++:(?!//)")
_LINE_END = re.compile(rb"\r?\n")
_JSON_SPACE = " \t\r\n"  # RFC 8259, section 2
_TO_BODY = re.compile(r"(?:[ \t]*+(?:\r?\n|\Z))?")
_AT_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")  # as tomllib ends its messages
_TOO_DEEP = f"the front matter is nested deeper than {MAX_DEPTH} levels: flatten it"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Document:
    """One front matter.

    `text` is the file without its byte order mark, up to the body; all positions are indexes in it. `values` are the
    parsed values of the document, which begins at `start` and ends before `end`; empty without front matter.
    `body_offset` is in bytes, `body_line` counts from 1.
    """

    text: str = ""
    form: Literal["toml", "json", "lines"] = "toml"
    values: Any = field(default_factory=dict)
    start: int = 0
    end: int = 0
    body_offset: int = 0
    body_line: int = 1

    @functools.cached_property
    def root(self) -> Node:
        """The positions of all values. Raises ArticleUnreadable: nested too deeply, or a repeated key in JSON."""
        if not self.end:
            return Table({}, in_braces=False)
        try:
            root: Node
            if self.form == "toml":
                root = toml_places.places(self.text, self.start, self.end)
            elif self.form == "lines":
                root = metadata_lines.places(self.text)[0]
            else:
                root = json_places.places(self.text, self.start)
            fill(root, self.values)
        except json_places.DoubledKey as error:
            line, column = self.place(error.at)
            message = "this key comes twice in one object: remove one of them"
            raise ArticleUnreadable(message, line=line, column=column) from error
        except (TooDeep, RecursionError) as error:
            raise ArticleUnreadable(_TOO_DEEP) from error
        except (Misread, IndexError) as error:
            message = "the front matter is valid, but the positions of its values are unclear: write it more simply"
            raise ArticleUnreadable(message) from error
        return root

    @functools.cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place(self, at: int) -> tuple[int, int]:
        """Return line and column of a character, both from 1."""
        line = bisect.bisect_right(self._line_starts, at)
        return line, at - self._line_starts[line - 1] + 1


def may_be_document(data: bytes, *, metadata_lines: bool) -> bool:
    """Return whether an article may begin with front matter that `read` reads, by its first bytes.

    Args:
        data: the whole file.
        metadata_lines: whether the generator reads lines `Key: value` without a fence.
    """
    if data.startswith((b"+++", b"{", BOM + b"+++", BOM + b"{")):
        return True
    return metadata_lines and _METADATA_OPENING.match(data) is not None


def read(data: bytes) -> Document:
    """Find and parse the front matter of an article for which `may_be_document` is true.

    The encoding of the body may not be checked.

    Raises:
        ArticleUnreadable: not UTF-8, not closed, not valid TOML or JSON, or nested too deeply.
    """
    bom = len(BOM) if data.startswith(BOM) else 0
    if data.startswith(b"+", bom):
        return _toml(data, bom)
    return _json(data, bom) if data.startswith(b"{", bom) else _metadata(data, bom)


def _toml(data: bytes, bom: int) -> Document:
    opening = _TOML_OPENING.match(data, bom)
    if not opening:
        return Document()
    closing = _TOML_CLOSING.search(data, opening.end() - 1)
    if not closing:
        if not _TOML_CONTENT.match(data, opening.end()):
            return Document()
        raise ArticleUnreadable("the front matter opened here is not closed: add a line `+++` below it")
    check_utf8(data[: closing.end()])
    line_end = _LINE_END.match(data, closing.end())
    body = line_end.end() if line_end else len(data)
    text, start = data[bom:body].decode(), opening.end() - bom
    block = data[opening.end() : closing.start() + 1].decode()
    values = _toml_values(block, lines_above=1)
    return Document(text, "toml", values, start, start + len(block), body, 1 + text.count("\n"))


def read_file(data: bytes, *, is_toml: bool) -> Document:
    """Parse a file that is TOML or JSON as a whole. Raises the same errors as `read`."""
    check_utf8(data)
    text = data.removeprefix(BOM).decode()
    if is_toml:
        return Document(text, "toml", _toml_values(text, lines_above=0), 0, len(text), len(data), 0)
    start = len(text) - len(text.lstrip(_JSON_SPACE))
    values, end = _json_values(text, start)
    if rest := text[end:].lstrip(_JSON_SPACE):
        at = len(text) - len(rest)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        message = "the front matter is not valid JSON: there is more text behind its end; correct it here"
        raise ArticleUnreadable(message, line=line, column=column)
    return Document(text, "json", values, start, end, len(data), 0)


def _toml_values(block: str, *, lines_above: int) -> dict[str, Any]:
    try:
        return tomllib.loads(block)
    except tomllib.TOMLDecodeError as error:
        raise _invalid_toml(str(error), block, lines_above) from error
    except RecursionError as error:
        raise ArticleUnreadable(_TOO_DEEP) from error


def _invalid_toml(message: str, block: str, lines_above: int) -> ArticleUnreadable:
    place = _AT_PLACE.search(message)
    lines = block.count("\n") + 1
    line, column = (int(place[1]), int(place[2])) if place and place[1] else (lines, 1)
    reason = clean(_AT_PLACE.sub("", message))
    return ArticleUnreadable(
        f"the front matter is not valid TOML: {reason}; correct it here", line=line + lines_above, column=column
    )


def _json(data: bytes, bom: int) -> Document:
    if not _JSON_OPENING.match(data, bom):
        return Document()
    check_utf8(data)
    text = data[bom:].decode()
    values, end = _json_values(text, 0)
    head = text[: _TO_BODY.match(text, end).end()]  # type: ignore[union-attr]  # it matches everywhere
    return Document(head, "json", values, 0, end, bom + len(head.encode()), 1 + head.count("\n"))


def _metadata(data: bytes, bom: int) -> Document:
    check_utf8(data)
    text = data[bom:].decode()
    _, values, end = metadata_lines.places(text)
    head = text[:end]
    return Document(head, "lines", values, 0, end, bom + len(head.encode()), 1 + head.count("\n"))


def _json_values(text: str, start: int) -> tuple[Any, int]:
    try:
        values, end = json.JSONDecoder().raw_decode(text, start)
        if _SURROGATE.search(text, start, end):
            json.dumps(values, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        message = f"the front matter is not valid JSON: {clean(error.msg)}; correct it here"
        raise ArticleUnreadable(message, line=error.lineno, column=error.colno) from error
    except UnicodeEncodeError as error:
        message = "a string has half of a surrogate pair (an escape from \\ud800 to \\udfff alone): write both or none"
        raise ArticleUnreadable(message) from error
    except RecursionError as error:
        raise ArticleUnreadable(_TOO_DEEP) from error
    return values, end
