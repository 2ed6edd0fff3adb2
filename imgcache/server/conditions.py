"""Preconditions and ranges of a request (RFC 9110, sections 13 and 14). Pure.

No Last-Modified is sent, so that conditions on a date are passed over (section 13.1.3), and a date in If-Range never
matches.
"""

from __future__ import annotations

import re
from enum import Enum

# Every repeat is possessive (`*+`): no text is gone over twice, however it is made.
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*+")')
_SPAN = re.compile(r"bytes\s*+=\s*+(\d*+)\s*+-\s*+(\d*+)\s*+", re.IGNORECASE | re.ASCII)
_MAX_DIGITS = 18


class Precondition(Enum):
    """What the preconditions say."""

    SEND = 200
    NOT_MODIFIED = 304
    FAILED = 412


def evaluate_preconditions(etag: str, *, if_match: str | None, if_none_match: str | None) -> Precondition:
    """The preconditions of a GET or HEAD, in the order of section 13.2.2. `etag` is strong, with its quotes."""
    if if_match is not None and not _has(if_match, etag, weak=False):
        return Precondition.FAILED
    if if_none_match is not None and _has(if_none_match, etag, weak=True):
        return Precondition.NOT_MODIFIED
    return Precondition.SEND


def parse_range(field: str | None, if_range: str | None, *, etag: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last that a Range asks for; None where the whole is to be sent.

    The whole is sent for several ranges, another unit, and what cannot be read (section 14.2), and where If-Range names
    another representation (section 13.1.5).

    Raises:
        ValueError: the range lies outside of `size` (section 15.5.17).
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
    """Whether a list of entity tags holds this one (section 8.8.3.2); `*` is any."""
    if field.strip() in {"*", etag}:
        return True
    return any(found[2] == etag and (weak or not found[1]) for found in _TAG.finditer(field))
