"""Finds images in calls of template languages: includes, partials, shortcodes and tags. Pure.

A call with a literal URL names an image: any URL in a call of what `imgcache export` writes, in other calls a URL with
the extension of an image. The value of a variable is not known before the site is built.

- Liquid: `{% include imgcache.html url="…" %}`, `{% include figure src="/a.png" %}`
- Hugo: `{{ partial "imgcache.html" (dict "url" "…") }}`, `{{< imgcache url="…" >}}`, `{{< figure src="a.png" >}}`
- Nunjucks and Liquid in Eleventy: `{% imgcache "…", … %}`, `{% image { src: "…" } %}`, `{{ image("…") }}`
- Handlebars: `{{{ imgcache "…" }}}`
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from imgcache.scanner.markup.names import is_rooted, looks_like_image
from imgcache.scanner.markup.syntax import CALLED, HUGO, LIQUID

_OWN = re.compile(
    r"""(?P<include>\{%[-+]?\s*+include(?:_cached|_relative)?+\s++["']?imgcache(?:\.html)?["']?(?=[\s,]))"""
    r"""|(?P<partial>\b(?:partial|partialCached|template|include)\s++["`](?:[^"`\s]*/)?imgcache(?:\.html)?["`])"""
    r"""|(?P<short>\{(?:%[-+]?|\{[<%]|\{\{?[-~]?)\s*+imgcache(?=[\s("'{]))"""
)
_ANY = re.compile(
    r"""\{(?:%[-+]?\s*+(?P<liquid>[A-Za-z_][\w-]*+)|\{[<%]\s*+(?P<hugo>[A-Za-z_][\w./-]*+)"""
    r"""|\{[-~]?\s*+(?P<function>[A-Za-z_]\w*+)\()"""
)
_RAW = re.compile(r"\{%-?\s*+raw\s*+-?%\}.*?(?:\{%-?\s*+endraw\s*+-?%\}|\Z)", re.DOTALL)
# The next part of a call: a string, a key, the end, the start of another tag, an address without quotes, or a word.
_PART = re.compile(
    r"""\s++|"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|`(?P<raw>[^`]*+)`|(?P<key>[A-Za-z_][\w-]*+)\s*+[=:](?!//)"""
    r"""|(?P<end>-?%\}\}?|[>/]+\}\}|[-~]?\}\}\}?)|(?P<other>\{[{%])"""
    r"""|(?P<bare>(?:https?:)?+/{1,2}\w[^\s"'`{}<>|%,]*+)|(?P<word>[\w.$-]++)|(?P<sign>.)""",
    re.DOTALL,
)
_KEYS = frozenset({"url", "src"})
_SOURCES = _KEYS | {"image", "img", "path"}
# Tags that decide, repeat or remember: what they name is not what a page shows.
_CONTROL = frozenset(
    {
        *("if", "elsif", "elseif", "else", "unless", "case", "when", "for", "tablerow", "assign", "capture", "set"),
        *("comment", "raw", "highlight", "verbatim", "macro", "import", "from", "extends", "block", "layout", "cycle"),
        *("link", "post_url", "filter", "switch", "ifAsync", "codeblock", "url_for"),
    }
)
# Calls whose relative addresses are those of the page: those that generators have, and that of eleventy-img.
_RELATIVE = frozenset({"figure", "image", "img", "asset_img", "picture"})

_STRINGS = frozenset({"double", "single", "raw"})
_Part = re.Match[str]
_Found = tuple[str, int]  # a URL, and the index of its first character


def image_urls(text: str, languages: Collection[str] = (LIQUID, HUGO)) -> Iterator[_Found]:
    """Yield each literal URL of a call, with the index of its first character in `text`, in no particular order.

    Args:
        text: a body without what its template language takes for comments.
        languages: whose calls count, beside those of our own.
    """
    is_own, is_other = CALLED in text, bool(languages)
    skipped = [found.span() for found in _RAW.finditer(text)] if "raw" in text else []
    if is_own:
        for opening, parts in _calls(_OWN, text, skipped):
            yield from _own_call(opening, parts)
    if is_other:
        for opening, parts in _calls(_ANY, text, skipped):
            language = HUGO if opening["hugo"] else LIQUID
            name = opening[opening.lastgroup or 0]
            if language in languages and name not in _CONTROL and not name.startswith("end"):
                yield from _other_call(parts, is_page=name in _RELATIVE)


def _calls(pattern: re.Pattern[str], text: str, skipped: list[tuple[int, int]]) -> Iterator[tuple[_Part, list[_Part]]]:
    """Yield the beginning of each call with its parts, those in raw blocks aside."""
    position = number = 0
    while opening := pattern.search(text, position):
        while number < len(skipped) and skipped[number][1] <= opening.start():
            number += 1
        if number < len(skipped) and skipped[number][0] <= opening.start():
            position = skipped[number][1]
            continue
        parts, position = _parts(text, opening.end())
        yield opening, parts


def _parts(text: str, position: int) -> tuple[list[_Part], int]:
    """Return the parts of a call, and where to continue: after its end, or at the start of another tag."""
    parts: list[_Part] = []
    while part := _PART.match(text, position):
        if part.lastgroup == "end":
            return parts, part.end()
        if part.lastgroup == "other":
            return parts, part.start()
        if part.lastgroup == "sign" and part["sign"] in "\"'`":
            break  # an unclosed string contains the rest of the text
        if part.lastgroup:
            parts.append(part)
        position = part.end()
    return parts, len(text)


def _own_call(opening: _Part, parts: list[_Part]) -> Iterator[_Found]:
    """Yield the URL of one call of our own."""
    takes_first = opening.lastgroup == "short"
    key, is_first = "", True
    for part in parts:
        kind = part.lastgroup
        if kind in _STRINGS:
            if (key in _KEYS or (takes_first and is_first)) and _is_literal(part[kind]):
                yield part[kind], part.start(kind)
                return
            key = "" if key else part[kind]  # the keys of Hugo's `dict` are strings
        elif kind in {"key", "word", "bare"}:
            key = part["key"] or ""
        is_first = is_first and part[0] == "("


def _other_call(parts: list[_Part], *, is_page: bool) -> Iterator[_Found]:
    """Yield the addresses of one call that look like images; if `is_page`, its relative address of an image too."""
    key = ""
    for number, part in enumerate(parts):
        kind = part.lastgroup
        if kind in _STRINGS or kind == "bare":
            value = part[kind]
            is_relative = is_page and (key in _SOURCES or (not key and number <= 1))
            if looks_like_image(value) and (is_relative or is_rooted(value)) and _is_literal(value):
                yield value, part.start(kind)
        key = part["key"] or ""


def _is_literal(url: str) -> bool:
    return bool(url.strip()) and "{{" not in url and "{%" not in url and "\\" not in url and "\n" not in url
