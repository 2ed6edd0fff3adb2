"""Replaces URLs of images in a body; every other character stays. Pure.

An edit is a splice where the text at the place of a reference is its URL, escaped or not. Each result is read again and
compared with what was there. An edit that would change anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markdown_it.helpers import parseLinkDestination

from imgcache.core import ArticleChanged, ArticleUnreadable, Edit, Reference
from imgcache.scanner.markup.bodies import references
from imgcache.scanner.markup.character_references import unescape
from imgcache.scanner.markup.quick import marks
from imgcache.scanner.markup.syntax import CALL, Syntax

_LINE_END = re.compile(r"\r\n|\n|\r")
# The text before a destination of Markdown, and never before a URL in HTML. `>` may be the mark of a block quote.
_MARKDOWN_BEFORE = re.compile(r"(?:\(|\]:)[\s>]*(<?)\Z")
_OPENING_QUOTE = re.compile(r"""=[\s>]*(["'])""")
_BEFORE = 4096  # characters searched backwards for the opening quote of an attribute; the check finds a wrong one
_ESCAPED = 12  # characters of text for one of the URL; longer escapes are refused
_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~]|\Z)")  # before punctuation it is an escape (CommonMark, section 2.4)
_ENTITY = re.compile(r"&(?=#?[0-9A-Za-z]+;)")  # section 2.5


class _Splice(NamedTuple):
    start: int
    end: int
    text: str


def apply(text: str, article: str, edits: Iterable[Edit], *, first_line: int, html: bool, syntax: Syntax) -> str:
    """See `imgcache.scanner.markup.apply`."""
    found = _references(text, article, first_line, syntax, html=html)
    new_urls = _by_reference(found, edits)
    if not new_urls:
        return text
    starts = [0, *(end.end() for end in _LINE_END.finditer(text))]
    pieces, position = [], 0
    for number, url in sorted(new_urls.items()):
        reference = found[number]
        start = starts[reference.line - first_line] + reference.column - 1
        if reference.field == CALL:
            splice = _in_call(text, start, reference.url, url)
        else:
            splice = find_splice(text, start, reference.url, url, html=html)
        if splice is None or splice.start < position:
            raise _unsafe(reference)
        pieces += [text[position : splice.start], splice.text]
        position = splice.end
    edited = "".join(pieces) + text[position:]
    after = _references(edited, article, first_line, syntax, html=html)
    expected = [(new_urls.get(number, reference.url), reference.line) for number, reference in enumerate(found)]
    if [(reference.url, reference.line) for reference in after] != expected:
        raise _unsafe(found[min(new_urls)])
    return edited


def _references(text: str, article: str, first_line: int, syntax: Syntax, *, html: bool) -> tuple[Reference, ...]:
    found = marks(text, html=html, languages=syntax.calls)
    return references(text, article, first_line=first_line, html=html, syntax=syntax, found=found)


def _by_reference(found: Sequence[Reference], edits: Iterable[Edit]) -> dict[int, str]:
    """Return the new URLs by the index of their reference."""
    index = {(reference.line, reference.column): number for number, reference in enumerate(found)}
    new_urls: dict[int, str] = {}
    for edit in edits:
        number = index.get((edit.line, edit.column))
        if number is None or edit.was not in {None, found[number].url}:
            message = "the image that was here is no longer here: the file was saved after it was scanned"
            raise ArticleChanged(message, line=edit.line, column=edit.column)
        if edit.flag is not None or edit.size is not None:
            message = "an image in the body has no flag and no declared size: add an entry to the front matter"
            raise ArticleUnreadable(message, line=edit.line, column=edit.column)
        if edit.url is not None:
            new_urls[number] = edit.url
    return new_urls


def find_splice(text: str, start: int, old: str, new: str, *, html: bool) -> _Splice | None:
    """Return a splice; None if the text there is not the URL, or the new URL cannot be written."""
    if not new.isprintable():
        return None
    before = text[max(0, start - _BEFORE) : start]
    destination = None if html else _MARKDOWN_BEFORE.search(before)
    if not destination:
        return _in_attribute(text, start, before, old, new)
    return _in_destination(text, start, old, new, in_angles=bool(destination[1]))


def _in_call(text: str, start: int, old: str, new: str) -> _Splice | None:
    """Replace a string of a template language. It has no entities, so only URLs without escapes are written."""
    end = start + len(old)
    is_there = start > 0 and text[start:end] == old and text[end : end + 1] == text[start - 1]
    if not is_there or not new.isprintable() or any(mark in new for mark in ("\\", text[start - 1], "{{", "{%")):
        return None
    return _Splice(start, end, new)


def _in_attribute(text: str, start: int, before: str, old: str, new: str) -> _Splice | None:
    """Replace the value of an attribute, or a part of it."""
    value, places = unescape(text[start : start + _ESCAPED * (len(old) + 1)])
    if not value.startswith(old):
        return None
    end = start + places[len(old)]
    raw = text[start:end]
    is_bare = "&" in raw and raw == old and unescape(new)[0] == new
    written = new if is_bare else new.replace("&", "&amp;")
    written = written.replace("<", "&lt;").replace(">", "&gt;")
    quotes = _OPENING_QUOTE.findall(before)
    quote = quotes[-1] if quotes and not before.endswith("=") else ""
    for mark in quote or "\"'`":
        written = written.replace(mark, f"&#{ord(mark)};")
    return _Splice(start, end, written)


def _in_destination(text: str, start: int, old: str, new: str, *, in_angles: bool) -> _Splice | None:
    """Replace a link destination (CommonMark 0.31, section 6.3): bare, or in angle brackets if needed."""
    found = parseLinkDestination(text, start - in_angles, len(text))
    if not found.ok or found.str != old:
        return None
    end = found.pos - in_angles
    written = _BACKSLASH.sub(r"\\\\", new)
    pattern = re.compile("&") if unescape(text[start:end])[0] != text[start:end] else _ENTITY
    written = pattern.sub("&amp;", written)
    if not in_angles and _is_destination(written, new):
        return _Splice(start, end, written)
    written = written.replace("<", r"\<").replace(">", r"\>")
    if not _is_destination(f"<{written}>", new):
        return None
    return _Splice(start, end, written if in_angles else f"<{written}>")


def _is_destination(written: str, url: str) -> bool:
    found = parseLinkDestination(written, 0, len(written))
    return found.ok and found.pos == len(written) and found.str == url


def _unsafe(reference: Reference) -> ArticleUnreadable:
    message = "this URL cannot be replaced without changing something else: write the new one by hand"
    return ArticleUnreadable(message, line=reference.line, column=reference.column)
