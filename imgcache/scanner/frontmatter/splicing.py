"""What all edits of front matter share: splices of text, and edits matched to the entries that they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from imgcache.core import ArticleChanged, Edit


class Splice(NamedTuple):
    """Text to put in place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


class Placed(Protocol):
    """An entry as far as an edit names it."""

    @property
    def url(self) -> str:
        """As the article has it."""

    @property
    def line(self) -> int:
        """Of the URL, counted from 1."""

    @property
    def column(self) -> int:
        """Of the URL, in characters counted from 1."""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text after splices that do not overlap."""
    pieces, position = [], 0
    for splice in sorted(splices):
        pieces += [text[position : splice.start], splice.text]
        position = splice.end
    return "".join(pieces) + text[position:]


def by_entry(found: Sequence[Placed], edits: Sequence[Edit]) -> dict[int, Edit]:
    """The edits by the number of their entry in `found`; several edits of one entry become one.

    Raises:
        ArticleChanged: an edit names a place where its entry is not.
    """
    index = {(entry.line, entry.column): number for number, entry in enumerate(found)}
    wished: dict[int, Edit] = {}
    for edit in edits:
        number = index.get((edit.line, edit.column))
        if number is None or edit.was not in {None, found[number].url}:
            message = "the image that was here is not here any more: the file was saved since it was scanned"
            raise ArticleChanged(message, line=edit.line, column=edit.column)
        earlier = wished.get(number, edit)
        flag = earlier.flag if edit.flag is None else edit.flag
        url = earlier.url if edit.url is None else edit.url
        wished[number] = msgspec.structs.replace(edit, flag=flag, size=edit.size or earlier.size, url=url)
    return wished
