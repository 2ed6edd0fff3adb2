"""A crawl as a discrete-event simulation: a queue of events, a clock that jumps from one to the next. Pure, seeded.

The shards, their order and the time of a second attempt are imgcache's own code; hosts, networks, processors and the
commanding process are simulated as docs/scale.md says. simpy was looked at and not taken: a process and several event
objects for each request cost ten times what an entry in a heap does, and here are millions.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from simulation_figures import Figures, Plant

from imgcache.cache import PendingImage
from imgcache.core import ConnectFailure, FetchTimeout, ImageError, Limits
from imgcache.downloader.http import retry
from imgcache.downloader.http.politeness import DOWN_AFTER
from imgcache.runners import Shards
from imgcache.runners.shards import Shard

_AHEAD = 2  # as runners/cluster.py: times what a worker has room for
_SHARE = 2  # as wiring: times `per_host`, jobs of one host under way, one part of them being rendered
_LIMITS = Limits()
_NO_CONNECTION = ConnectFailure("no connection")
_STALLED = FetchTimeout("nothing came")
_IMPORTANT = 0.01  # of all images: a host with more is taken to be alive, or one throw of a die would decide


@dataclass
class Totals:
    """What a crawl came to. Seconds and bytes."""

    images: int = 0
    stored: int = 0
    requests: int = 0
    lookups: int = 0  # names asked for, at most: one a host and shard
    shards: int = 0
    bytes_in: float = 0.0
    seconds: float = 0.0
    busiest_seconds: float = 0.0  # when the host with most images was done
    busiest_held: float = 0.0  # what its requests took, one after the other
    slot_seconds: float = 0.0
    core_seconds: float = 0.0
    command_seconds: float = 0.0
    most_at_once: int = 0  # requests to one host under way together, over all machines


@dataclass(eq=False)
class _Machine:
    name: str
    cores: list[float]  # when each is free
    asking: int = 0
    load: int = 0
    ready: deque[_Host] = field(default_factory=deque)


@dataclass(eq=False)
class _Host:
    dead: bool
    waiting: int = 0
    again: deque[int] = field(default_factory=deque)  # attempts whose time has come
    asking: int = 0
    under_way: int = 0
    failures: int = 0
    fresh: int = 0  # requests that open a connection first
    next_start: float = 0.0
    queued: bool = False
    open: bool = False  # its robots.txt was read
    hand: _Hand | None = None
    machine: _Machine | None = None  # the last that asked it


@dataclass(eq=False)
class _Hand:
    shard: Shard
    machine: _Machine
    weight: int
    left: int


class Crawl:
    """One crawl of hosts with so many images each, the largest first."""

    def __init__(self, sizes: Sequence[int], plant: Plant, figures: Figures, seed: int) -> None:
        """Nothing happens before `run`. The same arguments give the same crawl."""
        self._rng = random.Random(seed)
        self._plant, self._figures, self._policy = plant, figures, plant.policy
        self.totals = Totals(images=sum(sizes))
        alive = _IMPORTANT * self.totals.images
        doom = random.Random(seed)  # apart, so that a host's fate does not hang on the sample
        self._hosts = [_Host(dead=doom.random() < figures.dead_hosts and size <= alive) for size in sizes]
        order = [number for number, size in enumerate(sizes) for _ in range(size)]
        self._rng.shuffle(order)
        pending = (PendingImage(image, str(number)) for image, number in enumerate(order))
        self._shards = Shards(pending, plant.machines, most=plant.shard)
        self._busiest = max(range(len(sizes)), key=sizes.__getitem__)
        self._machines = [_Machine(f"machine {one}", [0.0] * plant.cores) for one in range(plant.machines)]
        self._median = math.log(figures.bytes) - figures.bytes_sigma**2 / 2
        self._now = self._command_free = 0.0
        self._number = 0
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []

    def run(self) -> Totals:
        """From the first shard to the last."""
        self._fill()
        while self._events:
            self._now, _, happen, what = heapq.heappop(self._events)
            happen(*what)
        self.totals.seconds = self._now
        return self.totals

    def _at(self, when: float, happen: Callable[..., None], *what: object) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, happen, what))

    # -- the commanding process ----------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Shards for all who have room, the least busy machine first: as ClusterRunner does it."""
        room = self._policy.concurrency
        asking = {one.name: one for one in self._machines if one.load < _AHEAD * room}
        while asking and not self._shards.is_empty:
            machine = min(asking.values(), key=lambda one: (one.load, one.name))
            shard = self._shards.take(machine.name, 1 << 30)
            if shard is None or machine.load >= _AHEAD * room:
                del asking[machine.name]
            if shard is not None:
                self._send(shard, machine)

    def _send(self, shard: Shard, machine: _Machine) -> None:
        weight = shard.weight(_SHARE * self._policy.per_host)
        machine.load += weight
        self.totals.shards += 1
        hand = _Hand(shard, machine, weight, len(shard.jobs))
        self._at(self._now + self._figures.shard_seconds / 2, self._arrive, hand)

    def _report(self, hand: _Hand) -> None:
        """Results are written down one shard after the other: there is one commanding process."""
        taken = len(hand.shard.jobs) * self._figures.command_seconds
        self.totals.command_seconds += taken
        self._command_free = max(self._command_free, self._now) + taken
        self._at(self._command_free, self._take_back, hand)

    def _take_back(self, hand: _Hand) -> None:
        hand.machine.load -= hand.weight
        self._shards.done(hand.shard, hand.machine.name)
        self._fill()

    # -- a machine -----------------------------------------------------------------------------------------------------

    def _arrive(self, hand: _Hand) -> None:
        hosts: dict[int, int] = {}
        for job in hand.shard.jobs:
            hosts[int(job.host)] = hosts.get(int(job.host), 0) + 1
        self.totals.lookups += len(hosts)
        for number, count in hosts.items():
            host = self._hosts[number]
            host.waiting, host.hand = count, hand
            if host.machine is not hand.machine:  # connections outlast a shard
                host.machine, host.fresh = hand.machine, self._policy.per_host
            if host.open or host.dead:
                self._queue(host)
            else:
                self.totals.requests += 1
                self._at(self._now + 3 * self._latency(), self._open, host)
        self._pump(hand.machine)

    def _open(self, host: _Host) -> None:
        host.open = True
        self._go_on(host)

    def _go_on(self, host: _Host) -> None:
        self._queue(host)
        self._pump(self._hand(host).machine)

    def _queue(self, host: _Host) -> None:
        if not host.queued and self._may_ask(host):
            host.queued = True
            self._hand(host).machine.ready.append(host)

    def _may_ask(self, host: _Host) -> bool:
        if host.asking >= self._policy.per_host:
            return False
        return bool(host.again) or (host.waiting > 0 and host.under_way < _SHARE * self._policy.per_host)

    def _pump(self, machine: _Machine) -> None:
        """Start what may be started, hosts in turn."""
        while machine.ready and machine.asking < self._policy.concurrency:
            host = machine.ready.popleft()
            host.queued = False
            if not self._may_ask(host):
                continue
            if host.again:
                self._ask(host, host.again.popleft())
            else:
                host.waiting -= 1
                host.under_way += 1
                self._ask(host, 1)
            self._queue(host)

    def _ask(self, host: _Host, attempt: int) -> None:
        """The host's slot is taken at once, the machine's when the interval has passed: as net/politeness.py."""
        if host.failures >= DOWN_AFTER:
            self._finish(host)
            return
        host.asking += 1
        self.totals.most_at_once = max(self.totals.most_at_once, host.asking)
        begin = max(self._now, host.next_start)
        host.next_start = begin + self._policy.interval
        if begin > self._now:
            self._at(begin, self._begin, host, attempt)
        else:
            self._begin(host, attempt)

    def _begin(self, host: _Host, attempt: int) -> None:
        self._hand(host).machine.asking += 1
        taken, size, error = self._answer(host)
        self.totals.requests += 1
        self.totals.slot_seconds += taken
        if host is self._hosts[self._busiest]:
            self.totals.busiest_held += taken
        self._at(self._now + taken, self._answered, host, attempt, size, error)

    def _answer(self, host: _Host) -> tuple[float, float, ImageError | None]:
        """How long it takes, how many bytes come, and what is wrong with it. No bytes and no error: 404."""
        figures, rng = self._figures, self._rng
        if host.dead:
            return _LIMITS.connect, 0.0, _NO_CONNECTION
        latency, luck = self._latency(), rng.random()
        if host.fresh:  # a look-up, a connection and TLS: two round trips more
            host.fresh -= 1
            latency *= 3
        if luck < figures.stalled:
            return latency + _LIMITS.read, 0.0, _STALLED
        if luck < figures.stalled + figures.missing:
            return latency, 0.0, None
        size = min(_LIMITS.bytes, rng.lognormvariate(self._median, figures.bytes_sigma))
        return min(_LIMITS.total, latency + size / figures.rate), size, None

    def _answered(self, host: _Host, attempt: int, size: float, error: ImageError | None) -> None:
        machine = self._hand(host).machine
        machine.asking -= 1
        host.asking -= 1
        host.failures = host.failures + 1 if error is _NO_CONNECTION else 0
        wait = retry.delay(attempt, error, retries=self._policy.retries, rng=self._rng) if error else None
        if size:
            self._render(host, machine, size)
        elif wait is not None:
            self._at(self._now + wait, self._ask_again, host, attempt + 1)
        else:
            self._finish(host)
        if host.hand is not None:
            self._queue(host)
        self._pump(machine)

    def _ask_again(self, host: _Host, attempt: int) -> None:
        host.again.append(attempt)
        self._go_on(host)

    def _render(self, host: _Host, machine: _Machine, size: float) -> None:
        """The first core that is free takes it; then its files go to the store."""
        taken = self._figures.core_seconds
        end = max(self._now, machine.cores[0]) + taken
        heapq.heapreplace(machine.cores, end)
        self.totals.core_seconds += taken
        self.totals.bytes_in += size
        self.totals.stored += 1
        self._at(end + self._figures.files * self._figures.put_seconds, self._finish_and_pump, host)

    def _finish_and_pump(self, host: _Host) -> None:
        machine = self._hand(host).machine
        self._finish(host)
        if host.hand is not None:
            self._queue(host)
        self._pump(machine)

    def _finish(self, host: _Host) -> None:
        hand = self._hand(host)
        host.under_way -= 1
        hand.left -= 1
        if host is self._hosts[self._busiest]:
            self.totals.busiest_seconds = self._now
        if not host.waiting and not host.under_way:
            host.hand = None
        if not hand.left:
            self._at(self._now + self._figures.shard_seconds / 2, self._report, hand)

    @staticmethod
    def _hand(host: _Host) -> _Hand:
        assert host.hand is not None, "a host without work was asked"
        return host.hand

    def _latency(self) -> float:
        return self._figures.latency * math.exp(self._rng.gauss(0, self._figures.latency_sigma))
