"""Finds addresses that look like images and are not read where they stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from imgcache.cache import ReferenceRow
from imgcache.core import Reference
from imgcache.scanner.frontmatter import IMAGE_EXTENSIONS

# An address as far as its path goes (RFC 3986, section 3.3), and the rest of it.
_PATH = re.compile(r"//[^\s\"'<>(){}\[\]|\\^`?#]{1,2000}")
_EXTENSION = re.compile(rf"\.(?:{IMAGE_EXTENSIONS})(?![\w/.-])", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s\"'<>(){}\[\]|\\^`]{0,2000}")
_SCHEME = re.compile(r"(?:(?<!\w)https?:|(?<![\w/:]))\Z", re.IGNORECASE)
_LONGEST_SCHEME = len("https:")
_LINE_END = re.compile(r"\r\n|\r|\n")


class UnreadPlace(NamedTuple):
    """One such address and its place, both counted from 1. `is_comment`: a `#` begins its line."""

    url: str
    line: int
    column: int
    is_comment: bool


def unread_addresses(text: str, found: Collection[Reference] | Collection[ReferenceRow]) -> Iterator[UnreadPlace]:
    """Yield the absolute and protocol-relative addresses whose path has the extension of an image.

    Args:
        text: of the file, from its first character.
        found: what was read in it; neither its URLs nor its places are yielded.
    """
    read = {one.url for one in found}
    places = {(one.line, one.column) for one in found}
    line, line_start = 1, 0
    ends = _LINE_END.finditer(text)
    end = next(ends, None)
    for start, url in _addresses(text):
        if url in read:
            continue
        while end is not None and end.end() <= start:
            line, line_start, end = line + 1, end.end(), next(ends, None)
        column = start - line_start + 1
        if (line, column) not in places:
            yield UnreadPlace(url, line, column, text[line_start:start].lstrip().startswith("#"))


def _addresses(text: str) -> Iterator[tuple[int, str]]:
    """Yield the start and the characters of each address. Takes linear time."""
    at = text.find("//")
    while at >= 0:
        path = _PATH.match(text, at)
        end = path.end() if path else at + 2
        scheme = _SCHEME.search(text, max(0, at - _LONGEST_SCHEME), at)
        extensions = list(_EXTENSION.finditer(text, at, end)) if path and scheme else []
        if scheme is not None and extensions:
            query = _QUERY.match(text, extensions[-1].end())
            yield scheme.start(), text[scheme.start() : query.end() if query else extensions[-1].end()]
        at = text.find("//", end)
