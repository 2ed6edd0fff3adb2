"""Formats a change of one file as a unified diff that `git apply` and `patch` accept. Pure.

The header is the traditional one, without `diff --git`: git then reads names relative to the folder in which it runs,
wherever that is in a repository (tests/auditor/test_fixes.py), and leaves the mode of the file alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

CONTEXT = 3  # unchanged lines around a change, as in git

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_TO_QUOTE = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')
_ESCAPES = {
    b"\a": b"\\a",
    b"\b": b"\\b",
    b"\t": b"\\t",
    b"\n": b"\\n",
    b"\v": b"\\v",
    b"\f": b"\\f",
    b"\r": b"\\r",
    b'"': b'\\"',
    b"\\": b"\\\\",
}


def unified(path: bytes, old: bytes, new: bytes) -> bytes:
    """Returns the change from `old` to `new` line by line; empty if they are equal.

    Args:
        path: the file, relative to the folder in which the patch is applied, separated by `/`.
        old: the current bytes.
        new: the new bytes, with the same number of lines.

    Raises:
        ValueError: the numbers of lines differ.
    """
    before, after = _LINE.findall(old), _LINE.findall(new)
    pairs = list(zip(before, after, strict=True))
    hunks = list(_hunks(number for number, (one, other) in enumerate(pairs) if one != other))
    if not hunks:
        return b""
    header = b"--- %b\n+++ %b\n" % (_name(b"a/" + path), _name(b"b/" + path))
    return header + b"".join(_hunk(pairs[start:end], start) for start, end in hunks)


def _hunks(changed: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yields start and end line of each hunk; the end may exceed the file. Hunks whose contexts touch are merged."""
    start = end = -1
    for number in changed:
        if start >= 0 and number - CONTEXT > end:
            yield start, end
            start = -1
        start = start if start >= 0 else max(0, number - CONTEXT)
        end = number + 1 + CONTEXT
    if start >= 0:
        yield start, end


def _hunk(pairs: list[tuple[bytes, bytes]], start: int) -> bytes:
    span = b"%d,%d" % (start + 1, len(pairs)) if len(pairs) != 1 else b"%d" % (start + 1)
    text = [b"@@ -%b +%b @@\n" % (span, span)]
    added: list[bytes] = []
    for before, after in pairs:
        if before != after:
            text.append(_line(b"-", before))
            added.append(_line(b"+", after))
        else:
            text += [*added, _line(b" ", before)]
            added = []
    return b"".join([*text, *added])


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def _name(path: bytes) -> bytes:
    """Quotes special bytes as git does; a tab terminates a name with spaces."""
    tab = b"\t" if b" " in path else b""
    if _TO_QUOTE.search(path):
        path = b'"%b"' % _TO_QUOTE.sub(lambda found: _ESCAPES.get(found[0], b"\\%03o" % found[0][0]), path)
    return path + tab
