"""Parses the candidates of a `srcset` (HTML, section 4.8.4.2.2, "parsing a srcset attribute"). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SPACE = " \t\n\f\r"
_CANDIDATE = re.compile(rf"[{_SPACE},]*+([^{_SPACE}]++)")
_DESCRIPTORS = re.compile(r"(?:\([^)]*+(?:\)|\Z)|[^,(])*+,?")


class Candidate(NamedTuple):
    """One URL of a srcset, by its positions, and what follows it, such as `2x`."""

    start: int
    end: int
    descriptors: str


def candidates(value: str) -> Iterator[Candidate]:
    """Yields every candidate. A comma inside a URL belongs to it, one at its end does not."""
    position = 0
    while found := _CANDIDATE.match(value, position):
        url = found[1].rstrip(",")
        position = found.end()
        descriptors = ""
        if url == found[1] and (after := _DESCRIPTORS.match(value, position)):
            descriptors = after[0].rstrip(",").strip(_SPACE)
            position = after.end()
        if url:
            yield Candidate(found.start(1), found.start(1) + len(url), descriptors)
