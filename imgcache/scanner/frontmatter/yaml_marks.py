"""Finds the YAML block of an article and parses it to nodes with marks. No objects are constructed from YAML.

Front matter is what Jekyll accepts (its `YAML_FRONT_MATTER_REGEXP`): a first line `---` and a closing line `---` or
`...`, both at the left margin. There are two exceptions: a `---` line inside a quoted string does not close the block,
and a thematic break (CommonMark 0.31, section 4.1) at the start of a file is not a broken front matter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from imgcache.core import ArticleUnreadable
from imgcache.scanner.frontmatter.anchors import DUPLICATE, compose_first
from imgcache.scanner.frontmatter.yaml_errors import in_words

BOM = b"\xef\xbb\xbf"
# Far more than in real front matter. PyYAML composes recursively in C, and 100,000 brackets crash the process.
MAX_DEPTH = 100
MAX_INNER_FENCES = 50  # each `---` line inside a string costs one more parse

_OPENING = re.compile(rb"---[ \t]*\r?\n")
_CLOSING = re.compile(rb"\n(?:---|\.\.\.)[ \t]*(?=[\r\n]|\Z)")
_LINE_END = re.compile(rb"\r?\n")
_LONE_CR = re.compile(rb"\r(?!\n)")
_BLANK = re.compile(rb"(?:[ \t]*(?:#[^\r\n]*)?[\r\n]+)*+[ \t]*")
# The start of a YAML mapping, not of a paragraph: `key:` at the start of a line, a brace that does not open Liquid.
_MAPPING = re.compile(rb"\{(?![{%])|\?[ \t]|[^\s#<>*|@`\[{%!>-][^\r\n]*?:(?=[\s]|\Z)|<<:")

# Without a match, block style is no deeper than twice MAX_DEPTH: each nested mapping starts further to the right.
_DEEP_INDENT = re.compile(rb"[ \t?:-]{%d}" % MAX_DEPTH)


class Head(NamedTuple):
    """One front matter.

    `root` is its mapping, None if it is empty; of a file that is YAML as a whole, any node. The marks are indexes in
    `text`. It is as long as the text of the file from the first `---`, and differs from it only in line ends and in
    fences inside strings. `body_offset` is in bytes, `body_line` a line of the file.
    """

    root: yaml.Node | None
    text: str
    body_offset: int
    body_line: int


class Block(NamedTuple):
    """The place of a front matter that is not parsed yet.

    `data` is the file with LF for each CR without LF. The block begins at `start`, its first line after the fence at
    `inside`. `closing` may turn out to be part of a quoted string.
    """

    data: bytes
    start: int
    inside: int
    closing: re.Match[bytes]

    @property
    def text(self) -> bytes:
        """The text from the opening fence to the end of the line before the closing fence."""
        return self.data[self.start : self.closing.start() + 1]

    @property
    def lines(self) -> bytes:
        """The text between the two fences, with the line feed before it."""
        return self.data[self.inside - 1 : self.closing.start() + 1]

    def body(self) -> tuple[int, int]:
        """Return the offset of the body in bytes, and the line of the file on which it starts."""
        line_end = _LINE_END.match(self.data, self.closing.end())
        offset = line_end.end() if line_end else len(self.data)
        return offset, 1 + self.data.count(b"\n", self.start, offset)


_NO_FRONT_MATTER = Head(None, "", 0, 1)


def find_block(data: bytes) -> Block | Head:
    """Find the front matter of an article. Returns a head without content if there is none. The body is not checked.

    Raises:
        ArticleUnreadable: not UTF-8, or not closed.
    """
    block = _find_block(data)
    if isinstance(block, Block):
        check_utf8(data[: block.closing.end()])
    return block


def _find_block(data: bytes) -> Block | Head:
    data = _without_lone_cr(data)
    start = len(BOM) if data.startswith(BOM) else 0
    opening = _OPENING.match(data, start)
    if not opening:
        return _NO_FRONT_MATTER
    content = _BLANK.match(data, opening.end())
    seems_mapping = bool(content and _MAPPING.match(data, content.end()))
    closing = _CLOSING.search(data, opening.end() - 1)
    if not closing:
        if seems_mapping:
            raise ArticleUnreadable("the front matter opened here is not closed: add a line `---` below it")
        return _NO_FRONT_MATTER
    if not seems_mapping and content and content.end() < closing.start():
        return _NO_FRONT_MATTER
    return Block(data, start, opening.end(), closing)


def compose_head(block: Block) -> Head:
    """Parse a front matter.

    Raises:
        ArticleUnreadable: not YAML, or nested deeper than `MAX_DEPTH`.
    """
    root, text, closing = _compose_until_closed(block)
    if root is not None and not isinstance(root, yaml.MappingNode):
        if not isinstance(root, yaml.ScalarNode) or root.value:
            return _NO_FRONT_MATTER
        root = None
    return Head(root, text.decode(), *block._replace(closing=closing).body())


def read_head(data: bytes) -> Head:
    """Find and parse the front matter of an article. Raises as `find_block` and `compose_head` do."""
    block = find_block(data)
    return compose_head(block) if isinstance(block, Block) else block


def read_whole_file(data: bytes) -> Head:
    """Parse a file that is YAML as a whole; of several documents the first, as generators do.

    Raises:
        ArticleUnreadable: not UTF-8, not YAML, or nested deeper than `MAX_DEPTH`.
    """
    check_utf8(data)
    block = _without_lone_cr(data.removeprefix(BOM))
    return Head(compose(block, first_only=True), block.decode(), len(data), 0)


def compose(block: bytes, *, first_only: bool = False) -> yaml.Node | None:
    """Return the root node of one YAML document; None if it is empty.

    Args:
        block: the document.
        first_only: there may be more documents below it.

    Raises:
        ArticleUnreadable: with the line and column inside `block`.
    """
    if block.count(b"[") + block.count(b"{") > MAX_DEPTH or _DEEP_INDENT.search(block):
        _check_depth(block)
    try:
        return _first_document(block) if first_only else yaml.compose(block, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        if DUPLICATE not in str(error):
            raise _unreadable(error, block) from error
    return _with_duplicate_anchors(block)


def _with_duplicate_anchors(block: bytes) -> yaml.Node | None:
    try:
        return compose_first(block)
    except yaml.YAMLError as error:
        raise _unreadable(error, block) from error


def _first_document(block: bytes) -> yaml.Node | None:
    loader = yaml.CSafeLoader(block)
    try:
        return loader.get_node() if loader.check_node() else None
    finally:
        loader.dispose()


def check_utf8(data: bytes) -> None:
    """Raise an error for bytes that are not UTF-8.

    Raises:
        ArticleUnreadable: with the place of the first wrong byte.
    """
    if data.isascii():  # true for most, and five times as fast as decoding
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line, column = _place(data, error.start)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise ArticleUnreadable(message, line=line, column=column) from error


def has_lone_cr(data: bytes) -> bool:
    """Return whether a CR without LF ends a line, as on old Macs."""
    return b"\r" in data and data.count(b"\r") > data.count(b"\r\n")


def _without_lone_cr(data: bytes) -> bytes:
    """Return the data with LF for each CR without LF, as YAML and editors read it. The length stays."""
    return _LONE_CR.sub(b"\n", data) if has_lone_cr(data) else data


def _compose_until_closed(block: Block) -> tuple[yaml.Node | None, bytes, re.Match[bytes]]:
    """Parse the block up to the first closing line that makes it complete YAML.

    YAML forbids `---` at the margin even inside a quoted string (YAML 1.2.2, rule c-forbidden). Such a line is parsed
    as `___`, which has the same length, so the marks stay right.
    """
    data, start, _, closing = block
    try:
        return compose(block.text), block.text, closing
    except ArticleUnreadable as error:
        first_error = last_error = error
    masked = bytearray(data)
    for _ in range(MAX_INNER_FENCES):
        at = closing.start() + 1
        masked[at : at + 3] = b"___"
        following = _CLOSING.search(data, closing.end())
        if not following or "quoted scalar" not in last_error.message:
            break
        closing = following
        text = bytes(masked[start : closing.start() + 1])
        try:
            return compose(text), text, closing
        except ArticleUnreadable as error:
            last_error = error
    raise first_error


def _check_depth(block: bytes) -> None:
    """Read the events, which needs no recursion, before composing, which is recursive."""
    loader = yaml.CSafeLoader(block)
    depth = 0
    try:
        while (event := loader.get_event()) is not None:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH and (mark := event.start_mark):
                message = f"the front matter is nested deeper than {MAX_DEPTH} levels: flatten it"
                line, column = _place_of(mark.index, block)
                raise ArticleUnreadable(message, line=line, column=column)
    except yaml.YAMLError as error:
        raise _unreadable(error, block) from error
    finally:
        loader.dispose()


def _unreadable(error: yaml.YAMLError, block: bytes) -> ArticleUnreadable:
    line, column, parts = 1, 1, ["it cannot be parsed"]
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if mark:
            line, column = _place_of(mark.index, block)
        parts = [part for part in (error.problem, error.context) if part]
    elif isinstance(error, yaml.reader.ReaderError):
        line, column = _place(block, error.position)
        parts = [error.reason]
    reason = in_words(", ".join(clean(part) for part in parts))
    return ArticleUnreadable(f"the front matter is not valid YAML: {reason}; correct it here", line=line, column=column)


def _place_of(index: int, block: bytes) -> tuple[int, int]:
    """Return line and column as editors count them: libyaml also ends lines at U+0085, U+2028 and U+2029."""
    return _place(block, len(block.decode()[:index].encode()))


def clean(text: str) -> str:
    """Return text of an article for a message: no control characters, at most 80 characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:80])


def _place(data: bytes, offset: int) -> tuple[int, int]:
    before = _without_lone_cr(data[:offset])
    line_start = before[before.rfind(b"\n") + 1 :].removeprefix(BOM)
    return 1 + before.count(b"\n"), 1 + len(line_start.decode(errors="replace"))
