"""The YAML block at the head of an article: where it ends, and its nodes with their marks. Nothing is constructed.

Front matter is what Jekyll takes for it (its `YAML_FRONT_MATTER_REGEXP`): a first line `---`, a closing line `---` or
`...`, both at the left margin. Two things are read more kindly: a `---` line inside a quoted string does not close the
block, and a thematic break (CommonMark 0.31, section 4.1) that merely opens a file is not a broken front matter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from imgcache.errors import ArticleUnreadable

BOM = b"\xef\xbb\xbf"
MAX_DEPTH = (
    100  # no real front matter comes near; PyYAML composes recursively in C, and 100,000 brackets kill the process
)
MAX_INNER_FENCES = 50  # each `---` line inside a string costs one more parse

_OPENING = re.compile(rb"---[ \t]*\r?\n")
_CLOSING = re.compile(rb"\n(?:---|\.\.\.)[ \t]*(?=[\r\n]|\Z)")
_TOML_OPENING = re.compile(rb"\+\+\+[ \t]*\r?\n")
_TOML_CLOSING = re.compile(rb"\n\+\+\+[ \t]*(?=[\r\n]|\Z)")
_LINE_END = re.compile(rb"\r?\n")
_LONE_CR = re.compile(rb"\r(?!\n)")
_BLANK = re.compile(rb"(?:[ \t]*(?:#[^\r\n]*)?[\r\n]+)*+[ \t]*")
# The start of a YAML mapping and not of a paragraph: `key:` at a line's start, an opening brace that is not Liquid's.
_MAPPING = re.compile(rb"\{(?![{%])|\?[ \t]|[^\s#<>*|@`\[{%!>-][^\r\n]*?:(?=[\s]|\Z)|<<:")

# Without this block style goes no deeper than twice MAX_DEPTH: each mapping in a mapping starts further to the right.
_FAR_RIGHT = re.compile(rb"[ \t?:-]{%d}" % MAX_DEPTH)

_SCALAR = (
    rb"""(?:"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"|'[^'\r\n]*+'|"""
    rb"""-?[A-Za-z0-9/.][^\s:]*+(?:(?::(?=\S)|[ ](?=[^\s#]))[^\s:]*+)*+)"""
)
_KEY = rb"""[A-Za-z_][A-Za-z0-9_-]*+"""
_SECTION = re.compile(
    rb"(%(key)s):(?:[ ]++%(scalar)s)?+[ ]*+\r?\n"
    rb"(?:(?:[ ]++(?:-[ ]++)?+%(key)s:(?:[ ]++%(scalar)s)?+|[ ]*+-[ ]++(?:%(key)s:(?:[ ]++%(scalar)s)?+|%(scalar)s))?+"
    rb"[ ]*+\r?\n)*+" % {b"key": _KEY, b"scalar": _SCALAR}
)


class Head(NamedTuple):
    """One front matter.

    `root` is its mapping, None where it is empty or holds no key that is wanted. `text` is what the marks' indexes
    count in: as long as the file's own text from the first `---`, if nothing was left out, and equal to it but for the
    ends of lines and the marks of fences inside strings. `body_offset` is in bytes, `body_line` a line of the file.
    """

    root: yaml.MappingNode | None
    text: str
    body_offset: int
    body_line: int


def read_head(data: bytes, *, only: bytes | None = None) -> Head:
    """Find and compose the front matter of an article.

    With `only`, top-level keys whose lines do not contain that word may be left out, where every line of the block is
    so plain that this cannot change the meaning of the rest.

    Raises:
        ArticleUnreadable: not UTF-8, not closed, not YAML, or nested deeper than `MAX_DEPTH`.
    """
    check_utf8(data)
    data = _without_lone_cr(data)
    start = len(BOM) if data.startswith(BOM) else 0
    opening = _OPENING.match(data, start)
    if not opening:
        return _skip_toml(data, start)
    no_front_matter = Head(None, "", 0, 1)
    content = _BLANK.match(data, opening.end())
    seems_mapping = bool(content and _MAPPING.match(data, content.end()))
    closing = _CLOSING.search(data, opening.end() - 1)
    if not closing:
        if seems_mapping:
            raise ArticleUnreadable("the front matter opened here is not closed: add a line `---` below it")
        return no_front_matter
    if not seems_mapping and content and content.end() < closing.start():
        return no_front_matter
    root, block, closing = _compose_until_closed(data, start, closing, only)
    if root is not None and not isinstance(root, yaml.MappingNode):
        if not isinstance(root, yaml.ScalarNode) or root.value:
            return no_front_matter
        root = None
    line_end = _LINE_END.match(data, closing.end())
    body_offset = line_end.end() if line_end else len(data)
    body_line = 1 + data.count(b"\n", start, body_offset)
    return Head(root, block.decode(), body_offset, body_line)


