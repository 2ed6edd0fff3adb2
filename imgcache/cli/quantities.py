"""Options whose values are quantities with a unit, such as 10m or 1GB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from imgcache.core import parse_bytes, parse_seconds


class Quantity(click.ParamType[float]):
    """A quantity with its unit, such as 10m or 1GB."""

    def __init__(self, name: str, parse: Callable[[object], float], example: str) -> None:
        self.name = name
        self._parse = parse
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the text; click asks again with what it got."""
        try:
            number = self._parse(value)
        except ValueError:
            number = 0
        if number <= 0:
            self.fail(f"{value!r} is not a quantity such as {self._example}", param, ctx)
        return number


max_time_option = click.option(
    "--max-time", type=Quantity("time", parse_seconds, "10m"), help="Start nothing after this time: 10m."
)
max_bytes_option = click.option(
    "--max-bytes", type=Quantity("size", parse_bytes, "1GB"), help="Start nothing after so many bytes: 1GB."
)
