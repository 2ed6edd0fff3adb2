"""The progress of a sync on a terminal: images a second, bytes, time left, and the slowest host."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from imgcache.jobs import Outcome
from imgcache.quantities import format_bytes, format_seconds


class Silent(AbstractContextManager["Silent"]):
    """Shows nothing: standard error is no terminal, or nobody wants to see it."""

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def scanned(self) -> None:
        """One article more."""

    def planned(self, images: int, waiting: int) -> None:
        """The work is known."""

    def started(self, host: str) -> None:
        """An image has begun."""

    def ended(self, host: str, outcome: Outcome) -> None:
        """An image has ended."""


class Bar(AbstractContextManager["Bar"]):
    """One line on standard error, redrawn a few times a second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        text, note = TextColumn("{task.description}"), TextColumn("{task.fields[note]}")
        columns = (text, BarColumn(), MofNCompleteColumn(), note)
        self._rich = RichProgress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5)
        self._task = self._rich.add_task("reading articles", total=None, note="")
        self._bytes = self._done = self._total = 0
        self._began = time.monotonic()
        self._hosts: dict[str, tuple[int, float]] = {}
        self._running: dict[str, list[float]] = {}

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rich.stop()

    def scanned(self) -> None:
        """One article more."""
        self._rich.advance(self._task)

    def planned(self, images: int, waiting: int) -> None:
        """The work is known."""
        self._total = waiting
        self._began = time.monotonic()
        self._rich.reset(self._task, total=waiting, description=f"{images:,} images")

    def started(self, host: str) -> None:
        """An image has begun."""
        self._running.setdefault(host, []).append(time.monotonic())

    def ended(self, host: str, outcome: Outcome) -> None:
        """An image has ended."""
        count, seconds = self._hosts.get(host, (0, 0.0))
        self._hosts[host] = (count + 1, seconds + time.monotonic() - self._running[host].pop(0))
        self._bytes += outcome.bytes_fetched
        self._done += 1
        self._rich.update(self._task, advance=1, note=self._note())

    def _note(self) -> str:
        elapsed = max(time.monotonic() - self._began, 0.001)
        rate = self._done / elapsed
        left = (self._total - self._done) / rate
        slowest = max(self._hosts, key=lambda host: self._hosts[host][1] / self._hosts[host][0])
        parts = (f"{rate:.1f}/s", format_bytes(self._bytes), f"{format_seconds(left)} left", f"slowest {slowest}")
        return " · ".join(parts)


def progress_for(*, quiet: bool) -> Bar | Silent:
    """A bar on a terminal, silence elsewhere."""
    return Silent() if quiet or not sys.stderr.isatty() else Bar()
