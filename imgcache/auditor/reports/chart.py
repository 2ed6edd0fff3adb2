"""Computes the chart of failing images over time as SVG paths in a box of 1000 by 100. Pure."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import msgspec

from imgcache.core import DayLine

WIDTH, HEIGHT = 1000, 100
_STEPS = (1, 2, 5)


class Day(msgspec.Struct, frozen=True):
    """One audit: its point, the strip in which the pointer selects it, and its tooltip."""

    x: str
    y: str
    left: str
    width: str
    label: str


class Chart(msgspec.Struct, frozen=True):
    """`line` and `area` are SVG paths; `ticks` are the labels at the top, the middle and the bottom."""

    line: str
    area: str
    days: tuple[Day, ...]
    ticks: tuple[str, ...]
    first: str
    last: str
    label: str


def chart(history: tuple[DayLine, ...]) -> Chart | None:
    """Returns the chart, or None if there are fewer than two days."""
    lines = {line.day: line for line in sorted(history, key=lambda line: line.day) if _ordinal(line.day) is not None}
    if len(lines) < 2:
        return None
    days = list(lines.values())
    top = _top(max(line.failing for line in days))
    ordinals = [_ordinal(line.day) or 0 for line in days]
    span = ordinals[-1] - ordinals[0]
    points = [
        ((day - ordinals[0]) / span * WIDTH, HEIGHT * (1 - line.failing / top))
        for day, line in zip(ordinals, days, strict=True)
    ]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return Chart(
        line=f"M{path}",
        area=f"M0 {HEIGHT}L{path}L{WIDTH} {HEIGHT}Z",
        days=tuple(_days(days, points)),
        ticks=(f"{top:,}", f"{top // 2:,}", "0"),
        first=days[0].day,
        last=days[-1].day,
        label=f"{days[0].failing:,} failing on {days[0].day}, {days[-1].failing:,} on {days[-1].day}",
    )


def _days(lines: list[DayLine], points: list[tuple[float, float]]) -> list[Day]:
    """Each day gets the strip that ends halfway to the days before and after it."""
    edges = [0.0, *((one[0] + other[0]) / 2 for one, other in pairwise(points)), float(WIDTH)]
    return [
        Day(
            x=f"{x:.1f}",
            y=f"{y:.1f}",
            left=f"{left:.1f}",
            width=f"{right - left:.1f}",
            label=f"{line.day}: {line.failing:,} of {line.images:,} failing",
        )
        for line, (x, y), left, right in zip(lines, points, edges, edges[1:], strict=False)
    ]


def _top(highest: int) -> int:
    """The smallest of 2, 4, 10, 20, 40, 100, … that is not below `highest`."""
    power = 2
    while True:
        for step in _STEPS:
            if power * step >= highest:
                return power * step
        power *= 10


def _ordinal(day: str) -> int | None:
    try:
        return date.fromisoformat(day).toordinal()
    except ValueError:
        return None
