"""Finds images in calls of what `imgcache export` writes: Jekyll's include, Hugo's partial, shortcodes. Pure.

A call with a literal URL names an image. The value of a variable is not known before the site is built.

- Liquid: `{% include imgcache.html url="…" %}`
- Hugo: `{{ partial "imgcache.html" (dict "url" "…") }}`, `{{< imgcache url="…" >}}` and `{{< imgcache "…" >}}`
- Nunjucks and Liquid in Eleventy: `{% imgcache "…", … %}`, `{% imgcache { url: "…" } %}`
- Handlebars: `{{{ imgcache "…" }}}`
"""

from __future__ import annotations

import re
from collections.abc import Iterator

NAME = "imgcache"  # a text without this word has no call

_OPENING = re.compile(
    r"""(?P<include>\{%[-+]?\s*+include(?:_cached|_relative)?+\s++["']?imgcache(?:\.html)?["']?(?=[\s,]))"""
    r"""|(?P<partial>\b(?:partial|partialCached|template|include)\s++["`](?:[^"`\s]*/)?imgcache(?:\.html)?["`])"""
    r"""|(?P<short>\{(?:%[-+]?|\{[<%]|\{\{?[-~]?)\s*+imgcache(?=[\s("'{]))"""
)
_RAW = re.compile(r"\{%-?\s*+raw\s*+-?%\}.*?(?:\{%-?\s*+endraw\s*+-?%\}|\Z)", re.DOTALL)
# The next part of a call: a string, a key, the end, the start of another tag, or a word.
_PART = re.compile(
    r"""\s++|"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|`(?P<raw>[^`]*+)`|(?P<key>[A-Za-z_][\w-]*+)\s*+[=:]"""
    r"""|(?P<end>-?%\}\}?|[>/]+\}\}|[-~]?\}\}\}?)|(?P<other>\{[{%])|(?P<word>[\w.$-]++)|(?P<sign>.)""",
    re.DOTALL,
)
_KEYS = frozenset({"url", "src"})


def image_urls(text: str) -> Iterator[tuple[str, int]]:
    """Yield each literal URL of a call, with the index of its first character in `text`."""
    if NAME not in text:
        return
    skipped = [found.span() for found in _RAW.finditer(text)] if "raw" in text else []
    position = number = 0
    while opening := _OPENING.search(text, position):
        while number < len(skipped) and skipped[number][1] <= opening.start():
            number += 1
        if number < len(skipped) and skipped[number][0] <= opening.start():
            position = skipped[number][1]
            continue
        found, position = _in_call(text, opening)
        if found is not None and _is_literal(found[0]):
            yield found


def _in_call(text: str, opening: re.Match[str]) -> tuple[tuple[str, int] | None, int]:
    """Return the URL of one call, and where to continue."""
    takes_first = opening.lastgroup == "short"
    position, key, is_first = opening.end(), "", True
    found: tuple[str, int] | None = None
    while part := _PART.match(text, position):
        kind = part.lastgroup
        if kind in {"end", "other"}:
            return found, part.end() if kind == "end" else part.start()
        position = part.end()
        if kind in {"double", "single", "raw"}:
            value = part[kind], part.start(kind)
            if found is None and (key in _KEYS or (takes_first and is_first)):
                found = value
            key = "" if key else value[0]  # the keys of Hugo's `dict` are strings
        elif kind == "key":
            key = part["key"]
        elif kind == "word":
            key = ""
        elif kind == "sign" and part["sign"] in "\"'`":
            return found, len(text)  # an unclosed string contains the rest of the text
        is_first = is_first and (kind is None or part[0] == "(")
    return found, len(text)


def _is_literal(url: str) -> bool:
    return bool(url.strip()) and "{{" not in url and "{%" not in url and "\\" not in url and "\n" not in url
