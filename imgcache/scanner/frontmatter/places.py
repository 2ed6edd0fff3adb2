"""Lines and columns of a front matter as an editor counts them."""

from __future__ import annotations

import bisect
import re
from functools import cached_property

import yaml

_YAML_ONLY_BREAK = re.compile("[\x85\u2028\u2029]")  # line breaks to YAML 1.1 and to no editor
_LINE_END = re.compile(r"\r\n|\n|\r")


class Places:
    """Finds places in one text; the lines are counted once, however many places are asked for."""

    def __init__(self, text: str) -> None:
        """Take the text that the marks count in."""
        self.text = text

    def of_mark(self, mark: yaml.Mark) -> tuple[int, int]:
        """Line and column, from 1. libyaml also ends lines at U+0085, U+2028 and U+2029."""
        return self.of_index(mark.index) if self._has_odd_breaks else (mark.line + 1, mark.column + 1)

    def of_index(self, index: int) -> tuple[int, int]:
        """Line and column, from 1, of a character."""
        line = bisect.bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    @cached_property
    def _has_odd_breaks(self) -> bool:
        return not self.text.isascii() and bool(_YAML_ONLY_BREAK.search(self.text))

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]
