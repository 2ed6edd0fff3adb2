"""The parser of Markdown: that of markdown-it-py, which keeps places and reads what generators add to CommonMark."""

from __future__ import annotations

import re
from functools import cache
from types import SimpleNamespace
from typing import Any

from markdown_it import MarkdownIt, helpers
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_block import StateBlock, reference
from markdown_it.rules_inline import StateInline, backtick, html_inline, image

_DESTINATION = re.compile(r"\([ \t\n]*<?")
_SIZE = re.compile(r"[ \t](?:align=|=\d*+%?x)")
_SIZED = re.compile(
    r"""\([ \t]*+<?([^\s<>()]++)>?[ \t]++(?:align=["']?\w*+["']?|=\d*+%?x\d*+%?)[ \t]*+(?:"[^"\n]*+"[ \t]*+)?\)"""
)


class _Verbatim(MarkdownIt):
    """A parser that keeps link destinations as they are. Whether a URL is allowed is checked elsewhere."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - the library's name
        return url

    def validateLink(self, url: str) -> bool:  # noqa: N802, ARG002 - the library's name
        return True


@cache
def parser(*, indented_code: bool, footnotes: bool, is_jsx: bool) -> MarkdownIt:
    """Return a parser.

    Args:
        indented_code: whether lines after four spaces are code.
        footnotes: whether `[^1]: text` is a footnote rather than the definition of a link.
        is_jsx: whether to read MDX, which has no blocks of HTML; inline code then has its place.
    """
    made = _Verbatim("commonmark")
    functions: Any = SimpleNamespace(**vars(helpers) | {"parseLinkTitle": _link_title})
    made.helpers = functions
    made.inline.ruler.at("image", _image)
    made.inline.ruler.at("html_inline", _html_inline)
    made.inline.ruler.at("backticks", _backticks)
    if not indented_code:
        made.disable("code")
    if footnotes:
        made.block.ruler.at("reference", _reference)
    if is_jsx:
        made.disable("html_block")
    return made


def environment(text: str) -> dict[str, Any]:
    """Return the environment with which a text is parsed."""
    return {"has_sizes": _SIZE.search(text) is not None}


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
    if not image(state, True):
        return _sized_image(state, silent)
    if silent:
        return True
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


def _sized_image(state: StateInline, silent: bool) -> bool:
    """Read `![](url =300x200)` of markdown-it-imsize and `![](url align="left")` of Hashnode."""
    if not state.src.startswith("![", state.pos) or not state.env["has_sizes"]:
        return False
    label_end = state.md.helpers.parseLinkLabel(state, state.pos + 1, False)
    found = _SIZED.match(state.src, label_end + 1) if label_end >= 0 else None
    if not found:
        return False
    if not silent:
        token = state.push("image", "img", 0)
        token.content = found[1]
        token.meta = {"start": found.start(1), "map": None}
    state.pos = found.end()
    return True


def _reference(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Apply the library's rule to what is no footnote."""
    is_footnote = state.src.startswith("[^", state.bMarks[start] + state.tShift[start])
    return not is_footnote and reference(state, start, end, silent)


def _backticks(state: StateInline, silent: bool) -> bool:
    start, count = state.pos, len(state.tokens)
    if not backtick(state, silent):
        return False
    if len(state.tokens) > count and state.tokens[-1].type == "code_inline":
        state.tokens[-1].meta = {"start": start, "end": state.pos}
    return True


def _html_inline(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if not html_inline(state, silent):
        return False
    if not silent:
        state.tokens[-1].meta = {"start": start}
    return True
