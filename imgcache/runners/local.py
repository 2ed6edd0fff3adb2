"""Runs jobs here, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from imgcache.catalogue import Pending
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

    async def run(self, work: Callable[[Pending], Awaitable[int]]) -> None:
        """Do `work` for each job; it returns how many bytes it fetched. Cancelled, it cancels what is under way."""
        under_way: dict[asyncio.Task[int], Pending] = {}
        try:
            while True:
                self._start(work, under_way)
                if not under_way:
                    return
                ended, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    self._schedule.done(under_way.pop(task).host)
                    self._budget.add(task.result())
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _start(self, work: Callable[[Pending], Awaitable[int]], under_way: dict[asyncio.Task[int], Pending]) -> None:
        while len(under_way) < self._at_once and self._budget.allows(len(under_way), self._clock()):
            pending = self._schedule.take()
            if pending is None:
                return
            under_way[asyncio.ensure_future(work(pending))] = pending
