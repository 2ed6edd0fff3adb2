"""Runs jobs here, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from imgcache.cache import PendingImage
from imgcache.runners.budget import Budget
from imgcache.runners.schedule import Schedule


class LocalRunner:
    """Keeps a bounded number of jobs under way until the schedule is empty or the budget is spent."""

    def __init__(self, schedule: Schedule, budget: Budget, *, at_once: int, clock: Callable[[], float]) -> None:
        """`clock` is the one that `budget.deadline` is on; `at_once` bounds the jobs under way."""
        self._schedule = schedule
        self._budget = budget
        self._at_once = at_once
        self._clock = clock

    async def run(self, work: Callable[[PendingImage], Awaitable[int]]) -> None:
        """Do `work` for each job; it returns how many bytes it fetched. Cancelled, it cancels what is under way."""
        under_way: dict[asyncio.Future[int], PendingImage] = {}
        ended: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()  # asyncio.wait would look at all of them each time
        try:
            while True:
                for pending in self._next(len(under_way)):
                    begun = asyncio.ensure_future(work(pending))
                    begun.add_done_callback(ended.put_nowait)
                    under_way[begun] = pending
                if not under_way:
                    return
                done = await ended.get()
                self._schedule.done(under_way.pop(done).host)
                self._budget.add(done.result())
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _next(self, running: int) -> Iterator[PendingImage]:
        """The jobs to start now, beside so many under way."""
        while running < self._at_once and self._budget.allows(running, self._clock()):
            pending = self._schedule.take()
            if pending is None:
                return
            yield pending
            running += 1
