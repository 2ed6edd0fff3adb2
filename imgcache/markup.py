"""Image references in the body of an article: Markdown (CommonMark 0.31) with raw HTML, or HTML.

Each reference stands where its URL stands, since that is what an editor has to change: for `![alt][label]` in the
definition of the label.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_inline import StateInline, html_inline, image
from markdown_it.token import Token

from imgcache.html_marks import has_images, image_urls
from imgcache.models import Reference

_LINE_END = re.compile(r"\r\n|\n|\r")
_DEFINITION = re.compile(r"\[(?:\\.|[^\[\]\\])*\]:[ \t]*(?:\n[ \t>]*)?<?", re.DOTALL)
_DESTINATION = re.compile(r"\([ \t\n]*<?")
# What Liquid takes out of the page, or shows as code: no image of it is ever loaded.
_UNSHOWN = re.compile(r"\{%-?\s*(comment|highlight)\b.*?\{%-?\s*end\1\s*-?%\}", re.DOTALL)
_VISIBLE = re.compile(r"[^\s]")

Found = tuple[str, int, int]  # URL, line (from 0) and column (from 0) in the text


def references(text: str, article: str, *, first_line: int, html: bool) -> tuple[Reference, ...]:
    """Every image of a body, in the order of the file; `field` is `body` and nothing is declared.

    URLs have entities and backslashes undone and are otherwise untouched. Those that hold Liquid, Jinja or Go templates
    are left out: they are no URLs yet. The `width` and `height` of `<img>` are its size on the page, not the file's.

    Args:
        text: the article below its front matter.
        article: its path relative to the site.
        first_line: the line of the file at which `text` starts.
        html: whether the file is HTML rather than Markdown.
    """
    if not ("![" in text and not html) and not has_images(text):
        return ()
    if "{%" in text:
        text = _UNSHOWN.sub(lambda match: _VISIBLE.sub(" ", match[0]), text)
    found = _in_html(text) if html else _in_markdown(text)
    unique = sorted({(line, column, url) for url, line, column in found if "{{" not in url and "{%" not in url})
    return tuple(Reference(url, article, first_line + line, column + 1, "body") for line, column, url in unique)


def _in_html(text: str) -> Iterator[Found]:
    starts = [0, *(end.end() for end in _LINE_END.finditer(text))]
    for url, offset in image_urls(text):
        line = bisect.bisect_right(starts, offset) - 1
        yield url, line, offset - starts[line]


def _in_markdown(text: str) -> Iterator[Found]:
    lines = _LINE_END.split(text)
    definitions: dict[str, object] = {}
    for token in _parser().parse(text, definitions):
        if not token.map:
            continue
        if token.type == "html_block":
            for url, offset in image_urls(token.content):
                yield _located(lines, token, url, offset)
        for child in token.children or ():
            if child.type == "html_inline":
                for url, offset in image_urls(child.content):
                    yield _located(lines, token, url, child.meta["start"] + offset)
            elif child.type == "image" and child.meta["map"]:
                yield _in_definition(lines, child)
            elif child.type == "image":
                yield _located(lines, token, child.content, child.meta["start"])


def _located(lines: list[str], block: Token, url: str, offset: int) -> Found:
    """From an index in a block's content to a place in the text: each content line is the tail of a source line."""
    before = block.content[:offset]
    line = (block.map or [0])[0] + before.count("\n")
    in_line = offset - (before.rfind("\n") + 1)
    content = block.content.split("\n")[before.count("\n")]
    core = content.strip(" \t")
    source = lines[line]
    start = source.rstrip(" \t").rfind(core) if source.rstrip(" \t").endswith(core) else source.find(core)
    return url, line, max(start, 0) + in_line - (len(content) - len(content.lstrip(" \t")))


def _in_definition(lines: list[str], token: Token) -> Found:
    first, last = token.meta["map"]
    source = "\n".join(lines[first:last])
    definition = _DEFINITION.search(source)
    offset = definition.end() if definition else 0
    before = source[:offset]
    return token.content, first + before.count("\n"), offset - (before.rfind("\n") + 1)


class _Verbatim(MarkdownIt):
    """A parser that hands out link destinations as they are: the guard against bad ones is not here."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - the library's name
        return url

    def validateLink(self, url: str) -> bool:  # noqa: N802, ARG002 - the library's name
        return True


@cache
def _parser() -> MarkdownIt:
    parser = _Verbatim("commonmark")
    parser.inline.ruler.at("image", _image)
    parser.inline.ruler.at("html_inline", _html_inline)
    return parser


def _image(state: StateInline, silent: bool) -> bool:
    """The library's rule, keeping the URL and its place and leaving the alternative text unparsed."""
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
