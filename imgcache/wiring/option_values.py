"""Parses the values of options as people write them, such as "10m" and "1GB". Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from imgcache.core import ConfigError
from imgcache.downloader import ConnectTo

MAX_JOBS = 256


def parse_quantity(
    value: float | str | None, parse: Callable[[object], float], *, where: str, example: str
) -> float | None:
    """Parse a positive quantity; None stays None.

    Args:
        value: a number in the base unit, or text with a unit.
        parse: `parse_seconds` or `parse_bytes`.
        where: the name of the option, for the message.
        example: a right value, for the message.

    Raises:
        ConfigError: the value is not a quantity, or not above 0.
    """
    if value is None:
        return None
    try:
        number = parse(value)
    except ValueError:
        number = 0
    if number <= 0:
        raise ConfigError(f"{value!r} is not a quantity such as {example}", where=where)
    return number


def parse_jobs(value: int | None) -> int | None:
    """Check a number of processes; None stays None. Raises ConfigError."""
    if value is not None and not 1 <= value <= MAX_JOBS:
        raise ConfigError(f"{value!r} is not a number from 1 to {MAX_JOBS}", where="jobs")
    return value


def parse_choice(value: str | None, choices: Collection[str], *, where: str) -> str | None:
    """Check a value that has to be one of `choices`; None stays None. Raises ConfigError."""
    if value is not None and value not in choices:
        raise ConfigError(f"{value!r} is not one of {', '.join(choices)}", where=where)
    return value


def parse_connect_to(values: str | Iterable[str]) -> tuple[ConnectTo, ...]:
    """Parse one or several HOST:PORT:HOST2:PORT2. Raises ConfigError."""
    return tuple(ConnectTo.parse(text) for text in ([values] if isinstance(values, str) else values))
