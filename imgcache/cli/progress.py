"""Shows the progress of a run on a terminal: images a second, bytes, time left, and the slowest host."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from imgcache.cli.streams import terminal
from imgcache.core import Delay, Outcome, clean_text, format_bytes, format_seconds, format_times, plural

_BAR_WIDTH, _COUNTS, _RATE = 20, 26, 8  # columns; of both counts, as of 99,999 images; of images a second
_STEADY = 0.5  # seconds for which an estimate is shown


class NoProgress(AbstractContextManager["NoProgress"]):
    """Shows nothing, where standard error is not a terminal or with --quiet."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def scanned(self) -> None:
        """One more article was read."""

    def planned(self, images: int, waiting: int) -> None:
        """The articles are read, and the work is known."""

    def started(self, host: str) -> None:
        """Work on an image has begun."""

    def ended(self, host: str, outcome: Outcome) -> None:
        """Work on an image has ended."""


class RateEstimator:
    """Estimates the speed of a run by the images that have ended and those under way. Times in seconds of one clock."""

    def __init__(self, waiting: int, now: float) -> None:
        """Begin with so many images `waiting`."""
        self._waiting = waiting
        self._began = now
        self._done = self._bytes = 0
        self._ended: dict[str, tuple[int, float]] = {}
        self._running: dict[str, deque[float]] = {}
        self._delayed: dict[str, tuple[int, int]] = {}

    def started(self, host: str, now: float) -> None:
        """Work on an image has begun."""
        self._running.setdefault(host, deque()).append(now)

    def ended(self, host: str, fetched: int, now: float, delay: Delay | None = None) -> None:
        """Work on an image has ended after so many bytes. It counts as the oldest of its host that is under way."""
        if delay is not None:
            busy, timeouts = self._delayed.get(host, (0, 0))
            self._delayed[host] = (busy + delay.busy, timeouts + delay.timeouts)
        count, seconds = self._ended.get(host, (0, 0.0))
        self._ended[host] = (count + 1, seconds + now - self._running[host].popleft())
        if not self._running[host]:
            del self._running[host]
        self._done += 1
        self._bytes += fetched

    @property
    def has_rate(self) -> bool:
        """Whether an image has ended, so that there is a rate."""
        return self._done > 0

    def describe(self, now: float, width: int | None = None) -> str:
        """Returns images a second, bytes, time left, and the host that takes longest for an image.

        Args:
            now: the time.
            width: the characters that there is room for; what does not fit is left out.
        """
        rate = self._done / max(now - self._began, 0.001)
        oldest = {host: now - begun[0] for host, begun in self._running.items()}
        parts = [f"{rate:.1f}/s", format_bytes(self._bytes)]
        if rate:
            # An image that has taken long is assumed to need as long again: the rate does not see one that hangs.
            left = max((self._waiting - self._done) / rate, *oldest.values(), 0.0)
            parts.append(f"{format_seconds(left)} left")
        means = {host: seconds / count for host, (count, seconds) in self._ended.items()}
        hosts = means.keys() | oldest.keys()
        if hosts:
            slowest = max(sorted(hosts), key=lambda host: max(means.get(host, 0.0), oldest.get(host, 0.0)))
            parts.append(f"slowest {clean_text(slowest)}{self._delays_of(slowest)}")
        while width is not None and len(parts) > 1 and len(" · ".join(parts)) > width:
            parts.pop()
        return " · ".join(parts)

    def _delays_of(self, host: str) -> str:
        """Returns why a host is slow, as far as that is known."""
        busy, timeouts = self._delayed.get(host, (0, 0))
        causes = [f"busy {format_times(busy)}"] if busy else []
        causes += [f"timed out {format_times(timeouts)}"] if timeouts else []
        return f" ({', '.join(causes)})" if causes else ""


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """One line on standard error. A thread redraws it a few times a second, also while nothing ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        bar = self

        class RateColumn(ProgressColumn):
            def render(self, task: Task) -> Text:  # noqa: ARG002 (rich's signature)
                return Text(bar.rate())

        console = Console(file=terminal())
        columns = (
            TextColumn("{task.description}"),
            BarColumn(_BAR_WIDTH, complete_style="cyan", finished_style="cyan", pulse_style="cyan"),
            MofNCompleteColumn(),
            RateColumn(),
        )
        self._rich = RichProgress(*columns, console=console, transient=True, refresh_per_second=5)
        self._task = self._rich.add_task("reading articles", total=None)
        self._width = max(_RATE, console.width - _BAR_WIDTH - _COUNTS)
        self._lock = threading.Lock()
        self._estimator: RateEstimator | None = None
        self._rate, self._rated_at = "", float("-inf")

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rich.stop()

    def scanned(self) -> None:
        """One more article was read."""
        self._rich.advance(self._task)

    def planned(self, images: int, waiting: int) -> None:
        """The articles are read, and the work is known."""
        self._estimator = RateEstimator(waiting, time.monotonic())
        self._rich.reset(self._task, total=waiting, description=plural(images, "image"))

    def started(self, host: str) -> None:
        """Work on an image has begun."""
        if self._estimator is not None:
            with self._lock:
                self._estimator.started(host, time.monotonic())

    def ended(self, host: str, outcome: Outcome) -> None:
        """Work on an image has ended."""
        if self._estimator is not None:
            with self._lock:
                self._estimator.ended(host, outcome.bytes_fetched, time.monotonic(), outcome.delay)
            self._rich.advance(self._task)

    def rate(self) -> str:
        """Returns the text behind the bar, which changes twice a second: faster, nobody could read it."""
        if self._estimator is None:
            return ""
        now = time.monotonic()
        if now - self._rated_at >= _STEADY:
            with self._lock:
                self._rate = self._estimator.describe(now, self._width)
                self._rated_at = now if self._estimator.has_rate else float("-inf")
        return self._rate


def progress_for(*, quiet: bool) -> ProgressBar | NoProgress:
    """Returns a progress bar on a terminal, else one that shows nothing."""
    return NoProgress() if quiet or not sys.stderr.isatty() else ProgressBar()