def compose(block: bytes) -> yaml.Node | None:
    """The nodes of one YAML document; None if it has none.

    Raises:
        ArticleUnreadable: with the line and column inside `block`.
    """
    if block.count(b"[") + block.count(b"{") > MAX_DEPTH or _FAR_RIGHT.search(block):
        _check_depth(block)
    try:
        return yaml.compose(block, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _unreadable(error, block) from error


def check_utf8(data: bytes) -> None:
    """Refuse bytes that are not UTF-8, saying where.

    Raises:
        ArticleUnreadable: with the place of the first wrong byte.
    """
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line, column = _place(data, error.start)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise ArticleUnreadable(message, line=line, column=column) from error


def _without_lone_cr(data: bytes) -> bytes:
    """The same length with LF for each CR that ends a line alone, as YAML and editors read it."""
    return _LONE_CR.sub(b"\n", data) if data.count(b"\r") > data.count(b"\r\n") else data


def _skip_toml(data: bytes, start: int) -> Head:
    """Hugo's TOML block holds no YAML; the body is what follows it."""
    opening = _TOML_OPENING.match(data, start)
    closing = opening and _TOML_CLOSING.search(data, opening.end() - 1)
    if not closing:
        return Head(None, "", 0, 1)
    line_end = _LINE_END.match(data, closing.end())
    body_offset = line_end.end() if line_end else len(data)
    return Head(None, "", body_offset, 1 + data.count(b"\n", 0, body_offset))


def _compose_until_closed(
    data: bytes, start: int, closing: re.Match[bytes], only: bytes | None
) -> tuple[yaml.Node | None, bytes, re.Match[bytes]]:
    """Take the first closing line at which the YAML before it is whole.

    YAML forbids `---` at the margin even inside a quoted string (YAML 1.2.2, rule c-forbidden), so such a line is
    parsed as `___`, which is as long: the marks stay right.
    """
    block = data[start : closing.start() + 1]
    plain = _plain_part(block, only) if only else block
    try:
        return (compose(plain) if plain else None), plain, closing
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
        block = bytes(masked[start : closing.start() + 1])
        try:
            return compose(block), block, closing
        except ArticleUnreadable as error:
            last_error = error
    raise first_error


def _plain_part(block: bytes, wanted: bytes) -> bytes:
    """The block with top-level keys that do not speak of `wanted` blanked out, line for line; b"" if none is left.

    This is most of the speed: libyaml costs microseconds a scalar. It is done only if every line of the block is one
    plain or one-line quoted scalar, `key:`, `key: scalar` or `- scalar`, with no anchor, tag, flow or block style, and
    no top-level key comes twice; anything else is returned whole. A mistake in a key that is left out is not reported.
    """
    opening = _OPENING.match(block)
    position = opening.end() if opening else 0
    parts = [block[:position]]
    keys: set[bytes] = set()
    while position < len(block):
        section = _SECTION.match(block, position)
        if not section or section[1] in keys:
            return block
        keys.add(section[1])
        lines = section[0]
        parts.append(lines if wanted in lines else b"\n" * lines.count(b"\n"))
        position = section.end()
    return b"".join(parts) if wanted in block else b""


def _check_depth(block: bytes) -> None:
    """Walk the events, which needs no stack, before composing, which does."""
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
                raise ArticleUnreadable(message, line=mark.line + 1, column=mark.column + 1)
    except yaml.YAMLError as error:
        raise _unreadable(error, block) from error
    finally:
        loader.dispose()


def _unreadable(error: yaml.YAMLError, block: bytes) -> ArticleUnreadable:
    line, column, parts = 1, 1, ["it cannot be parsed"]
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if mark:
            line, column = mark.line + 1, mark.column + 1
        parts = [part for part in (error.problem, error.context) if part]
    elif isinstance(error, yaml.reader.ReaderError):
        line, column = _place(block, error.position)
        parts = [error.reason]
    reason = ", ".join(clean(part) for part in parts)
    return ArticleUnreadable(f"the front matter is not valid YAML: {reason}; mend it here", line=line, column=column)


def clean(text: str) -> str:
    """Text of an article, fit for a message: no control characters, no more than 80 characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:80])


def _place(data: bytes, offset: int) -> tuple[int, int]:
    before = _without_lone_cr(data[:offset])
    line_start = before[before.rfind(b"\n") + 1 :].removeprefix(BOM)
    return 1 + before.count(b"\n"), 1 + len(line_start.decode(errors="replace"))
