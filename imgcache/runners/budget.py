"""Limits the time and the bytes of one run. Pure: the clock is passed in."""

from __future__ import annotations

import msgspec

# Assumed bytes of an image before the first job has ended: more than most have, so that a small budget is not exceeded.
_FIRST_GUESS = 1_000_000


class Budget(msgspec.Struct):
    """Decides whether more jobs may start; running jobs are finished.

    Attributes:
        deadline: on the clock whose time is passed to `allows`, in seconds; None for no limit.
        max_bytes: to fetch in this run; None for no limit.
        spent: bytes fetched so far.
        finished: jobs that fetched anything.
    """

    deadline: float | None = None
    max_bytes: int | None = None
    spent: int = 0
    finished: int = 0

    def add_finished(self, count: int) -> None:
        """Count a job that has ended, and the bytes that it fetched."""
        self.spent += count
        self.finished += count > 0

    def allows(self, running: int, now: float) -> bool:
        """Return whether one more job may start beside `under_way` running jobs.

        Every running job is assumed to fetch as many bytes as the average finished job.
        """
        if self.is_spent(now):
            return False
        if self.max_bytes is None or running == 0:
            return True
        average = self.spent / self.finished if self.finished else _FIRST_GUESS
        return self.spent + average * (running + 1) <= self.max_bytes

    def is_spent(self, now: float) -> bool:
        """Return whether no more job may start."""
        late = self.deadline is not None and now >= self.deadline
        return late or (self.max_bytes is not None and self.spent >= self.max_bytes)
