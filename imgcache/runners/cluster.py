"""Runs jobs on many workers, a shard at a time: what ended is handed on as it comes, by this process alone.

A shard whose worker is lost goes to another one. One that was lost three times waits until all others have ended. Then
its parts are done one at a time with nothing beside them, so that a death is nobody else's, and only the job that kills
is given up.
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
from imgcache.runners.shards import LARGE, Shard, Shards

J = TypeVar("J")
R = TypeVar("R")
J_contra = TypeVar("J_contra", contravariant=True)
J_co = TypeVar("J_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)

_TICK = 1.0  # seconds between two looks at who is there, where nothing else happens
_LAST_WORDS = 5.0  # seconds for workers that are cut short to say what they have finished
_AHEAD = 2  # times what a worker has room for: while the last images of one shard are rendered, others are fetched
_TRIES = 3  # for a shard beside others: workers that come and go are lost for other reasons too
_GIVEN_UP = "the workers that had this image in hand died, one after the other; it is tried again by the next run"


class WorkerGroup(Protocol[J_contra, R_co]):
    """Workers somewhere else; use as `async with crew`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def room(self) -> Mapping[str, int]:
        """The workers that are there, and how many jobs each can have under way at once."""
        ...

    async def do(
        self, name: str, jobs: Sequence[tuple[str, J_contra]], worker: str, seconds: float | None
    ) -> Mapping[int, R_co]:
        """Have a shard done by one worker and no other. After `seconds` no job of it is begun.

        `jobs` come with the hosts that they ask. Cancelled, it is left undone.

        Returns:
            Results by the place of their jobs. The others were not begun, for time was up.

        Raises:
            WorkerLost: the worker has gone. It asks no host any more, and its results did not come.
        """
        ...

    async def cut_short(self) -> None:
        """Have every worker stop: shards under way end with what is finished of them."""
        ...


class ShardedWork(Protocol[J_co, R_contra]):
    """What is to be done, as the commanding process sees it."""

    def begin(self, pending: PendingImage) -> J_co | None:
        """The job for one image; None where there is nothing to do after all."""
        ...

    def end(self, pending: PendingImage, result: R_contra) -> int:
        """Write down what became of it; returns how many bytes it fetched."""
        ...

    def give_up(self, pending: PendingImage, error: WorkerLost) -> None:
        """Write down that nobody can do it."""
        ...


class _Hand(msgspec.Struct, frozen=True):
    """A shard under way, all of its jobs begun: where it was sent, and how many of them can be under way there."""

    shard: Shard
    worker: str
    weight: int
    losses: int  # workers that went with it in hand
    is_suspect: bool  # with nothing beside it


