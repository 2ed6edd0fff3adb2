"""Finds images in Markdown (CommonMark 0.31) with raw HTML.

The place of an image is that of its URL, since an edit changes the URL. For `![alt][label]` it is in the definition of
the label.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Iterator

from markdown_it.token import Token

from imgcache.scanner.markup import jsx
from imgcache.scanner.markup.markdown_rules import environment, parser
from imgcache.scanner.markup.syntax import BODY, Syntax

_LINE_END = re.compile(r"\r\n|\n|\r")
_DEFINITION = re.compile(r"\[(?:\\.|[^\[\]\\])*\]:[ \t]*(?:\n[ \t>]*)?<?", re.DOTALL)

Finder = Callable[[str], Iterator[tuple[str, int]]]
Found = tuple[str, int, int, str]  # URL, line (from 0), column (from 0), field


def images(text: str, syntax: Syntax, in_html: Finder, *, is_jsx: bool) -> Iterator[Found]:
    """Yield the URL of each image with its line and column in the text, both from 0, and its field.

    Args:
        text: the body.
        syntax: how the generator reads it.
        in_html: finds the images of HTML: each URL, with the index of its first character.
        is_jsx: whether it is MDX: then tags are those of JSX, and there is no block of HTML.
    """
    if is_jsx:
        text = jsx.without_comments(text)
    lines = _LINE_END.split(text) if "\r" in text else text.split("\n")
    tokens = parser(indented_code=syntax.indented_code and not is_jsx, footnotes=syntax.footnotes, is_jsx=is_jsx).parse(
        text, environment(text)
    )
    if not is_jsx:
        yield from ((*found, BODY) for found in _in_tokens(tokens, lines, in_html))
        return
    yield from ((*found, BODY) for found in _in_tokens(tokens, lines, None))
    yield from jsx.images(_without_code(tokens, lines))


def _in_tokens(tokens: list[Token], lines: list[str], in_html: Finder | None) -> Iterator[tuple[str, int, int]]:
    definitions: dict[int, tuple[int, int]] = {}  # by the first line of a definition; images may share one
    for token in tokens:
        if token.type == "html_block" and in_html:
            block = _Block(lines, token)
            for url, offset in in_html(token.content):
                yield url, *block.place(offset)
        elif token.children:
            block = _Block(lines, token)
            for child in token.children:
                if child.type == "html_inline" and in_html:
                    for url, offset in in_html(child.content):
                        yield url, *block.place(child.meta["start"] + offset)
                elif child.type == "image" and child.meta["map"]:
                    first, last = child.meta["map"]
                    if first not in definitions:
                        definitions[first] = _in_definition(lines, first, last)
                    yield child.content, *definitions[first]
                elif child.type == "image":
                    yield child.content, *block.place(child.meta["start"])


def _without_code(tokens: list[Token], lines: list[str]) -> list[str]:
    """Return the lines with spaces for what is code."""
    lines = list(lines)
    for token in tokens:
        if token.type == "fence" and token.map:
            for number in range(*token.map):
                lines[number] = ""
        elif token.children:
            block = _Block(lines, token)
            spans = [child.meta for child in token.children if child.type == "code_inline"]
            places = [(block.place(span["start"]), block.place(span["end"])) for span in spans]
            for (first, start), (last, end) in places:
                for number in range(first, last + 1):
                    left = start if number == first else 0
                    right = end if number == last else len(lines[number])
                    lines[number] = lines[number][:left] + " " * (right - left) + lines[number][right:]
    return lines


class _Block:
    """Converts an index in the content of a block to a place in the text.

    Each content line is part of a source line, which also has markers, indentation and the closing `#` of a heading.
    """

    def __init__(self, lines: list[str], token: Token) -> None:
        self._source = lines
        self._first = token.map[0] if token.map else 0
        self._content = token.content.split("\n")
        self._starts = [0, *itertools.accumulate(len(line) + 1 for line in self._content)]
        self._shifts: dict[int, int] = {}

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 0."""
        number = bisect.bisect_right(self._starts, offset) - 1
        if number not in self._shifts:
            self._shifts[number] = self._shift(number)
        return self._first + number, max(0, offset - self._starts[number] + self._shifts[number])

    def _shift(self, number: int) -> int:
        content, source = self._content[number], self._source[self._first + number]
        return source.find(content.strip(" \t")) - (len(content) - len(content.lstrip(" \t")))


def _in_definition(lines: list[str], first: int, last: int) -> tuple[int, int]:
    """Return the place of the URL in a definition on the lines from `first` to before `last`."""
    source = "\n".join(lines[first:last])
    definition = _DEFINITION.search(source)
    offset = definition.end() if definition else 0
    before = source[:offset]
    return first + before.count("\n"), offset - (before.rfind("\n") + 1)
