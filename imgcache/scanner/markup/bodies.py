"""Reads the image references of one body, in HTML or Markdown.

Liquid blocks that keep images off the page are blanked out first. A Markdown body that is one block of HTML needs no
Markdown parser, which takes three times as long as the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from operator import itemgetter

from imgcache.core import Reference
from imgcache.scanner.markup import html as plain_html
from imgcache.scanner.markup.quick import Marks
from imgcache.scanner.markup.syntax import BODY, CALL, LIQUID, Syntax

_LONE_CR = re.compile(r"\r(?!\n)")
_LIQUID_BLOCK = re.compile(r"\{%-?\s*(comment|highlight)\b")
_LIQUID_END = {name: re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}") for name in ("comment", "highlight")}
_VISIBLE = re.compile(r"\S")
# The start of an HTML block that ends at a blank line (CommonMark 0.31, section 4.6, the sixth kind), with the tag
# names of the standard that a body is likely to begin with.
_BLOCK = re.compile(
    r" {0,3}+</?+(?:p|div|table|ul|ol|dl|h[1-6r]|section|article|figure|blockquote|center|header|main)(?=[\s>]|/>|\Z)",
    re.ASCII | re.IGNORECASE,
)
_BLANK_LINE = re.compile(r"\n[ \t]*+\r?+\n")

Found = tuple[str, int, int]  # URL, line (from 0) and column (from 0) in the text
_Place = tuple[int, int, str, str]  # line, column, URL and field


def references(
    text: str, article: str, *, first_line: int, html: bool, syntax: Syntax, found: Marks
) -> tuple[Reference, ...]:
    """See `imgcache.scanner.markup.references`. `found`: the marks of the text."""
    if LIQUID in syntax.calls:
        text = _without_liquid_blocks(text)
    kept: list[_Place] = []
    is_jsx = not html and syntax.is_jsx(article)
    if is_jsx or found.images:
        for url, line, column, field in _in_body(text, html=html, syntax=syntax, is_jsx=is_jsx, rare=found.rare):
            if url and "{{" not in url and "{%" not in url:
                kept.append((line, column, url, field))
    if found.calls:
        kept += [(line, column, url, CALL) for url, line, column in _in_calls(text, syntax.calls)]
    # Both are in the order of the text already: sorting them takes linear time, sorting a set of them does not.
    unique = sorted(dict.fromkeys(kept))
    return tuple([Reference(url, article, first_line + at, column + 1, field) for at, column, url, field in unique])


def _in_body(text: str, *, html: bool, syntax: Syntax, is_jsx: bool, rare: bool) -> Iterator[tuple[str, int, int, str]]:
    in_html = _in_rare_attributes if rare else plain_html.image_urls
    if html or (not is_jsx and is_one_html_block(text)):
        yield from ((url, line, column, BODY) for url, line, column in _placed(text, in_html))
        return
    from imgcache.scanner.markup import markdown  # loading it takes longer than reading a small site

    yield from markdown.images(text, syntax, in_html, is_jsx=is_jsx)


def called(text: str, article: str) -> tuple[Reference, ...]:
    """See `imgcache.scanner.markup.called`."""
    found = _in_calls(_without_liquid_blocks(text), ())
    return tuple([Reference(url, article, line + 1, column + 1, CALL) for url, line, column in found])


def is_one_html_block(text: str) -> bool:
    """Return whether Markdown surely treats all of the text as HTML; otherwise a parser must decide."""
    if not _BLOCK.match(text) or _has_lone_cr(text):
        return False
    return not _BLANK_LINE.search(text, 0, len(text.rstrip()))  # blank lines at the end do not matter


def _has_lone_cr(text: str) -> bool:
    return "\r" in text and text.count("\r") > text.count("\r\n")


def _in_rare_attributes(text: str) -> Iterator[tuple[str, int]]:
    from imgcache.scanner.markup import attributes  # compiling its patterns takes as long as reading 200 articles

    return attributes.image_urls(text)


def _in_calls(text: str, languages: Collection[str]) -> Iterator[Found]:
    from imgcache.scanner.markup import calls

    def in_order(text: str) -> Iterator[tuple[str, int]]:
        return iter(sorted(calls.image_urls(text, languages), key=itemgetter(1)))

    return _placed(text, in_order)


def _placed(text: str, find: Callable[[str], Iterator[tuple[str, int]]]) -> Iterator[Found]:
    if _has_lone_cr(text):
        text = _LONE_CR.sub("\n", text)
    line = start = counted = 0
    for url, offset in find(text):
        if lines := text.count("\n", counted, offset):
            line += lines
            start = text.rfind("\n", counted, offset) + 1
        counted = offset
        yield url, line, offset - start


def _without_liquid_blocks(text: str) -> str:
    """Blank out, character by character, what Liquid removes from the page or shows as code: no image there is loaded.

    It is replaced by dots, since spaces at the start of a line would make a code block of what follows. An unclosed
    block stays: outside Jekyll it is plain text.
    """
    pieces: list[str] = []
    position = 0
    unclosed: set[str] = set()
    while opening := _LIQUID_BLOCK.search(text, position):
        name = opening[1]
        closing = None if name in unclosed else _LIQUID_END[name].search(text, opening.end())
        if not closing:
            unclosed.add(name)
            pieces.append(text[position : opening.end()])
            position = opening.end()
            continue
        pieces.append(text[position : opening.start()])
        pieces.append(_VISIBLE.sub(".", text[opening.start() : closing.end()]))
        position = closing.end()
    return "".join(pieces) + text[position:]
