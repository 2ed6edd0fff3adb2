"""Limits how many requests a host gets at once, and how soon after each other.

A request takes a slot of its host first and a global one second, so that one slow host never holds the slots of others.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable
from types import TracebackType

from imgcache.core import (
    BlockedAddress,
    FetchPolicy,
    FetchTimeout,
    HostDown,
    HttpStatus,
    ImageError,
    NoOpenFiles,
    clean_text,
)
from imgcache.downloader.http.error_mapping import counts_against_host

DOWN_AFTER = 5  # consecutive failures of the host itself
SPACING = 0.125  # seconds between requests to a host with a window of 1; with a smaller one, divided by it
MIN_WINDOW = 1 / 32  # of a host that refuses again and again: a request every 4 s
_STEP = 1 / 8  # for windows from 1 to 2: one step of a whole request would be refused again
MAX_PAUSE = 60.0  # seconds; a 429 that asks for more ends the retries of its URL, and does not pause the host
BUSY = frozenset({429, 503})


class Host:
    """The slots, the pace and the health of one host, during one run.

    `window` is how many requests at once the host is expected to accept. It is adjusted as TCP adjusts its congestion
    window (RFC 5681, section 3.1): a refusal halves it, and each answer adds a little, in sum one request for a whole
    round of answers. Below two there is one request at a time, with a spacing between requests.

    Args:
        most: the requests at once at most.
        interval: the seconds between the starts of two requests at least.
    """

    def __init__(self, most: int, interval: float) -> None:
        self.most = most
        self.window = float(most)
        self.interval = interval
        self.in_use = 0
        self.next_start = 0.0  # on the monotonic clock
        self.paused_until = 0.0  # on the monotonic clock: no request starts before
        self.slowed_at = float("-inf")
        self.failures = 0
        self.last_failure = ""
        self.waiters: collections.deque[asyncio.Future[None]] = collections.deque()

    @property
    def slots(self) -> int:
        """How many requests the host gets at once now."""
        return max(1, int(self.window))

    @property
    def spacing(self) -> float:
        """Seconds between the starts of two requests now."""
        if self.window >= min(2, self.most):
            return self.interval
        return max(self.interval, SPACING / self.window if self.window < 1 else SPACING * (2 - self.window))

    @property
    def free(self) -> int:
        """The free slots; negative while requests from before a refusal are still running."""
        return self.slots - self.in_use

    async def acquire(self) -> None:
        """Wait for a slot, first come first served."""
        if self.free > 0 and not self.waiters:
            self.in_use += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()  # the slot was assigned at the moment of cancellation
            else:
                self.waiters.remove(waiter)
            raise

    def release(self) -> None:
        """Return the slot, and assign the free ones to the next in line."""
        self.in_use -= 1
        while self.free > 0 and self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)

    def slow_down(self, now: float, started: float, pause: float) -> None:
        """Halve the window after a refusal, and start no request for `pause` seconds.

        The refusals of one burst count once: only that of a request which was `started` after the last refusal.
        """
        self.paused_until = max(self.paused_until, now + pause)
        if started > self.slowed_at:
            self.slowed_at = now
            self.window = max(MIN_WINDOW, self.window / 2)

    def speed_up(self, started: float) -> None:
        """Widen the window a little, for an answer to a request that was `started` after the last refusal."""
        if started > self.slowed_at and self.window < self.most:
            step = 1 / self.window if self.window >= 2 else _STEP if self.window >= 1 else MIN_WINDOW
            self.window = min(self.most, self.window + step)


class Politeness:
    """The slots of all hosts in one run.

    Args:
        policy: concurrency, requests per host, interval.
        clock: a monotonic time, in seconds.
        sleep: waits so many seconds.
    """

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

    def turn(self, host: str) -> Turn:
        """Return an `async with` block for one request to `host`, until the last byte of its body.

        An ImageError that leaves the block counts against the host, a block without one in its favour. Entering raises
        HostDown where the host could not be reached, or sent nothing in time, DOWN_AFTER times in a row.
        """
        return Turn(self, host)

    def host(self, name: str) -> Host:
        """Return the state of one host."""
        found = self._hosts.get(name)
        if found is None:
            found = self._hosts[name] = Host(self._policy.per_host, self._policy.interval)
        return found

    def pace(self, name: str, interval: float) -> None:
        """Leave at least `interval` seconds between two requests to a host from now on; a longer interval stays."""
        host = self.host(name)
        host.interval = max(host.interval, interval)

    async def enter(self, name: str) -> tuple[Host, float]:
        """Wait for the slots and the start of one request; `leave` must follow. Raises HostDown.

        Returns:
            The host, and the time of the start.
        """
        host = self.host(name)
        _refuse_if_down(host, name)
        await host.acquire()
        try:
            _refuse_if_down(host, name)
            await self._wait_for_start(host)
            await self._all.acquire()
            while host.paused_until > self._clock():  # the pause began while this request waited for a global slot
                self._all.release()
                await self._wait_until(host, host.paused_until)
                await self._all.acquire()
        except BaseException:
            host.release()
            raise
        return host, self._clock()

    def leave(self, host: Host, error: BaseException | None, started: float) -> None:
        """Return the slots, and record how the request ended."""
        if error is None:
            host.failures = 0
            host.speed_up(started)
        elif isinstance(error, ImageError):
            self._record(host, error, started)
        self._all.release()
        host.release()

    async def _wait_for_start(self, host: Host) -> None:
        start = max(self._clock(), host.next_start, host.paused_until)
        if spacing := host.spacing:
            host.next_start = start + spacing
        await self._wait_until(host, start)

    async def _wait_until(self, host: Host, start: float) -> None:
        """Wait until `start`, and until the end of a pause that begins in the meantime."""
        while (now := self._clock()) < (until := max(start, host.paused_until)):
            await self._sleep(until - now)

    def _record(self, host: Host, error: ImageError, started: float) -> None:
        if counts_against_host(error):
            host.failures += 1
            host.last_failure = error.message
            return
        if isinstance(error, BlockedAddress | NoOpenFiles):  # no request was sent
            return
        host.failures = 0
        status = error.status or 0
        if isinstance(error, HttpStatus) and status in BUSY:
            host.slow_down(self._clock(), started, _pause(error))
        elif not isinstance(error, FetchTimeout) and status < 500:  # an answer, though not the image
            host.speed_up(started)


def _pause(error: HttpStatus) -> float:
    """Return the seconds for which no request at all may go to the host.

    A Retry-After applies to what its status names: that of a 429 says "how long to wait before making a new request"
    (RFC 6585, section 4), to any URL; that of a 503 "before retrying the request" (RFC 9110, section 15.6.4), for which
    the retry waits.
    """
    seconds = error.retry_after or 0.0
    return seconds if error.status == 429 and seconds <= MAX_PAUSE else 0.0


class Turn:
    """The block of `Politeness.turn`. A class, because a generator costs three times as much for each request."""

    __slots__ = ("_host", "_name", "_politeness", "_started")

    def __init__(self, politeness: Politeness, name: str) -> None:
        self._politeness = politeness
        self._name = name

    async def __aenter__(self) -> None:
        """Wait for the slots."""
        self._host, self._started = await self._politeness.enter(self._name)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Return the slots."""
        self._politeness.leave(self._host, error, self._started)


def _refuse_if_down(host: Host, name: str) -> None:
    if host.failures >= DOWN_AFTER:
        raise HostDown(
            f"{clean_text(name, 80)} failed {DOWN_AFTER} times in a row; not asked again in this run"
            f" (the last time: {clean_text(host.last_failure, 160)})"
        )
