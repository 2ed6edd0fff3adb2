"""The progress of a sync on a terminal: images a second, bytes, time left, and the slowest host."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from imgcache.cli.streams import terminal
from imgcache.core import Delay, Outcome, clean_text, format_bytes, format_seconds, plural, times


class NoProgress(AbstractContextManager["NoProgress"]):
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


class RateEstimator:
    """How fast a run goes, by the images that have ended and by those under way. Times in seconds, of any one clock."""

    def __init__(self, waiting: int, now: float) -> None:
        """`waiting` images are to be worked on from now on."""
        self._waiting = waiting
        self._began = now
        self._done = self._bytes = 0
        self._ended: dict[str, tuple[int, float]] = {}
        self._running: dict[str, deque[float]] = {}
        self._delayed: dict[str, tuple[int, int]] = {}

    def started(self, host: str, now: float) -> None:
        """An image has begun."""
        self._running.setdefault(host, deque()).append(now)

    def ended(self, host: str, fetched: int, now: float, delay: Delay | None = None) -> None:
        """An image has ended, so many bytes fetched. Which one of its host is not known: the oldest, as a rule."""
        if delay is not None:
            busy, timeouts = self._delayed.get(host, (0, 0))
            self._delayed[host] = (busy + delay.busy, timeouts + delay.timeouts)
        count, seconds = self._ended.get(host, (0, 0.0))
        self._ended[host] = (count + 1, seconds + now - self._running[host].popleft())
        if not self._running[host]:
            del self._running[host]
        self._done += 1
        self._bytes += fetched

    def tell(self, now: float) -> str:
        """Images a second, bytes, time left, and the host that takes longest for an image."""
        rate = self._done / max(now - self._began, 0.001)
        oldest = {host: now - begun[0] for host, begun in self._running.items()}
        parts = [f"{rate:.1f}/s", format_bytes(self._bytes)]
        if rate:
            # What has taken so long already is taken to need as long again: the rate knows nothing of what hangs.
            left = max((self._waiting - self._done) / rate, *oldest.values(), 0.0)
            parts.append(f"{format_seconds(left)} left")
        means = {host: seconds / count for host, (count, seconds) in self._ended.items()}
        hosts = means.keys() | oldest.keys()
        if hosts:
            slowest = max(sorted(hosts), key=lambda host: max(means.get(host, 0.0), oldest.get(host, 0.0)))
            parts.append(f"slowest {clean_text(slowest)}{self._why(slowest)}")
        return " · ".join(parts)

    def _why(self, host: str) -> str:
        """Why a host is slow, as far as it is known."""
        busy, timeouts = self._delayed.get(host, (0, 0))
        causes = [f"busy {times(busy)}"] if busy else []
        causes += [f"not in time {times(timeouts)}"] if timeouts else []
        return f" ({', '.join(causes)})" if causes else ""


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """One line on standard error, redrawn a few times a second, by a thread: also while nothing ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        bar = self

        class PaceColumn(ProgressColumn):
            def render(self, task: Task) -> Text:  # noqa: ARG002 (rich's signature)
                return Text(bar.note())

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), PaceColumn())
        self._rich = RichProgress(*columns, console=Console(file=terminal()), transient=True, refresh_per_second=5)
        self._task = self._rich.add_task("reading articles", total=None)
        self._turn = threading.Lock()
        self._pace: RateEstimator | None = None

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
        self._pace = RateEstimator(waiting, time.monotonic())
        self._rich.reset(self._task, total=waiting, description=plural(images, "image"))

    def started(self, host: str) -> None:
        """An image has begun."""
        if self._pace is not None:
            with self._turn:
                self._pace.started(host, time.monotonic())

    def ended(self, host: str, outcome: Outcome) -> None:
        """An image has ended."""
        if self._pace is not None:
            with self._turn:
                self._pace.ended(host, outcome.bytes_fetched, time.monotonic(), outcome.delay)
            self._rich.advance(self._task)

    def note(self) -> str:
        """What stands behind the bar now."""
        if self._pace is None:
            return ""
        with self._turn:
            return self._pace.tell(time.monotonic())


def progress_for(*, quiet: bool) -> ProgressBar | NoProgress:
    """A bar on a terminal, silence elsewhere."""
    return NoProgress() if quiet or not sys.stderr.isatty() else ProgressBar()
