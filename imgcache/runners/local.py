"""Runs jobs in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from imgcache.cache import PendingImage
from imgcache.runners.budget import Budget
from imgcache.runners.schedule import Schedule


class LocalRunner:
    """Runs a bounded number of jobs at once, until the schedule is empty or the budget is spent."""

    def __init__(self, schedule: Schedule, budget: Budget, *, concurrency: int, clock: Callable[[], float]) -> None:
        """Take the jobs.

        Args:
            schedule: the order of the jobs, and the limit for one host.
            budget: the limits of the run.
            concurrency: how many jobs run at once.
            clock: returns seconds on the clock of `budget.deadline`.
        """
        self._schedule = schedule
        self._budget = budget
        self._at_once = concurrency
        self._clock = clock

    async def run(self, work: Callable[[PendingImage], Awaitable[int]]) -> None:
        """Run `work` for each job. If cancelled, the running jobs are cancelled too.

        Args:
            work: does one job and returns how many bytes it fetched.
        """
        under_way: dict[asyncio.Future[int], PendingImage] = {}
        ended: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()  # asyncio.wait would examine all jobs each time
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
                self._budget.add_finished(done.result())
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _next(self, running: int) -> Iterator[PendingImage]:
        """The jobs to start now, beside `running` ones."""
        while running < self._at_once and self._budget.allows(running, self._clock()):
            pending = self._schedule.take()
            if pending is None:
                return
            yield pending
            running += 1
