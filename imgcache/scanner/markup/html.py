"""Finds image URLs in HTML, with their places: `<img src>`, `<img srcset>` and `<source srcset>`.

Tree builders do not report the place of an attribute. So this follows the tokenizer of the HTML standard (section
13.2.5) as far as needed: tags, attributes, comments and elements whose content is text. One pattern skips everything
that is no image, so the cost is that of a search. Limit: it builds no tree, so an image inside `<template>` counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from imgcache.scanner.markup.character_references import unescape

SPACE = " \t\n\f\r"
VALUE = rf"""[{SPACE}]*+=[{SPACE}]*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^{SPACE}"'>][^{SPACE}>]*+)?+"""
# The first repetition matches nearly all attributes in half the time of the second.
ATTRIBUTES = rf"""(?:[{SPACE}]++[a-zA-Z-]++="[^"]*+")*+(?:[{SPACE}/]++|[^{SPACE}/>][^{SPACE}/>=]*+(?:{VALUE})?+)*+"""
_IMAGE_NAME = r"[iI][mM][gG]|[sS][oO][uU][rR][cC][eE]"
_TEXT_NAME = (
    r"[sS][cC][rR][iI][pP][tT]|[sS][tT][yY][lL][eE]|[tT][iI][tT][lL][eE]|[tT][eE][xX][tT][aA][rR][eE][aA]|[xX][mM][pP]|"
    r"[iI][fF][rR][aA][mM][eE]|[nN][oO][eE][mM][bB][eE][dD]|[nN][oO][fF][rR][aA][mM][eE][sS]|"
    r"[pP][lL][aA][iI][nN][tT][eE][xX][tT]"
)
_INITIAL = "[iIsStTxXnNpP]"  # of all these names: one check instead of trying each
_OTHER_TAG = rf"<(?!(?={_INITIAL})(?:{_IMAGE_NAME}|{_TEXT_NAME})[{SPACE}/>])/?+[a-zA-Z][^{SPACE}/>]*+{ATTRIBUTES}>"
# Most tags are one of these two; trying them first saves a quarter of the time.
_END_TAG = r"</[a-zA-Z][a-zA-Z0-9]*+>"
_USUAL_TAG = rf"""<(?:t[dr]|p|a|div|span|b|br|strong|table)(?:[{SPACE}]++[a-z]++="[^"]*+")*+/?+>"""
OTHER_COMMENT = r"<!--[^->][^-]*+(?:-[^-][^-]*+)*+-->"
# Everything that is no image, then the image if it is like most: one quoted `src` without spaces and templates.
_PLAIN_ATTRIBUTES = rf"""(?:[{SPACE}]++(?![sS][rR][cC])[a-zA-Z-]++="[^"]*+")*+"""
_PLAIN_SOURCE = rf"""src="([^"{SPACE}&{{][^"{SPACE}{{]*+)\""""  # an entity at the start might be a space
_PLAIN_IMAGE = rf"<img{_PLAIN_ATTRIBUTES}[{SPACE}]++{_PLAIN_SOURCE}{_PLAIN_ATTRIBUTES}[{SPACE}]*+/?+>"
_TO_IMAGE = re.compile(
    rf"(?:[^<]*+(?:{_END_TAG}|{_USUAL_TAG}|{_OTHER_TAG}|<(?![a-zA-Z/!?])|{OTHER_COMMENT}))*+[^<]*+(?:{_PLAIN_IMAGE})?+"
)
_IMAGE = re.compile(rf"<({_IMAGE_NAME})(?=[{SPACE}/>])({ATTRIBUTES})>")
_TEXT = re.compile(rf"<({_TEXT_NAME})(?=[{SPACE}/>]){ATTRIBUTES}>")
_SOURCE = r"[sS][rR][cC](?:[sS][eE][tT])?+"
# The next attribute of this name, after any others.
_SOURCE_ATTRIBUTE = re.compile(
    rf"(?:[{SPACE}/]++|(?!{_SOURCE}(?:[{SPACE}/=]|\Z))[^{SPACE}/>][^{SPACE}/>=]*+(?:{VALUE})?+)*+"
    rf"({_SOURCE})(?:[{SPACE}]*+=[{SPACE}]*+"
    rf"""(?:"([^"]*+)"|'([^']*+)'|([^{SPACE}"'>][^{SPACE}>]*+))?+)?+"""
)
COMMENT_END = re.compile(r"--(?:>|(?<!<!--)!>)")
_SCRIPT_MARK = re.compile(rf"<!--|-->|</?[sS][cC][rR][iI][pP][tT](?=[{SPACE}/>])")
_BOGUS = re.compile(r"<(?:!|\?|/(?![a-zA-Z]))")  # a comment up to `>` (sections 13.2.5.6, .7 and .41)
_CANDIDATE = re.compile(rf"[{SPACE},]*+([^{SPACE}]++)")
_DESCRIPTORS = re.compile(r"(?:\([^)]*+(?:\)|\Z)|[^,(])*+,?")


