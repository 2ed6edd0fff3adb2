"""What the tests of front matter share: an article read, and an edit of what was read."""

from __future__ import annotations

from imgcache.core import Edit, Reference, Size
from imgcache.scanner.frontmatter import apply, parse

URL = "https://example.org/a.png"


def read(text: str | bytes) -> tuple[Reference, ...]:
    return parse(text if isinstance(text, bytes) else text.encode(), "a.md").references


def only(text: str | bytes) -> Reference:
    (reference,) = read(text)
    return reference


def at(reference: Reference, *, flag: bool | None = None, size: Size | None = None) -> Edit:
    return Edit(reference.line, reference.column, flag=flag, size=size)


def flagged(text: str, *, flag: bool = True) -> str:
    """The article with every flaggable image flagged, or none."""
    data = text.encode()
    edits = [at(r, flag=flag) for r in parse(data, "a.md").references if r.flaggable]
    return apply(data, edits).decode()
