"""Limits for each host, on a simulated clock, so that no test waits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.core import BlockedAddress, FetchPolicy, HostDown, HttpStatus, ImageError, NotAnImage
from imgcache.downloader.http.error_mapping import NoConnection
from imgcache.downloader.http.politeness import Host, Politeness


class Clock:
    """Time that passes only by sleeping; concurrent sleepers wake in order."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def polite(clock: Clock, **policy: float) -> Politeness:
    return Politeness(FetchPolicy(**policy), clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]


async def ask(politeness: Politeness, host: str, work: Callable[[], Awaitable[None]]) -> str:
    try:
        async with politeness.turn(host):
            await work()
    except ImageError as error:
        return error.code
    return "ok"


def failing(error: ImageError) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        raise error

    return work


async def fine() -> None:
    await asyncio.sleep(0)


class Load:
    """Counts simultaneous calls."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def __call__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(3):
            await asyncio.sleep(0)
        self.now -= 1


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 6), st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_concurrency_is_limited_and_every_request_runs(per_host: int, at_once: int, hosts: list[str]) -> None:
    async def scene() -> None:
        politeness = polite(Clock(), per_host=per_host, concurrency=at_once)
        everybody, loads = Load(), {host: Load() for host in hosts}

        async def work(host: str) -> None:
            await asyncio.gather(everybody(), loads[host]())

        results = await asyncio.gather(*(ask(politeness, host, lambda host=host: work(host)) for host in hosts))  # type: ignore[misc]
        assert set(results) == {"ok"}
        assert everybody.most <= at_once
        for host, load in loads.items():
            assert load.most <= per_host
            assert at_once < len(loads) * per_host or load.most == min(per_host, hosts.count(host))

    asyncio.run(scene())


def test_a_slow_host_does_not_hold_the_slots_of_others() -> None:
    async def scene() -> None:
        politeness = polite(Clock(), per_host=1, concurrency=2)
        forever = asyncio.Event()

        async def stuck() -> None:
            await forever.wait()

        slow = [asyncio.create_task(ask(politeness, "slow", stuck)) for _ in range(10)]
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(ask(politeness, "fast", fine) for _ in range(10))) == ["ok"] * 10
        forever.set()
        assert await asyncio.gather(*slow) == ["ok"] * 10

    asyncio.run(scene())


def test_the_interval_is_between_starts() -> None:
    async def scene() -> None:
        clock = Clock()
        politeness = polite(clock, per_host=3, interval=2.0)
        starts: list[float] = []

        async def work() -> None:
            starts.append(clock())

        await asyncio.gather(*(ask(politeness, "a", work) for _ in range(5)))
        gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
        assert len(gaps) == 4
        assert min(gaps) >= 2.0

    asyncio.run(scene())


def test_a_host_is_down_after_five_consecutive_connection_failures() -> None:
    async def scene() -> None:
        politeness = polite(Clock())
        results = [await ask(politeness, "a", failing(NoConnection("x"))) for _ in range(6)]
        assert results == ["connect"] * 5 + ["host-down"]
        assert await ask(politeness, "a", fine) == "host-down"
        assert await ask(politeness, "b", fine) == "ok"

    asyncio.run(scene())


def test_queued_requests_fail_when_the_host_is_down() -> None:
    async def scene() -> None:
        politeness = polite(Clock(), per_host=1)
        results = await asyncio.gather(*(ask(politeness, "a", failing(NoConnection("x"))) for _ in range(8)))
        assert results == ["connect"] * 5 + ["host-down"] * 3

    asyncio.run(scene())


@pytest.mark.parametrize("answer", [None, NotAnImage("x"), HttpStatus("x", 404)])
def test_any_answer_resets_the_failure_count(answer: ImageError | None) -> None:
    async def scene() -> None:
        politeness = polite(Clock())
        for _ in range(3):
            for _ in range(4):
                assert await ask(politeness, "a", failing(NoConnection("x"))) == "connect"
            await ask(politeness, "a", failing(answer) if answer else fine)
        assert await ask(politeness, "a", fine) == "ok"

    asyncio.run(scene())


def test_a_blocked_address_does_not_count_as_a_host_failure() -> None:
    async def scene() -> None:
        politeness = polite(Clock())
        for _ in range(4):
            await ask(politeness, "a", failing(NoConnection("x")))
        await ask(politeness, "a", failing(BlockedAddress("x")))
        assert await ask(politeness, "a", failing(NoConnection("x"))) == "connect"
        assert await ask(politeness, "a", fine) == "host-down"

    asyncio.run(scene())


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_host_gets_half_the_slots(status: int) -> None:
    async def scene() -> None:
        clock = Clock()
        politeness = polite(clock, per_host=6)
        together = asyncio.Barrier(6)

        async def refused() -> None:
            await together.wait()
            raise HttpStatus("x", status)

        # a burst of six refusals counts once: three slots remain
        await asyncio.gather(*(ask(politeness, "a", refused) for _ in range(6)))
        load = Load()
        assert set(await asyncio.gather(*(ask(politeness, "a", load) for _ in range(6)))) == {"ok"}
        assert load.most == 3
        untouched, begun = Load(), clock()
        await asyncio.gather(*(ask(politeness, "b", untouched) for _ in range(9)))
        assert untouched.most == 6
        assert clock() == begun

    asyncio.run(scene())


def test_a_429_with_retry_after_pauses_only_its_host() -> None:
    async def scene() -> None:
        clock = Clock()
        politeness = polite(clock)
        await ask(politeness, "a", failing(HttpStatus("x", 429, retry_after=30.0)))
        assert await ask(politeness, "b", fine) == "ok"
        assert clock() == 1000.0
        assert await ask(politeness, "a", fine) == "ok"
        assert clock() >= 1030.0

    asyncio.run(scene())


def test_a_cancelled_queued_request_frees_its_place() -> None:
    async def scene() -> None:
        politeness = polite(Clock(), per_host=1)
        gate = asyncio.Event()

        async def stuck() -> None:
            await gate.wait()

        first = asyncio.create_task(ask(politeness, "a", stuck))
        others = [asyncio.create_task(ask(politeness, "a", fine)) for _ in range(4)]
        await asyncio.sleep(0)
        others[1].cancel()
        gate.set()
        await first
        await asyncio.gather(*others, return_exceptions=True)
        assert others[1].cancelled()
        assert [others[n].result() for n in (0, 2, 3)] == ["ok"] * 3
        async with asyncio.timeout(5):
            assert await ask(politeness, "a", fine) == "ok"

    asyncio.run(scene())


def test_a_slot_assigned_to_a_cancelled_request_goes_to_the_next() -> None:
    async def scene() -> None:
        host = Host(1, 0.0)
        await host.acquire()
        line = [asyncio.create_task(host.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        host.release()
        line[0].cancel()  # in the moment between the hand-over and its arrival
        async with asyncio.timeout(5):
            await line[1]
        assert (line[0].cancelled(), host.free) == (True, 0), "the one slot has an owner, and only one"
        host.release()
        assert host.free == 1

    asyncio.run(scene())


def test_the_message_names_the_host_without_its_control_characters() -> None:
    async def scene() -> None:
        politeness = polite(Clock())
        for _ in range(5):
            await ask(politeness, "a\x1b", failing(NoConnection("x")))
        with pytest.raises(HostDown) as caught:
            async with politeness.turn("a\x1b"):
                pass
        assert caught.value.message.isprintable()

    asyncio.run(scene())
