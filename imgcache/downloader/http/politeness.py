"""How many requests a host gets at once, and how soon after each other.

A request takes its host's slot first and the global one second, so that one slow host never holds the slots of others.
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

DOWN_AFTER = 5  # failures in a row of the host itself
SPACING = 0.125  # seconds between requests to a host that bears one at once; by its share, where that is less than one
LEAST = 1 / 32  # the share of a host that is refused again and again: a request every 4 s
_STEP = 1 / 8  # from one request at once, spaced, to two: in one go it would be refused again
LONGEST_PAUSE = 60.0  # seconds; a 429 that asks for more ends the retries of its URL, and says nothing of others
BUSY = frozenset({429, 503})


class Host:
    """One host's share: slots, pace and health, for the length of a run.

    `share` is how many requests at once the host is taken to bear. It is kept as TCP keeps its congestion window (RFC
    5681, section 3.1): a refusal halves it, an answer adds a little, one request for a whole round of answers. Below
    two, there is one request at a time, and a spacing between two of them.
    """

    def __init__(self, slots: int, interval: float) -> None:
        """At most `slots` requests at once, `interval` seconds or more between two."""
        self.most = slots
        self.share = float(slots)
        self.interval = interval
        self.in_use = 0
        self.next_start = 0.0  # on the monotonic clock
        self.paused_until = 0.0  # likewise: no request starts before
        self.slowed_at = float("-inf")
        self.failures = 0
        self.last_failure = ""
        self.waiters: collections.deque[asyncio.Future[None]] = collections.deque()

    @property
    def slots(self) -> int:
        """How many requests it gets at once now."""
        return max(1, int(self.share))

    @property
    def spacing(self) -> float:
        """Seconds between the starts of two requests now."""
        if self.share >= min(2, self.most):
            return self.interval
        return max(self.interval, SPACING / self.share if self.share < 1 else SPACING * (2 - self.share))

    @property
    def free(self) -> int:
        """Slots that nobody has; negative while requests from before a refusal are under way."""
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
                self.release()  # the slot was handed over in the moment of cancellation
            else:
                self.waiters.remove(waiter)
            raise

    def release(self) -> None:
        """Give the slot back, and hand those that are free to the next in line."""
        self.in_use -= 1
        while self.free > 0 and self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)

    def slow_down(self, now: float, started: float, pause: float) -> None:
        """Half the share, and no request for `pause` seconds; the refusals of one burst count once."""
        self.paused_until = max(self.paused_until, now + pause)
        if started > self.slowed_at:
            self.slowed_at = now
            self.share = max(LEAST, self.share / 2)

    def speed_up(self, started: float) -> None:
        """A little more, for an answer to a request that was sent since the last refusal."""
        if started > self.slowed_at and self.share < self.most:
            step = 1 / self.share if self.share >= 2 else _STEP if self.share >= 1 else LEAST
            self.share = min(self.most, self.share + step)


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
        raises HostDown where the host failed DOWN_AFTER times in a row to be reached, or to send anything in time.
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
            while share.paused_until > self._clock():  # asked for while this one waited for a slot of all
                self._all.release()
                await self._wait_until(share, share.paused_until)
                await self._all.acquire()
        except BaseException:
            share.release()
            raise
        return share

    def leave(self, share: Host, error: BaseException | None, started: float) -> None:
        """Give the slots back, and note how it went."""
        if error is None:
            share.failures = 0
            share.speed_up(started)
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
        start = max(self._clock(), share.next_start, share.paused_until)
        if spacing := share.spacing:
            share.next_start = start + spacing
        await self._wait_until(share, start)

    async def _wait_until(self, share: Host, start: float) -> None:
        """Wait for that time, and for the end of a pause that the host asks for in the meantime."""
        while (now := self._clock()) < (until := max(start, share.paused_until)):
            await self._sleep(until - now)

    def _note(self, share: Host, error: ImageError, started: float) -> None:
        if counts_against_host(error):
            share.failures += 1
            share.last_failure = error.message
            return
        if isinstance(error, BlockedAddress | NoOpenFiles):  # nobody was asked
            return
        share.failures = 0
        status = error.status or 0
        if isinstance(error, HttpStatus) and status in BUSY:
            share.slow_down(self._clock(), started, _pause(error))
        elif not isinstance(error, FetchTimeout) and status < 500:  # an answer, though not the image
            share.speed_up(started)


def _pause(error: HttpStatus) -> float:
    """How long no request at all may go to the host.

    A Retry-After is obeyed for what it names: of a 429 "how long to wait before making a new request" (RFC 6585,
    section 4), any request; of a 503 "before retrying the request" (RFC 9110, section 15.6.4), this one, which the
    retry sees to.
    """
    asked = error.retry_after or 0.0
    return asked if error.status == 429 and asked <= LONGEST_PAUSE else 0.0


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
        raise HostDown(
            f"{clean_text(host, 80)} failed {DOWN_AFTER} times in a row; not asked again in this run"
            f" (the last time: {clean_text(share.last_failure, 160)})"
        )
