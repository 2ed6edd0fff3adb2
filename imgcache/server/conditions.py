"""Evaluates preconditions and ranges of a request (RFC 9110, sections 13 and 14). Pure.

Responses have no Last-Modified: conditions on a date are ignored (section 13.1.3), and a date in If-Range never
matches.
"""

from __future__ import annotations

import re
from enum import Enum

# Every repeat is possessive (`*+`), so that no input causes backtracking.
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*+")')
_SPAN = re.compile(r"bytes\s*+=\s*+(\d*+)\s*+-\s*+(\d*+)\s*+", re.IGNORECASE | re.ASCII)
_MAX_DIGITS = 18


class Precondition(Enum):
    """Result of the preconditions; the values are statuses."""

    SEND = 200
    NOT_MODIFIED = 304
    FAILED = 412


def evaluate_preconditions(etag: str, *, if_match: str | None, if_none_match: str | None) -> Precondition:
    """Evaluates them for a GET or HEAD, in the order of section 13.2.2. `etag` is strong, in quotes."""
    if if_match is not None and not _has(if_match, etag, weak=False):
        return Precondition.FAILED
    if if_none_match is not None and _has(if_none_match, etag, weak=True):
        return Precondition.NOT_MODIFIED
    return Precondition.SEND


def parse_range(field: str | None, if_range: str | None, *, etag: str, size: int) -> tuple[int, int] | None:
    """Returns the first byte of a Range and the one after its last; None where the whole file is sent.

    The whole file is sent for several ranges, other units and malformed fields (section 14.2), and where If-Range names
    another representation (section 13.1.5).

    Raises:
        ValueError: the range is outside `size` bytes (section 15.5.17). The message is a Content-Range.
    """
    if field is None or (if_range is not None and if_range.strip() != etag):
        return None
    found = _SPAN.fullmatch(field.strip())
    if found is None or max(map(len, found.groups())) > _MAX_DIGITS:
        return None
    first, last = found.groups()
    if not first:
        if not last:
            return None
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= size:
        raise ValueError(f"bytes */{size}")
    return start, end


def _has(field: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags contains this one (section 8.8.3.2); `*` matches all."""
    if field.strip() in {"*", etag}:
        return True
    return any(found[2] == etag and (weak or not found[1]) for found in _TAG.finditer(field))