class ClusterRunner(Generic[J, R]):
    """Keeps every worker of a crew busy until the shards are done or the budget is spent."""

    def __init__(
        self,
        shards: Shards,
        budget: Budget,
        crew: WorkerGroup[J, R],
        work: ShardedWork[J, R],
        *,
        per_host: int,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is the one that `budget.deadline` is on; `per_host` bounds the jobs of one host under way."""
        self._shards = shards
        self._budget = budget
        self._crew = crew
        self._work = work
        self._per_host = per_host
        self._clock = clock
        self._under_way: dict[asyncio.Future[Mapping[int, R]], _Hand] = {}
        self._ended: asyncio.Queue[asyncio.Future[Mapping[int, R]]] = asyncio.Queue()
        self._busy: dict[str, int] = {}
        self._images = 0  # under way
        self._begun: dict[int, J] = {}  # by image: a job is begun once, however often it is sent
        self._lost: deque[_Hand] = deque()
        self._suspects: deque[Shard] = deque()
        self._left: list[int] = []

    async def run(self) -> None:
        """Do it all. Cancelled, it has what is under way cut short, and takes what is finished."""
        try:
            while True:
                self._fill()
                if not self._under_way:
                    if self._is_over:
                        return
                    self._try_suspect()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK):
                        self._take_back(await self._ended.get())
        except asyncio.CancelledError:
            await self._cut_short()
            raise
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def rest(self) -> Iterator[int]:
        """The images whose jobs were never begun, or were lost with a worker and not done again."""
        yield from self._left
        yield from self._shards.rest()
        for shard in (*(hand.shard for hand in self._lost), *self._suspects):
            yield from (job.image for job in shard.jobs)

    async def _cut_short(self) -> None:
        await self._crew.cut_short()
        if self._under_way:
            ended, _ = await asyncio.wait(self._under_way, timeout=_LAST_WORDS)
            for task in ended:
                if not task.cancelled() and task.exception() is None:
                    self._take_back(task)

    @property
    def _is_over(self) -> bool:
        is_done = self._shards.is_empty and not self._lost and not self._suspects
        return is_done or self._budget.is_spent(self._clock())

    def _fill(self) -> None:
        """Give every worker as much as keeps it busy, the least busy one first."""
        room = self._crew.room()
        self._shards.stay_with(room)
        asking = {worker for worker, count in room.items() if self._load(worker) < _AHEAD * count}
        while asking and (most := self._affordable()):
            worker = min(asking, key=lambda name: (self._load(name) / room[name], name))
            if not self._give(worker, most) or self._load(worker) >= _AHEAD * room[worker]:
                asking.discard(worker)

    def _give(self, worker: str, most: int) -> bool:
        """Send the next shard to this worker; False where there is none for it."""
        if self._lost:
            hand = self._lost.popleft()
            self._send(hand.shard, worker, losses=hand.losses)
            return True
        shard = self._shards.take(worker, most)
        if shard is not None:
            self._send(shard, worker)
        return shard is not None

    def _load(self, worker: str) -> int:
        return self._busy.get(worker, 0)

    def _affordable(self) -> int:
        """How many more jobs may begin, as far as a shard has room for them."""
        now = self._clock()
        return bisect_left(range(LARGE), True, key=lambda more: not self._budget.allows(self._images + more, now))

    def _send(self, shard: Shard, worker: str, *, losses: int = 0, is_suspect: bool = False) -> None:
        shard = msgspec.structs.replace(shard, jobs=tuple(filter(self._begin, shard.jobs)))
        if not shard.jobs:
            self._shards.done(shard, worker)
            return
        left = None if self._budget.deadline is None else max(0.0, self._budget.deadline - self._clock())
        asked = [(pending.host, self._begun[pending.image]) for pending in shard.jobs]
        task = asyncio.ensure_future(self._crew.do(shard.name, asked, worker, left))
        hand = _Hand(shard, worker, shard.weight(self._per_host), losses, is_suspect)
        self._under_way[task] = hand
        self._busy[worker] = self._load(worker) + hand.weight
        self._images += len(shard.jobs)
        task.add_done_callback(self._ended.put_nowait)

    def _begin(self, pending: PendingImage) -> bool:
        """Whether there is a job for this image."""
        if pending.image not in self._begun:
            job = self._work.begin(pending)
            if job is None:
                return False
            self._begun[pending.image] = job
        return True

    def _try_suspect(self) -> None:
        if self._suspects and self._shards.is_empty and (room := self._crew.room()):
            self._send(self._suspects.popleft(), min(room), is_suspect=True)

    def _take_back(self, task: asyncio.Future[Mapping[int, R]]) -> None:
        hand = self._under_way.pop(task)
        self._busy[hand.worker] -= hand.weight
        self._images -= len(hand.shard.jobs)
        try:
            results = task.result()
        except WorkerLost:
            self._lose(hand)
            return
        if not hand.is_suspect:
            self._shards.done(hand.shard, hand.worker)
        for place, pending in enumerate(hand.shard.jobs):
            del self._begun[pending.image]
            if place in results:
                self._budget.add(self._work.end(pending, results[place]))
            else:
                self._left.append(pending.image)

    def _lose(self, hand: _Hand) -> None:
        shard, losses = hand.shard, hand.losses + 1
        if not hand.is_suspect and losses < _TRIES:
            self._lost.append(msgspec.structs.replace(hand, losses=losses))
        elif not hand.is_suspect:
            self._shards.done(shard, hand.worker)
            self._suspects += shard.parts()
        elif len(shard.jobs) > 1:
            self._suspects.extendleft(reversed(shard.parts()))
        else:
            pending = shard.jobs[0]
            del self._begun[pending.image]
            self._work.give_up(pending, WorkerLost(_GIVEN_UP))
