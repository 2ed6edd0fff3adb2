"""Runs jobs on many workers, a shard at a time, and passes on each result as it arrives.

A shard whose worker is lost goes to another one. A shard that was lost three times waits until all others have ended.
Then its parts run one at a time with nothing beside them: the cause of a death is certain, and only the job that kills
workers is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from imgcache.cache import PendingImage
from imgcache.core import WorkerLost
from imgcache.runners.budget import Budget
from imgcache.runners.shards import LARGE_SHARD_SIZE, Shard, Shards

J = TypeVar("J")
R = TypeVar("R")
J_contra = TypeVar("J_contra", contravariant=True)
J_co = TypeVar("J_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)

_TICK = 1.0  # seconds between two checks for new workers, if nothing else happens
_STOP_TIMEOUT = 5.0  # seconds for stopped workers to return their finished results
_OVERCOMMIT = 2  # times the capacity of a worker: while one shard renders its last images, the next one fetches
MAX_LOSSES = 3  # of a shard beside others, because workers also disappear for other reasons
_GIVEN_UP = "every worker that processed this image died; the next run tries it again"


class WorkerGroup(Protocol[J_contra, R_co]):
    """Workers in other processes; use as an async context manager."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def capacity(self) -> Mapping[str, int]:
        """Return the present workers, and how many jobs each can run at once."""
        ...

    async def run_shard(
        self, name: str, jobs: Sequence[tuple[str, J_contra]], worker: str, seconds: float | None
    ) -> Mapping[int, R_co]:
        """Run a shard on one worker and no other.

        Args:
            name: of the shard, for display.
            jobs: with the hosts that they contact.
            worker: the worker.
            seconds: after which no job is begun; None for no limit.

        Returns:
            Results by the index of their jobs. Jobs without a result were not begun before the time was up.

        Raises:
            WorkerLost: the worker is gone. It contacts no host any more, and its results are lost.
        """
        ...

    async def stop(self) -> None:
        """Stop every worker; running shards end and return their finished results."""
        ...


class ShardedWork(Protocol[J_co, R_contra]):
    """The work, as this process sees it: it makes the jobs and records their results."""

    def begin(self, pending: PendingImage) -> J_co | None:
        """Return the job for one image, or None if there is nothing to do."""
        ...

    def end(self, pending: PendingImage, result: R_contra) -> int:
        """Record the result; returns how many bytes the job fetched."""
        ...

    def give_up(self, pending: PendingImage, error: WorkerLost) -> None:
        """Record that no worker can do the job."""
        ...


class _RunningShard(msgspec.Struct, frozen=True):
    """A shard that runs on a worker; `weight` is how many of its jobs can run at once there."""

    shard: Shard
    worker: str
    weight: int
    losses: int  # workers that were lost while they ran it
    is_suspect: bool  # it runs with nothing beside it


