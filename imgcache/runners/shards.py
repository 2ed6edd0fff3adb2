"""Which jobs go to which worker together: newest first, no host at two workers at once. Pure.

Jobs lie in lanes. A host with many has a lane of its own, hosts with few share one; no host has two. Of a lane one
shard is under way at a time, and the next one goes to the worker that did the last: it has the host's robots.txt, its
connections, and knows how it likes to be asked.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from imgcache.cache import PendingImage
from imgcache.core import clean_text

SIZE = 64  # images in a shard: a scheduler's few milliseconds are shared by so many, and so many are lost with a worker
LARGE = 256  # of a host with many: the last of a shard wait alone, and its slots with them
_LEAST = 8
_ROUNDS = 4  # shards for each worker, and of a large host, at least: else one worker has all of a small site
_PARTS = 8  # that a shard which kills its workers is cut into
_COLUMNS = 3  # of a lane's rows: rank, image, number of the host


class Shard(msgspec.Struct, frozen=True):
    """Jobs that one worker does together. `name` says of which hosts they are."""

    lane: int
    name: str
    jobs: tuple[PendingImage, ...]

    def weight(self, per_host: int) -> int:
        """How many of its jobs can be under way at once, with so many of one host."""
        return sum(min(count, per_host) for count in Counter(job.host for job in self.jobs).values())

    def parts(self) -> list[Shard]:
        """The same jobs in smaller shards; itself where it has but one."""
        step = -(-len(self.jobs) // _PARTS)
        cuts = (self.jobs[at : at + step] for at in range(0, len(self.jobs), step))
        return [msgspec.structs.replace(self, jobs=jobs) for jobs in cuts]


class _Lane:
    """Jobs that are done one shard after the other. A waiting one costs 24 bytes."""

    __slots__ = ("at", "hosts", "rows")

    def __init__(self, hosts: tuple[str, ...], rows: array[int]) -> None:
        self.hosts = hosts
        self.rows = rows
        self.at = 0

    @property
    def rank(self) -> int:
        return self.rows[self.at]

    @property
    def is_empty(self) -> bool:
        return self.at >= len(self.rows)

    def size(self, usual: int, most: int) -> int:
        """How many jobs its next shard has, where others have `usual`."""
        if len(self.hosts) > 1:
            return usual
        left = (len(self.rows) - self.at) // _COLUMNS
        return min(most, max(usual, left // _ROUNDS))

    def take(self, count: int) -> Iterator[PendingImage]:
        end = min(len(self.rows), self.at + _COLUMNS * count)
        for at in range(self.at, end, _COLUMNS):
            yield PendingImage(self.rows[at + 1], self.hosts[self.rows[at + 2]])
        self.at = end

    @property
    def name(self) -> str:
        return clean_text(self.hosts[0], 80) if len(self.hosts) == 1 else f"{len(self.hosts)} hosts"


class Shards:
    """The jobs that wait, in lanes."""

    def __init__(self, pending: Iterable[PendingImage], workers: int = 1, *, most: int = LARGE) -> None:
        """`pending` comes in the order of wish; so many workers are there now; a shard has at most `most` jobs."""
        waiting: dict[str, array[int]] = {}
        total = 0
        for rank, (image, host) in enumerate(pending):
            waiting.setdefault(host, array("q")).extend((rank, image))
            total += 1
        a_round = max(_LEAST, total // (_ROUNDS * max(1, workers)))
        self.size = min(most, SIZE, a_round)
        self._most = min(most, a_round)
        self._lanes = list(_lanes(waiting, self.size))
        self._free = [(lane.rank, number) for number, lane in enumerate(self._lanes)]
        heapq.heapify(self._free)
        self._kept: dict[str, list[tuple[int, int]]] = {}  # by worker, the lanes that are its own and ready

    def take(self, worker: str, most: int) -> Shard | None:
        """The next shard for this worker, of at most so many jobs; None where none is ready for it."""
        heaps = [heap for heap in (self._kept.get(worker), self._free) if heap]
        if not heaps or most < 1:
            return None
        _, number = heapq.heappop(min(heaps))
        lane = self._lanes[number]
        return Shard(number, lane.name, tuple(lane.take(min(most, lane.size(self.size, self._most)))))

    def done(self, shard: Shard, worker: str) -> None:
        """A shard has ended, and this worker has its lane from now on."""
        lane = self._lanes[shard.lane]
        if not lane.is_empty:
            heapq.heappush(self._kept.setdefault(worker, []), (lane.rank, shard.lane))

    def stay_with(self, workers: Iterable[str]) -> None:
        """Only these workers are left: the lanes of others are anybody's."""
        for gone in self._kept.keys() - set(workers):
            for item in self._kept.pop(gone):
                heapq.heappush(self._free, item)

    @property
    def is_empty(self) -> bool:
        """Whether no lane is ready: all jobs are taken, or of lanes that have a shard under way."""
        return not self._free and not any(self._kept.values())

    def rest(self) -> Iterator[int]:
        """The images whose jobs were never taken."""
        for lane in self._lanes:
            yield from lane.rows[lane.at + 1 :: _COLUMNS]


def _lanes(waiting: dict[str, array[int]], size: int) -> Iterator[_Lane]:
    """One for each host with more than half a shard, and one for each shard full of others, in the order of wish.

    Empties `waiting`, which has rank and image of each job, by host.
    """
    small: list[tuple[str, array[int]]] = []
    count = 0
    for host in list(waiting):  # which come as the first job of each does
        jobs = waiting.pop(host)
        of_host = len(jobs) // 2
        if of_host > size // 2:
            yield _lane([(host, jobs)])
            continue
        if count + of_host > size:
            yield _lane(small)
            small, count = [], 0
        small.append((host, jobs))
        count += of_host
    if small:
        yield _lane(small)


def _lane(hosts: Sequence[tuple[str, array[int]]]) -> _Lane:
    rows = sorted(
        (jobs[at], jobs[at + 1], number) for number, (_, jobs) in enumerate(hosts) for at in range(0, len(jobs), 2)
    )
    return _Lane(tuple(host for host, _ in hosts), array("q", (cell for row in rows for cell in row)))
