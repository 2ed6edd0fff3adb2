"""A start tag and its attributes, with their positions, and changes of them. Pure."""

from __future__ import annotations

import re

from turbohtml import Element

from imgcache.publisher.rewrite.sources import Source
from imgcache.publisher.rewrite.splices import Splice

_SPACE = r"[ \t\n\f\r]"
_VALUE = re.compile(
    rf"""[^=]++(?:={_SPACE}*+(?:"(?P<double>[^"]*+)"?|'(?P<single>[^']*+)'?|(?P<bare>.*)))?""", re.DOTALL
)


class Tag:
    """One start tag of the tree.

    Args:
        element: the element that it opened.
        source: the text that the tree was built from.
        base: where in `source` that text starts.
    """

    def __init__(self, element: Element, source: Source, base: int = 0) -> None:
        self.element = element
        self.source = source
        self._base = base
        location = element.source_location
        if location is None:
            raise ValueError("the tree was built without places")
        self._location = location
        self.start = base + location.start_tag.start_offset
        self.end = base + location.start_tag.end_offset

    @property
    def _insert_at(self) -> int:
        """The position of a further attribute: after the last one, else after the name."""
        ends = [span.end_offset for span in self._location.attrs.values()]
        if ends:
            return self._base + max(ends)
        name = re.compile(r"<[^ \t\n\f\r/>]*+").match(self.source.text, self.start)
        return name.end() if name else self.start

    @property
    def content(self) -> tuple[int, int] | None:
        """The positions of what stands between the tags; None without an end tag."""
        end = self._location.end_tag
        return (self.end, self._base + end.start_offset) if end else None

    def has(self, name: str) -> bool:
        """Returns whether the attribute is there, with a value or without."""
        return name in self._location.attrs

    def any_of(self, names: frozenset[str]) -> bool:
        """Returns whether one of these attributes is there."""
        return not names.isdisjoint(self._location.attrs)

    def get(self, name: str) -> str:
        """Returns the value of an attribute, decoded as if it were ASCII; "" if it is not there."""
        value = self.element.attr(name)
        return value or ""

    def value(self, name: str) -> tuple[int, int] | None:
        """Returns the positions of an attribute's value, without quotes; None if it has none."""
        span = self._location.attrs.get(name)
        if span is None:
            return None
        start, end = self._base + span.start_offset, self._base + span.end_offset
        found = _VALUE.match(self.source.text, start, end)
        if found is None or found.lastgroup is None:
            return None
        return found.span(found.lastgroup)

    def put(self, name: str, value: str) -> Splice:
        """Returns the change that gives the tag an attribute, or the attribute another value."""
        span = self._location.attrs.get(name)
        if span is None:
            return self.add([(name, value)])
        start, end = self._base + span.start_offset, self._base + span.end_offset
        return self.source.splice(start, end, _written(name, value))

    def add(self, attributes: list[tuple[str, str]]) -> Splice:
        """Returns the change that gives the tag attributes that it does not have."""
        at = self._insert_at
        return self.source.splice(at, at, "".join([f" {_written(name, value)}" for name, value in attributes]))

    def append_style(self, declarations: str) -> list[Splice]:
        """Returns the changes that add declarations to a `style` that is there; none if they cannot be added."""
        value = self.value("style")
        text = self.source.text[slice(*value)] if value else ""
        if value is None or not text.strip():
            return [self.put("style", declarations)]
        start, end = value
        separator = "" if text.rstrip().endswith(";") else ";"
        if self.source.text[start - 1] in "\"'":
            return [self.source.splice(end, end, separator + declarations)]
        if '"' in text:
            return []
        return [self.source.splice(start, start, '"'), self.source.splice(end, end, f'{separator}{declarations}"')]


def _written(name: str, value: str) -> str:
    escaped = value.replace("&", "&amp;").replace('"', "&quot;")
    return f'{name}="{escaped}"'
