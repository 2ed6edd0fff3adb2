"""How many requests a host gets at once, and how soon after each other.

A request takes its host's slot first and the global one second, so that one slow host never holds the slots of others.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable
from types import TracebackType

from imgcache.errors import BlockedAddress, HostDown, HttpStatus, ImageError
from imgcache.models import FetchPolicy
from imgcache.net.failures import counts_against_host
from imgcache.urls import clean

DOWN_AFTER = 5  # failures to connect in a row
FIRST_INTERVAL = 0.25  # seconds between requests after the first 429 or 503; doubled by each further one
LAST_INTERVAL = 4.0
LONGEST_PAUSE = 60.0  # seconds; a Retry-After beyond it does not hold up the host's other URLs
BUSY = frozenset({429, 503})


class Host:
    """One host's share: slots, pace and health, for the length of a run."""

    def __init__(self, slots: int, interval: float) -> None:
        self.free = slots
        self.slots = slots
        self.interval = interval
        self.next_start = 0.0  # on the monotonic clock
        self.slowed_at = float("-inf")
        self.failures = 0
        self.waiters: collections.deque[asyncio.Future[None]] = collections.deque()

    async def acquire(self) -> None:
        """Wait for a slot, first come first served."""
        if self.free > 0 and not self.waiters:
            self.free -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()  # the slot was handed over in the moment of cancellation
            else:
                self.waiters.remove(waiter)
            raise

    def release(self) -> None:
        """Hand the slot to the next in line, as far as there are still as many."""
        self.free += 1
        while self.free > 0 and self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.free -= 1
                waiter.set_result(None)

    def slow_down(self, now: float, started: float, pause: float) -> None:
        """Half the slots and twice the interval; the answers to one burst count once."""
        self.next_start = max(self.next_start, now + pause)
        if started <= self.slowed_at:
            return
        self.slowed_at = now
        fewer = max(1, self.slots // 2)
        self.free -= self.slots - fewer
        self.slots = fewer
        self.interval = max(self.interval, min(LAST_INTERVAL, max(FIRST_INTERVAL, 2 * self.interval)))


class Politeness:
    """The slots of one run. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._all = asyncio.Semaphore(policy.concurrency)
        self._hosts: dict[str, Host] = {}

    def turn(self, host: str) -> _Turn:
        """One request to `host`, from its start to the last byte of its body: a block for `async with`.

        An ImageError that leaves the block is noted against the host, a block that ends well in its favour. Entering it
        raises HostDown where the host failed to connect DOWN_AFTER times in a row.
        """
        return _Turn(self, host)

    async def enter(self, host: str) -> Host:
        """Wait for the slots, and for the time, of one request; `leave` must follow. Raises HostDown."""
        share = self._share(host)
        _refuse_if_down(share, host)
        await share.acquire()
        try:
            _refuse_if_down(share, host)
            await self._wait_for_start(share)
            await self._all.acquire()
        except BaseException:
            share.release()
            raise
        return share

    def leave(self, share: Host, error: BaseException | None, started: float) -> None:
        """Give the slots back, and note how it went."""
        if error is None:
            share.failures = 0
        elif isinstance(error, ImageError):
            self._note(share, error, started)
        self._all.release()
        share.release()

    def now(self) -> float:
        """On the clock that starts are counted by."""
        return self._clock()

    def pace(self, host: str, interval: float) -> None:
        """Leave at least so many seconds between two requests to `host` from now on; a longer interval stays."""
        share = self._share(host)
        share.interval = max(share.interval, interval)

    def _share(self, host: str) -> Host:
        share = self._hosts.get(host)
        if share is None:
            share = self._hosts[host] = Host(self._policy.per_host, self._policy.interval)
        return share

    async def _wait_for_start(self, share: Host) -> None:
        now = self._clock()
        start = max(now, share.next_start)
        if share.interval:
            share.next_start = start + share.interval
        while now < start:
            await self._sleep(start - now)
            now = self._clock()

    def _note(self, share: Host, error: ImageError, started: float) -> None:
        if counts_against_host(error):
            share.failures += 1
            return
        if isinstance(error, BlockedAddress):  # nobody was asked
            return
        share.failures = 0
        if isinstance(error, HttpStatus) and error.status in BUSY:
            asked = error.retry_after or 0.0
            pause = asked if error.status == 429 and asked <= LONGEST_PAUSE else 0.0
            share.slow_down(self._clock(), started, pause)


class _Turn:
    """An `async with` block, as a class: it is entered for every request, and a generator costs three times as much."""

    __slots__ = ("_host", "_politeness", "_share", "_started")

    def __init__(self, politeness: Politeness, host: str) -> None:
        self._politeness = politeness
        self._host = host

    async def __aenter__(self) -> None:
        self._share = await self._politeness.enter(self._host)
        self._started = self._politeness.now()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._politeness.leave(self._share, error, self._started)


def _refuse_if_down(share: Host, host: str) -> None:
    if share.failures >= DOWN_AFTER:
        raise HostDown(f"{clean(host, 80)} failed to connect {DOWN_AFTER} times in a row; not asked again in this run")
