"""Splices of text, and the matching of edits to entries, for all formats of front matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from imgcache.core import ArticleChanged, Edit


class Splice(NamedTuple):
    """A text that replaces the characters from `start` to `end`."""

    start: int
    end: int
    text: str


class Placed(Protocol):
    """The part of an entry that identifies it for an edit."""

    @property
    def url(self) -> str:
        """The URL as the article has it."""

    @property
    def line(self) -> int:
        """The line of the URL, from 1."""

    @property
    def column(self) -> int:
        """The column of the URL, in characters from 1."""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Return the text after splices that do not overlap."""
    pieces, position = [], 0
    for splice in sorted(splices):
        pieces += [text[position : splice.start], splice.text]
        position = splice.end
    return "".join(pieces) + text[position:]


def by_entry(found: Sequence[Placed], edits: Sequence[Edit]) -> dict[int, Edit]:
    """Return the edits by the index of their entry in `found`. Several edits of one entry become one.

    Raises:
        ArticleChanged: the entry of an edit is not at its place.
    """
    index = {(entry.line, entry.column): number for number, entry in enumerate(found)}
    merged: dict[int, Edit] = {}
    for edit in edits:
        number = index.get((edit.line, edit.column))
        if number is None or edit.was not in {None, found[number].url}:
            message = "the image that was here is no longer here: the file was saved after it was scanned"
            raise ArticleChanged(message, line=edit.line, column=edit.column)
        earlier = merged.get(number, edit)
        flag = earlier.flag if edit.flag is None else edit.flag
        url = earlier.url if edit.url is None else edit.url
        merged[number] = msgspec.structs.replace(edit, flag=flag, size=edit.size or earlier.size, url=url)
    return merged
