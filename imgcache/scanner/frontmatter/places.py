"""Converts positions in front matter to lines and columns as an editor counts them."""

from __future__ import annotations

import bisect
import re
from functools import cached_property

import yaml

_YAML_ONLY_BREAK = re.compile("[\x85\u2028\u2029]")  # line breaks in YAML 1.1, but in no editor
_LINE_END = re.compile(r"\r\n|\n|\r")


class Places:
    """The lines and columns of one text. Its lines are counted only once."""

    def __init__(self, text: str) -> None:
        """Take the text to which the marks refer."""
        self.text = text

    def of_mark(self, mark: yaml.Mark) -> tuple[int, int]:
        """Return line and column, from 1. libyaml also ends lines at U+0085, U+2028 and U+2029."""
        return self.of_index(mark.index) if self._has_yaml_breaks else (mark.line + 1, mark.column + 1)

    def of_index(self, index: int) -> tuple[int, int]:
        """Return line and column, from 1, of a character."""
        line = bisect.bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    @cached_property
    def _has_yaml_breaks(self) -> bool:
        return not self.text.isascii() and bool(_YAML_ONLY_BREAK.search(self.text))

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]
