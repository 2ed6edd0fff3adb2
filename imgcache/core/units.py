"""Parses and formats quantities as people write them: `50MB`, `50MP`, `5s`, `30d`."""

from __future__ import annotations

import math
import re

# KB is 1000 bytes, KiB is 1024 (IEC 80000-13).
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_PIXELS = {"": 1, "P": 1, "PX": 1, "KP": 10**3, "MP": 10**6, "GP": 10**9}
_SECONDS = {"": 1.0, "MS": 0.001, "S": 1.0, "M": 60.0, "MIN": 60.0, "H": 3600.0, "D": 86_400.0, "W": 604_800.0}
_SHAPE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*\Z")


def _parse(value: object, units: dict[str, int] | dict[str, float]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    match = _SHAPE.match(str(value))
    if match is None or (unit := match[2].upper()) not in units:
        raise ValueError(value)
    number = float(match[1]) * units[unit]
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def parse_bytes(value: object) -> int:
    """Parse `"50MB"` or a number of bytes. Raises ValueError."""
    return round(_parse(value, _BYTES))


def parse_pixels(value: object) -> int:
    """Parse `"50MP"` or a number of pixels. Raises ValueError."""
    return round(_parse(value, _PIXELS))


def parse_seconds(value: object) -> float:
    """Parse `"500ms"`, `"5s"`, `"10m"`, `"30d"` or a number of seconds. Raises ValueError."""
    return _parse(value, _SECONDS)


def plural(count: int, one: str, many: str = "") -> str:
    """Returns a count with its noun: `1 image`, `1,204 images`. All messages with counts use it.

    Args:
        count: how many.
        one: the noun for one.
        many: the noun for any other number, where it is not `one` with an s.
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def format_bytes(count: float) -> str:
    """Returns `1.2 MB` in decimal units, for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def format_seconds(seconds: float) -> str:
    """Returns `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min` or `3 d`, for people."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d"


def format_times(count: int) -> str:
    """Returns `once` or `2 times`."""
    return "once" if count == 1 else f"{count:,} times"
