"""What one run may cost in time and bytes. Pure: the clock is passed in."""

from __future__ import annotations

import msgspec

# What an image is taken to cost before the first has ended: more than most do, so that a small budget is not overrun.
_FIRST_GUESS = 1_000_000


class Budget(msgspec.Struct):
    """When to stop starting jobs. What is under way is finished."""

    deadline: float | None = None  # on the clock that `allows` is asked with
    max_bytes: int | None = None
    spent: int = 0
    finished: int = 0

    def add(self, count: int) -> None:
        """A job has ended after so many bytes."""
        self.spent += count
        self.finished += count > 0

    def allows(self, under_way: int, now: float) -> bool:
        """Whether one more job may start beside those under way, each taken to cost what the average one did."""
        if self.is_spent(now):
            return False
        if self.max_bytes is None or under_way == 0:
            return True
        average = self.spent / self.finished if self.finished else _FIRST_GUESS
        return self.spent + average * (under_way + 1) <= self.max_bytes

    def is_spent(self, now: float) -> bool:
        """Whether nothing may be started any more."""
        late = self.deadline is not None and now >= self.deadline
        return late or (self.max_bytes is not None and self.spent >= self.max_bytes)
