"""Chooses the next job to start: newest article first, and no host above its limit. Pure."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable

from imgcache.cache import PendingImage


class Schedule:
    """The waiting jobs by host; each takes 16 bytes of memory."""

    def __init__(self, pending: Iterable[PendingImage], per_host: int) -> None:
        """`pending` has the most urgent job first; `per_host` limits the running jobs of one host."""
        self._per_host = per_host
        self._waiting: dict[str, array[int]] = {}
        self._next: dict[str, int] = {}
        self._running: dict[str, int] = {}
        self.total = 0
        for rank, (image, host) in enumerate(pending):
            self._waiting.setdefault(host, array("q")).extend((rank, image))
            self.total += 1
        self._ready = [(ranks[0], host) for host, ranks in self._waiting.items()]
        heapq.heapify(self._ready)

    def take(self) -> PendingImage | None:
        """Return the next job to start, or None while every host with waiting jobs is at its limit."""
        if not self._ready:
            return None
        _, host = heapq.heappop(self._ready)
        at = self._next.get(host, 0)
        self._next[host] = at + 2
        self._running[host] = self._running.get(host, 0) + 1
        self._offer(host)
        return PendingImage(self._waiting[host][at + 1], host)

    def done(self, host: str) -> None:
        """Record that a job of this host has ended."""
        was_full = self._running[host] == self._per_host
        self._running[host] -= 1
        if was_full:
            self._offer(host)

    def remaining(self) -> Iterable[int]:
        """Return the images whose jobs were never started."""
        for host, waiting in self._waiting.items():
            yield from waiting[self._next.get(host, 0) + 1 :: 2]

    def _offer(self, host: str) -> None:
        at = self._next.get(host, 0)
        if at < len(self._waiting[host]) and self._running[host] < self._per_host:
            heapq.heappush(self._ready, (self._waiting[host][at], host))
