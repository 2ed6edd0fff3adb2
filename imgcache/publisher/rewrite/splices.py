"""Replaces parts of a file at positions, and finds the same positions afterwards. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Splice(NamedTuple):
    """A replacement of what stands from `start` to `end`; an insertion if both are the same."""

    start: int
    end: int
    new: str


def apply(data: bytes, splices: Iterable[Splice]) -> bytes:
    """Returns `data` with every splice made. New text is ASCII.

    Raises:
        ValueError: two splices overlap, or one lies outside `data`.
    """
    pieces: list[bytes] = []
    position = 0
    for splice in sorted(splices, key=lambda one: (one.start, one.end)):
        if not position <= splice.start <= splice.end <= len(data):
            raise ValueError(f"a change at byte {splice.start} overlaps the one before it")
        pieces += (data[position : splice.start], splice.new.encode("ascii"))
        position = splice.end
    pieces.append(data[position:])
    return b"".join(pieces)


def shifts(splices: Iterable[Splice]) -> Callable[[int], int]:
    """Returns a function from a position before the splices to the same position after them.

    Text inserted at the position itself comes before it. Positions have to be asked in rising order.
    """
    ordered = sorted(splices, key=lambda one: (one.start, one.end))
    at = 0
    moved = 0

    def shifted(position: int) -> int:
        nonlocal at, moved
        while at < len(ordered) and ordered[at].end <= position:
            moved += len(ordered[at].new) - (ordered[at].end - ordered[at].start)
            at += 1
        return position + moved

    return shifted
