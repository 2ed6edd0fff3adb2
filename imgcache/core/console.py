"""Formats text for people: colours, links and line breaks, where a terminal shows them. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from imgcache.core.models import Place
from imgcache.core.urls import clean_text

_NARROWEST = 40  # columns; a narrower terminal breaks the lines itself


class Console(msgspec.Struct, frozen=True):
    """What can show the text. By default plain text is written, and no line is broken: tools may search it.

    Attributes:
        root: the folder that places are relative to, for links.
        color: whether colours are shown.
        hyperlinks: whether links are (OSC 8, "Hyperlinks in Terminal Emulators").
        width: the columns of the terminal; None where lines are not broken.
    """

    root: Path = Path()
    color: bool = False
    hyperlinks: bool = False
    width: int | None = None

    def paint(self, text: str, color: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
        """Returns text in a colour or weight, where colours are shown."""
        if not self.color or not (color or bold or dim):
            return text
        return click.style(text, fg=color, bold=bold or None, dim=dim or None)

    def place(self, place: Place) -> str:
        """Returns `article:line:column`, as a link to the file where links are shown."""
        text = f"{clean_text(place.article, 300)}:{place.line}:{place.column}"
        if not self.hyperlinks:
            return text
        uri = (self.root / place.article).absolute().as_uri()
        return f"\x1b]8;;{uri}\x1b\\{text}\x1b]8;;\x1b\\"

    def wrap(self, text: str, indent: int = 0, hanging: int | None = None) -> Iterator[str]:
        """Yields the lines of a text, broken between words alone: an address stays whole, however long it is.

        Args:
            text: without colours and links.
            indent: the spaces before the first line.
            hanging: those before each further line; by default as many.
        """
        first, further = " " * indent, " " * (indent if hanging is None else hanging)
        if self.width is None:
            yield first + text
            return
        yield from textwrap.wrap(
            text,
            max(self.width, _NARROWEST),
            initial_indent=first,
            subsequent_indent=further,
            break_long_words=False,
            break_on_hyphens=False,
        )