def image_urls(text: str) -> Iterator[tuple[str, int]]:
    """Yield each URL with the index of its first character in `text`, decoded, without empty and templated ones."""
    position = 0
    while found := _TO_IMAGE.match(text, position):
        position = found.end()
        if found[1]:
            yield _decoded(found[1]), found.start(1)
        elif image := _IMAGE.match(text, position):
            yield from _urls_of_tag(image[1].lower(), image[2], image.start(2))
            position = image.end()
        elif element := _TEXT.match(text, position):
            position = end_of_text(text, element[1].lower(), element.end())
        elif text.startswith("<!--", position):
            closing = COMMENT_END.search(text, position + 2)  # `<!-->` and `<!--->` are complete (section 13.2.5.43)
            position = closing.end() if closing else len(text)
        elif _BOGUS.match(text, position):
            position = _after(text, ">", position)
        else:
            return  # end of the file, or an unclosed tag, which is no tag


def _urls_of_tag(tag: str, attributes: str, base: int) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    position = 0
    while attribute := _SOURCE_ATTRIBUTE.match(attributes, position):
        position = attribute.end()
        name = attribute[1].lower()
        if name in seen:
            continue  # the first of two attributes counts (section 13.2.5.33)
        seen.add(name)
        group = attribute.lastindex or 1
        raw = attribute[group]
        if group == 1 or "{{" in raw or "{%" in raw:
            continue
        start = base + attribute.start(group)
        if name == "srcset":
            value, places = unescape(raw)
            for url, at in srcset_urls(value):
                yield url, start + places[at]
        elif tag == "img":
            value, places = unescape(raw)
            url = value.strip(SPACE)
            if url:
                yield url, start + places[len(value) - len(value.lstrip(SPACE))]


def srcset_urls(value: str) -> Iterator[tuple[str, int]]:
    """Yield the URL of each candidate and its index (HTML, section 4.8.4.2.2, "parsing a srcset attribute").

    A comma inside a URL belongs to it, one at its end does not. Descriptors are skipped, valid or not.
    """
    position = 0
    while candidate := _CANDIDATE.match(value, position):
        url = candidate[1].rstrip(",")
        position = candidate.end()
        if url == candidate[1] and (descriptors := _DESCRIPTORS.match(value, position)):
            position = descriptors.end()
        yield url, candidate.start(1)


def _decoded(raw: str) -> str:
    if raw.count("&") == raw.count("&amp;"):
        return raw.replace("&amp;", "&")
    return unescape(raw)[0].rstrip(SPACE)


def end_of_text(text: str, name: str, position: int) -> int:
    """Return the end of the text of an element: its end tag, or the end of the file (section 13.2.6.2).

    Args:
        text: the whole text.
        name: of the element, in small letters.
        position: where its content begins.
    """
    if name == "script":
        return _end_of_script(text, position)
    closing = _text_end(name).search(text, position)
    return closing.start() if closing else len(text)


def _end_of_script(text: str, position: int) -> int:
    """Return the end of a script. A script in a comment in a script has its own end tag (sections 13.2.5.20 to .31)."""
    in_comment = in_inner = False
    while mark := _SCRIPT_MARK.search(text, position):
        position = mark.end()
        if mark[0] == "<!--":
            in_comment = True
            position -= 2  # `<!-->` is complete
        elif mark[0] == "-->":
            in_comment = in_inner = False
        elif mark[0].startswith("</") and not in_inner:
            return mark.start()
        else:
            in_inner = in_comment and not mark[0].startswith("</")
    return len(text)


@cache
def _text_end(name: str) -> re.Pattern[str]:
    if name == "plaintext":
        return re.compile(r"\Z")
    either_case = "".join(f"[{letter}{letter.upper()}]" for letter in name)  # IGNORECASE would search slowly
    return re.compile(rf"</{either_case}(?=[{SPACE}/>])")


def _after(text: str, mark: str, position: int) -> int:
    found = text.find(mark, position)
    return found + len(mark) if found >= 0 else len(text)
