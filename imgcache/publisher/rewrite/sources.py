"""Maps positions in decoded text to positions in the bytes of the file. Pure.

Text can stand inside text: CSS in an attribute, HTML in a feed. Each level has its own escapes. A `Source` is one
level: its text has the escapes undone, and it can say what a stretch of it is in the encoding of the file.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from html.entities import html5
from typing import NamedTuple

from imgcache.publisher.rewrite.encodings import Bytes
from imgcache.publisher.rewrite.json_text import unescaped as json_unescaped
from imgcache.publisher.rewrite.splices import Splice

_REFERENCE = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9a-fA-F]+);?|([A-Za-z0-9]+)(;?))")
# Two halves of a character outside the basic plane are one escape.
_JSON_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.")
Escape = Callable[[str], str]
Undo = Callable[[str], str]


class Source(NamedTuple):
    """One level of text.

    `text` is searched: its ASCII characters are the file's, the others stand for something else. `places` says where
    each of its characters, and its end, is in `whole`; None where it is the file itself. `undo` takes away the escapes
    of this level, `escape` adds them.
    """

    text: str
    whole: Bytes
    outer: Source | None = None
    start: int = 0
    places: Sequence[int] | None = None
    undo: Undo = str
    escape: Escape = str

    def read(self, start: int, end: int) -> str:
        """Returns the characters from one position of `text` to another, in the file's encoding, without escapes."""
        if self.outer is None or self.places is None:
            return self.whole.text(start, end)
        return self.undo(self.outer.read(self.start + self.places[start], self.start + self.places[end]))

    def read_all(self) -> str:
        """Returns the whole text, in the file's encoding, without escapes."""
        return self.read(0, len(self.text))

    def splice(self, start: int, end: int, new: str) -> Splice:
        """Returns a change of this text as a change of the file's bytes."""
        if self.outer is None or self.places is None:
            return Splice(start, end, new)
        return self.outer.splice(self.start + self.places[start], self.start + self.places[end], self.escape(new))

    def inner(self, start: int, end: int) -> Source:
        """Returns a part of this text in which nothing is escaped: a style sheet in `<style>`."""
        return Source(self.text[start:end], self.whole, self, start, range(end - start + 1))

    def attribute(self, start: int, end: int) -> Source:
        """Returns the value of an HTML attribute as a source."""
        value, places = unescaped(self.text[start:end], in_attribute=True)
        return Source(value, self.whole, self, start, places, _attribute_text, _attribute_escape)

    def xml(self, start: int, end: int) -> Source:
        """Returns character data, or the value of an attribute, of XML as a source."""
        value, places = unescaped(self.text[start:end])
        return Source(value, self.whole, self, start, places, html.unescape, html.escape)

    def json(self, start: int, end: int) -> Source:
        """Returns what stands between the quotes of a string of JSON as a source."""
        raw = self.text[start:end]
        pieces: list[str] = []
        places: list[int] = []
        position = 0
        for found in _JSON_ESCAPE.finditer(raw):
            pieces += (raw[position : found.start()], json_unescaped(found[0]))
            places += range(position, found.start())
            places += [found.start()] * len(pieces[-1])
            position = found.end()
        pieces.append(raw[position:])
        places += range(position, len(raw) + 1)
        return Source("".join(pieces), self.whole, self, start, places, json_unescaped, _json_escape)


def root(data: Bytes) -> Source:
    """Returns the file itself as a source."""
    return Source(data.latin(), data)


def unescaped(raw: str, *, in_attribute: bool = False) -> tuple[str, Sequence[int]]:
    """Decodes the character references of a text; returns also where each character, and the end, came from.

    In an attribute a named reference without `;` stays as it is before `=`, a letter or a digit (HTML, section
    13.2.5.73), so that `?a=1&copy=2` is no copyright sign.
    """
    if "&" not in raw:
        return raw, range(len(raw) + 1)
    pieces: list[str] = []
    places: list[int] = []
    position = 0
    for reference in _REFERENCE.finditer(raw):
        name, end = reference[1], reference[2]
        if name and f"{name}{end}" not in html5 and (in_attribute or not end):
            continue
        if name and in_attribute and not end and raw.startswith("=", reference.end()):
            continue
        decoded = html.unescape(reference[0])
        pieces += (raw[position : reference.start()], decoded)
        places += range(position, reference.start())
        places += [reference.start()] * len(decoded)
        position = reference.end()
    pieces.append(raw[position:])
    places += range(position, len(raw) + 1)
    return "".join(pieces), places


def _json_escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _attribute_text(raw: str) -> str:
    return unescaped(raw, in_attribute=True)[0]


def _attribute_escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")
