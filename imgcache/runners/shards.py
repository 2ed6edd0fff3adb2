"""Groups jobs into shards for workers: newest first, and no host at two workers at once. Pure.

Jobs wait in lanes. A host with many jobs has a lane of its own; hosts with few share one; no host is in two. One shard
of a lane runs at a time, and the next one goes to the worker that did the last: it knows robots.txt and the rate limits
of the hosts, and has connections to them.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from imgcache.cache import PendingImage
from imgcache.core import clean_text

SHARD_SIZE = 64  # images in a shard: they share the few milliseconds of a scheduler, and are lost with a worker
LARGE_SHARD_SIZE = 256  # of a host with many images: at the end of each shard, some of its request slots are idle
_SMALLEST = 8
_ROUNDS = 4  # shards for each worker and for each large host, at least: else one worker gets all of a small site
_PARTS = 8  # the parts of a shard that killed its workers
_COLUMNS = 3  # of the rows of a lane: rank, image, number of the host


class Shard(msgspec.Struct, frozen=True):
    """Jobs that one worker does together; `name` describes their hosts."""

    lane: int
    name: str
    jobs: tuple[PendingImage, ...]

    def weight(self, per_host: int) -> int:
        """Return how many of its jobs can run at once, with at most `per_host` of one host."""
        return sum(min(count, per_host) for count in Counter(job.host for job in self.jobs).values())

    def parts(self) -> list[Shard]:
        """Return the same jobs in up to eight smaller shards."""
        step = -(-len(self.jobs) // _PARTS)
        cuts = (self.jobs[at : at + step] for at in range(0, len(self.jobs), step))
        return [msgspec.structs.replace(self, jobs=jobs) for jobs in cuts]


class _Lane:
    """Jobs whose shards run one after the other; a waiting job takes 24 bytes of memory."""

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
        """How many jobs its next shard has: `usual`, or more if it is the lane of one large host."""
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
    """The waiting jobs, in lanes."""

    def __init__(self, pending: Iterable[PendingImage], workers: int = 1, *, most: int = LARGE_SHARD_SIZE) -> None:
        """`pending` has the most urgent job first; a shard has at most `most` jobs."""
        waiting: dict[str, array[int]] = {}
        total = 0
        for rank, (image, host) in enumerate(pending):
            waiting.setdefault(host, array("q")).extend((rank, image))
            total += 1
        round_size = max(_SMALLEST, total // (_ROUNDS * max(1, workers)))
        self.size = min(most, SHARD_SIZE, round_size)
        self._most = min(most, round_size)
        self._lanes = list(_lanes(waiting, self.size))
        self._unowned = [(lane.rank, number) for number, lane in enumerate(self._lanes)]
        heapq.heapify(self._unowned)
        self._owned: dict[str, list[tuple[int, int]]] = {}  # by worker, the ready lanes that it owns

    def take(self, worker: str, most: int) -> Shard | None:
        """Return the next shard for this worker, of at most `most` jobs, or None if none is ready for it."""
        heaps = [heap for heap in (self._owned.get(worker), self._unowned) if heap]
        if not heaps or most < 1:
            return None
        _, number = heapq.heappop(min(heaps))
        lane = self._lanes[number]
        return Shard(number, lane.name, tuple(lane.take(min(most, lane.size(self.size, self._most)))))

    def done(self, shard: Shard, worker: str) -> None:
        """Record that a shard has ended; this worker owns its lane from now on."""
        lane = self._lanes[shard.lane]
        if not lane.is_empty:
            heapq.heappush(self._owned.setdefault(worker, []), (lane.rank, shard.lane))

    def keep_workers(self, workers: Iterable[str]) -> None:
        """Release the lanes of all workers but these."""
        for gone in self._owned.keys() - set(workers):
            for item in self._owned.pop(gone):
                heapq.heappush(self._unowned, item)

    @property
    def is_empty(self) -> bool:
        """Whether no lane is ready: every job is taken, or waits in a lane with a running shard."""
        return not self._unowned and not any(self._owned.values())

    def remaining(self) -> Iterator[int]:
        """Yield the images whose jobs were never taken."""
        for lane in self._lanes:
            yield from lane.rows[lane.at + 1 :: _COLUMNS]


def _lanes(waiting: dict[str, array[int]], size: int) -> Iterator[_Lane]:
    """Yields a lane for each host with more than half a shard, and lanes of one shard for the others, in order.

    `waiting` has rank and image of each job by host. It is emptied, to save memory.
    """
    small: list[tuple[str, array[int]]] = []
    count = 0
    for host in list(waiting):  # in the order of the first job of each
        jobs = waiting.pop(host)
        number = len(jobs) // 2
        if number > size // 2:
            yield _lane([(host, jobs)])
            continue
        if count + number > size:
            yield _lane(small)
            small, count = [], 0
        small.append((host, jobs))
        count += number
    if small:
        yield _lane(small)


def _lane(hosts: Sequence[tuple[str, array[int]]]) -> _Lane:
    rows = sorted(
        (jobs[at], jobs[at + 1], number) for number, (_, jobs) in enumerate(hosts) for at in range(0, len(jobs), 2)
    )
    return _Lane(tuple(host for host, _ in hosts), array("q", (cell for row in rows for cell in row)))
