"""How a measurement is told: a table, limits that are kept or not, and what it was measured with."""

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

_HEAD = """# Benchmarks

Every section is written by `scripts/bench JOB` on the machine that it names; run it again to have your own. A figure is
the median of its runs, followed by the least and the greatest. Compare figures of one section only: things that stand
in one table were run in turn, in the same quarter of an hour.
"""


class Skipped(Exception):
    """The job cannot run here; the message says what is missing."""


@dataclass(frozen=True)
class Limit:
    """A promise and what was measured. `at_least` turns the comparison round."""

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

    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    limits: list[Limit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether every limit is."""
        return all(limit.is_kept for limit in self.limits)

    def render(self, name: str, command: str, busy: float, paces: Sequence[float]) -> str:
        """The section as Markdown.

        `busy` is the share of the machine that was at other work when the job began, `paces` are as `pace` gives them,
        before and after.
        """
        lines = [f"## {self.title}", "", self.text, ""]
        lines += [f"| {' | '.join(row)} |" for row in (self.columns, ["---"] * len(self.columns), *self.rows)]
        lines += ["", *map(str, self.limits), *(f"- {note}" for note in self.notes)]
        made = ", ".join([*_versions(), *self.versions])
        loops = " and ".join(f"{1000 * one:.0f} ms" for one in paces)
        at_work = f"{busy:.0%} of them at other work when it began, a million additions in {loops} before and after"
        lines += ["", f"`{command}` ({name}), {datetime.now(UTC):%Y-%m-%d}. {machine()}; {at_work}. {made}."]
        return "\n".join(lines) + "\n"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and in brackets the least and the greatest."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low}–{high})"


def busy_share(seconds: float = 2.0) -> float:
    """The share of all cores (0 to 1) that somebody uses now: figures taken beside other work are no figures."""

    def counted() -> tuple[int, int]:
        ticks = [int(one) for one in _read("/proc/stat").partition("\n")[0].split()[1:9]]  # proc(5)
        return sum(ticks), sum(ticks[3:5])  # idle and waiting for the disk

    before = counted()
    time.sleep(seconds)
    after = counted()
    return 1 - (after[1] - before[1]) / max(1, after[0] - before[0])


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
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo"), re.MULTILINE)
    gigabytes = f", {int(memory[1]) / 1e6:.0f} GB" if memory else ""
    name = model[1] if model else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores, {name}{gigabytes}, {platform.system()}"


def write_section(path: Path, name: str, text: str, order: Sequence[str]) -> None:
    """Put `text` in the place of the section `name` of the file, and the sections in `order`."""
    old = path.read_text(encoding="utf-8") if path.is_file() else _HEAD
    pattern = re.compile(r"<!-- job (\w+) -->\n(.*?)<!-- end -->\n", re.DOTALL)
    sections = dict(pattern.findall(old)) | {name: text}
    head = old.split("<!-- job ", 1)[0].rstrip("\n") + "\n"
    known = [one for one in order if one in sections] + [one for one in sections if one not in order]
    parts = [f"\n<!-- job {one} -->\n{sections[one]}<!-- end -->\n" for one in known]
    path.parent.mkdir(exist_ok=True)
    path.write_text(head + "".join(parts), encoding="utf-8")


def _versions() -> list[str]:
    names = ["imgcache", "Pillow", "httpx", "aiohttp"]
    return [f"Python {platform.python_version()}", *(f"{name} {importlib.metadata.version(name)}" for name in names)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
