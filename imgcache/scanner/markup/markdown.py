"""Finds images in Markdown (CommonMark 0.31) with raw HTML.

The place of an image is that of its URL, since an edit changes the URL. For `![alt][label]` it is in the definition of
the label.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

from markdown_it import MarkdownIt, helpers
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_inline import StateInline, html_inline, image
from markdown_it.token import Token

from imgcache.scanner.markup.html import image_urls

_LINE_END = re.compile(r"\r\n|\n|\r")
_DEFINITION = re.compile(r"\[(?:\\.|[^\[\]\\])*\]:[ \t]*(?:\n[ \t>]*)?<?", re.DOTALL)
_DESTINATION = re.compile(r"\([ \t\n]*<?")


def images(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the URL of each image with its line and column in the text, both from 0."""
    lines = _LINE_END.split(text) if "\r" in text else text.split("\n")
    definitions: dict[int, tuple[int, int]] = {}  # by the first line of a definition; images may share one
    for token in _parser().parse(text, {}):
        if token.type == "html_block":
            block = _Block(lines, token)
            for url, offset in image_urls(token.content):
                yield url, *block.place(offset)
        elif token.children:
            block = _Block(lines, token)
            for child in token.children:
                if child.type == "html_inline":
                    for url, offset in image_urls(child.content):
                        yield url, *block.place(child.meta["start"] + offset)
                elif child.type == "image" and child.meta["map"]:
                    first, last = child.meta["map"]
                    if first not in definitions:
                        definitions[first] = _in_definition(lines, first, last)
                    yield child.content, *definitions[first]
                elif child.type == "image":
                    yield child.content, *block.place(child.meta["start"])


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


class _Verbatim(MarkdownIt):
    """A parser that keeps link destinations as they are. Whether a URL is allowed is checked elsewhere."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - the library's name
        return url

    def validateLink(self, url: str) -> bool:  # noqa: N802, ARG002 - the library's name
        return True


@cache
def _parser() -> MarkdownIt:
    parser = _Verbatim("commonmark")
    functions: Any = SimpleNamespace(**vars(helpers) | {"parseLinkTitle": _link_title})
    parser.helpers = functions
    parser.inline.ruler.at("image", _image)
    parser.inline.ruler.at("html_inline", _html_inline)
    return parser


def _link_title(string: str, start: int, maximum: int, before: Any = None) -> Any:
    """Call the library's function and keep only the first character of the title, which is not needed.

    The library joins each line of a title to all lines before, which takes quadratic time.
    """
    title = helpers.parseLinkTitle(string, start, maximum, before)
    title.str = title.str[:1]
    return title


def _image(state: StateInline, silent: bool) -> bool:
    """Apply the library's rule; keep the URL and its place, and do not parse the alternative text."""
    start = state.pos
    if not image(state, True) or silent:
        return state.pos > start
    end, state.pos = state.pos, start
    label_end = state.md.helpers.parseLinkLabel(state, start + 1, False)
    state.pos = end
    token = state.push("image", "img", 0)
    destination = _DESTINATION.match(state.src, label_end + 1)
    if destination and state.src[end - 1] == ")":
        opening = destination.end() - destination[0].endswith("<")
        token.content = state.md.helpers.parseLinkDestination(state.src, opening, end).str
        token.meta = {"start": destination.end(), "map": None}
        return True
    label = state.src[label_end + 2 : end - 1] or state.src[start + 2 : label_end]
    definition = state.env["references"][normalizeReference(label)]
    token.content = definition["href"]
    token.meta = {"map": definition["map"]}
    return True


def _html_inline(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if not html_inline(state, silent):
        return False
    if not silent:
        state.tokens[-1].meta = {"start": start}
    return True
