"""How a measurement is reported: a table, limits that are kept or not, and what it was measured with.

A section of docs/benchmarks.md begins with its title and what was done, written by hand. What stands below the line
`<!-- measured -->` is written here.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

_MEASURED = "<!-- measured -->\n"


class Skipped(Exception):
    """The job cannot run here; the message says what is missing."""


@dataclass(frozen=True)
class Limit:
    """A promise and what was measured. With `at_least` the measured value is not to be less, else not to be more."""

    what: str
    measured: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the promise holds."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        sign, verdict = ("≥" if self.at_least else "≤"), ("pass" if self.is_kept else "**FAIL**")
        unit = f" {self.unit}" if self.unit else ""
        return f"- {verdict}: {self.what}: {_number(self.measured)}{unit} (limit {sign} {_number(self.limit)}{unit})"


@dataclass
class Section:
    """One job's result: a table of `columns` and `rows`; `versions` names what took part beside Python and imgcache."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    limits: list[Limit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)

    def render(self, command: str, busy: float, paces: Sequence[float]) -> str:
        """The section as Markdown.

        `busy` is the share of the machine that was at other work when the job began, `paces` are as `pace` gives them,
        before and after.
        """
        lines = [f"| {' | '.join(row)} |" for row in (self.columns, ["---"] * len(self.columns), *self.rows)]
        lines += ["", *map(str, self.limits), *(f"- {note}" for note in self.notes)]
        names = ["imgcache", "Pillow", "httpx", "aiohttp"]
        made = [
            f"Python {platform.python_version()}",
            *(f"{name} {importlib.metadata.version(name)}" for name in names),
        ]
        loops = " and ".join(f"{1000 * one:.0f} ms" for one in paces)
        at_work = f"{busy:.0%} of them at other work when it began, a million additions in {loops} before and after"
        where = f"{datetime.now(UTC):%Y-%m-%d}. {machine()}; {at_work}. {', '.join(made + self.versions)}."
        return "\n".join([*lines, "", f"`{command}`, {where}", ""])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and in brackets the least and the greatest."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low}–{high})"


def pace() -> float:
    """Seconds for a million additions, the best of five: a virtual machine is not as fast at one hour as at another."""

    def once() -> float:
        began, total = time.perf_counter(), 0
        for number in range(1_000_000):
            total += number
        return time.perf_counter() - began

    return min(once() for _ in range(5))


def machine() -> str:
    """The cores that this process may use, and the processor's name."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    name, memory = model[1] if model else platform.machine(), psutil.virtual_memory().total / 1e9
    return f"{len(os.sched_getaffinity(0))} cores, {name}, {memory:.0f} GB, {platform.system()}"


def write_section(path: Path, name: str, heading: str, text: str) -> None:
    """Put `text` into the file: below the head of the section `name`, or into a new one with that heading."""
    old = path.read_text(encoding="utf-8")
    begin = f"<!-- job {name} -->\n"
    if begin not in old:
        old += f"\n{begin}## {heading}\n\n{_MEASURED}<!-- end -->\n"
    start = old.index(_MEASURED, old.index(begin)) + len(_MEASURED)
    path.write_text(f"{old[:start]}\n{text}{old[old.index('<!-- end -->', start) :]}", encoding="utf-8")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"