class ClusterRunner(Generic[J, R]):
    """Keeps every worker of a group busy until the shards are done or the budget is spent."""

    def __init__(
        self,
        shards: Shards,
        budget: Budget,
        workers: WorkerGroup[J, R],
        work: ShardedWork[J, R],
        *,
        per_host: int,
        clock: Callable[[], float],
    ) -> None:
        """Take the jobs and the workers.

        Args:
            shards: the waiting jobs.
            budget: the limits of the run.
            workers: the workers.
            work: makes jobs and records results.
            per_host: how many jobs of one host run at once.
            clock: returns seconds on the clock of `budget.deadline`.
        """
        self._shards = shards
        self._budget = budget
        self._workers = workers
        self._work = work
        self._per_host = per_host
        self._clock = clock
        self._running: dict[asyncio.Future[Mapping[int, R]], _RunningShard] = {}
        self._ended: asyncio.Queue[asyncio.Future[Mapping[int, R]]] = asyncio.Queue()
        self._busy: dict[str, int] = {}
        self._images = 0  # in running shards
        self._begun: dict[int, J] = {}  # by image: a job is made once, however often it is sent
        self._lost: deque[_RunningShard] = deque()
        self._suspects: deque[Shard] = deque()
        self._not_begun: list[int] = []

    async def run(self) -> None:
        """Run all jobs. If cancelled, the workers are stopped, and their finished results are recorded."""
        try:
            while True:
                self._fill()
                if not self._running:
                    if self._is_over:
                        return
                    self._try_suspect()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK):
                        self._finish(await self._ended.get())
        except asyncio.CancelledError:
            await self._stop()
            raise
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def remaining(self) -> Iterator[int]:
        """Yield the images whose jobs were never begun, or were lost with a worker and not repeated."""
        yield from self._not_begun
        yield from self._shards.remaining()
        for shard in (*(lost.shard for lost in self._lost), *self._suspects):
            yield from (job.image for job in shard.jobs)

    async def _stop(self) -> None:
        await self._workers.stop()
        if self._running:
            ended, _ = await asyncio.wait(self._running, timeout=_STOP_TIMEOUT)
            for task in ended:
                if not task.cancelled() and task.exception() is None:
                    self._finish(task)

    @property
    def _is_over(self) -> bool:
        is_done = self._shards.is_empty and not self._lost and not self._suspects
        return is_done or self._budget.is_spent(self._clock())

    def _fill(self) -> None:
        """Give every worker enough shards to keep it busy, the least busy one first."""
        capacity = self._workers.capacity()
        self._shards.keep_workers(capacity)
        idle = {worker for worker, count in capacity.items() if self._load(worker) < _OVERCOMMIT * count}
        while idle and (most := self._affordable()):
            worker = min(idle, key=lambda name: (self._load(name) / capacity[name], name))
            if not self._give(worker, most) or self._load(worker) >= _OVERCOMMIT * capacity[worker]:
                idle.discard(worker)

    def _give(self, worker: str, most: int) -> bool:
        """Send the next shard to this worker; False if there is none for it."""
        if self._lost:
            lost = self._lost.popleft()
            self._send(lost.shard, worker, losses=lost.losses)
            return True
        shard = self._shards.take(worker, most)
        if shard is not None:
            self._send(shard, worker)
        return shard is not None

    def _load(self, worker: str) -> int:
        return self._busy.get(worker, 0)

    def _affordable(self) -> int:
        """How many more jobs the budget allows to begin, up to the size of a large shard."""
        now = self._clock()
        return bisect_left(
            range(LARGE_SHARD_SIZE), True, key=lambda more: not self._budget.allows(self._images + more, now)
        )

    def _send(self, shard: Shard, worker: str, *, losses: int = 0, is_suspect: bool = False) -> None:
        shard = msgspec.structs.replace(shard, jobs=tuple(filter(self._begin, shard.jobs)))
        if not shard.jobs:
            self._shards.done(shard, worker)
            return
        seconds = None if self._budget.deadline is None else max(0.0, self._budget.deadline - self._clock())
        jobs = [(pending.host, self._begun[pending.image]) for pending in shard.jobs]
        task = asyncio.ensure_future(self._workers.run_shard(shard.name, jobs, worker, seconds))
        running = _RunningShard(shard, worker, shard.weight(self._per_host), losses, is_suspect)
        self._running[task] = running
        self._busy[worker] = self._load(worker) + running.weight
        self._images += len(shard.jobs)
        task.add_done_callback(self._ended.put_nowait)

    def _begin(self, pending: PendingImage) -> bool:
        """Make the job for this image, unless it exists; False if there is nothing to do."""
        if pending.image not in self._begun:
            job = self._work.begin(pending)
            if job is None:
                return False
            self._begun[pending.image] = job
        return True

    def _try_suspect(self) -> None:
        if self._suspects and self._shards.is_empty and (capacity := self._workers.capacity()):
            self._send(self._suspects.popleft(), min(capacity), is_suspect=True)

    def _finish(self, task: asyncio.Future[Mapping[int, R]]) -> None:
        running = self._running.pop(task)
        self._busy[running.worker] -= running.weight
        self._images -= len(running.shard.jobs)
        try:
            results = task.result()
        except WorkerLost:
            self._lose(running)
            return
        if not running.is_suspect:
            self._shards.done(running.shard, running.worker)
        for index, pending in enumerate(running.shard.jobs):
            del self._begun[pending.image]
            if index in results:
                self._budget.add_finished(self._work.end(pending, results[index]))
            else:
                self._not_begun.append(pending.image)

    def _lose(self, running: _RunningShard) -> None:
        shard, losses = running.shard, running.losses + 1
        if not running.is_suspect and losses < MAX_LOSSES:
            self._lost.append(msgspec.structs.replace(running, losses=losses))
        elif not running.is_suspect:
            self._shards.done(shard, running.worker)
            self._suspects += shard.parts()
        elif len(shard.jobs) > 1:
            self._suspects.extendleft(reversed(shard.parts()))
        else:
            pending = shard.jobs[0]
            del self._begun[pending.image]
            self._work.give_up(pending, WorkerLost(_GIVEN_UP))
