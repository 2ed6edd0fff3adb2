"""Busy hosts: half the requests after a refusal, a few more with each answer, never above the limit."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.core import FetchPolicy, FetchTimeout, HttpStatus, ImageError, NotAnImage
from imgcache.downloader.http.error_mapping import Stalled
from imgcache.downloader.http.politeness import DOWN_AFTER, MIN_WINDOW, Host, Politeness
from tests.downloader.test_politeness import Clock, ask, failing, fine, polite
from tests.support.faults import IMAGE
from tests.support.network import Sleeper, downloader, outcome

PER_HOST = 6


def _answers_until_full(host: Host, now: float) -> int:
    for count in itertools.count():
        if host.window >= host.most:
            return count
        host.speed_up(now + 1)
    raise AssertionError


def test_a_refusal_halves_the_slots_and_two_dozen_answers_restore_them() -> None:
    host = Host(PER_HOST, 0.0)
    host.slow_down(10.0, 9.0, 0.0)
    assert (host.slots, host.spacing) == (3, 0.0)
    assert _answers_until_full(host, 10.0) <= 24
    assert (host.slots, host.spacing) == (PER_HOST, 0.0)


def test_a_host_that_refuses_everything_gets_a_request_every_four_seconds_and_recovers() -> None:
    host, spacings = Host(PER_HOST, 0.0), []
    for number in range(12):
        host.slow_down(number + 1.0, number + 0.5, 0.0)
        spacings.append(host.spacing)
        assert host.slots == max(1, PER_HOST >> (number + 1))
    assert spacings == sorted(spacings)
    assert (spacings[0], spacings[-1]) == (0.0, 4.0)
    assert _answers_until_full(host, 20.0) <= 1 / MIN_WINDOW + PER_HOST**2


def test_an_answer_to_an_earlier_request_restores_no_slot() -> None:
    host = Host(PER_HOST, 0.0)
    host.slow_down(10.0, 9.0, 0.0)
    for _ in range(50):
        host.speed_up(9.5)
    assert host.slots == 3


@given(st.integers(1, 8), st.floats(0, 3), st.lists(st.booleans(), max_size=200))
def test_no_answers_raise_a_host_above_its_limit(per_host: int, interval: float, answers: list[bool]) -> None:
    host = Host(per_host, interval)
    for now, is_refusal in enumerate(answers, 1):
        host.slow_down(now, now - 0.5, 0.0) if is_refusal else host.speed_up(now - 0.5)
        assert MIN_WINDOW <= host.window <= per_host
        assert 1 <= host.slots <= per_host
        assert interval <= host.spacing <= max(interval, 4.0)


def _busy_now_and_then(every: int) -> tuple[int, int]:
    """Sends 200 requests, one in `every` refused once; returns the maximum of simultaneous ones, and the rounds."""

    async def scene() -> tuple[int, int]:
        politeness, left, now = polite(Clock(), per_host=PER_HOST), list(range(200)), [0]
        at_work = most = 0

        async def work() -> None:
            nonlocal at_work, most
            number = left.pop() if left else -1
            at_work += 1
            most = max(most, at_work)
            for _ in range(8):
                now[0] += 1
                await asyncio.sleep(0)
            at_work -= 1
            if number > 0 and number % every == 0:
                left.append(-number)
                raise HttpStatus("busy", 503)

        rounds = 0
        while left:
            rounds += 1
            before = now[0]
            await asyncio.gather(*(ask(politeness, "a", work) for _ in range(PER_HOST)))
            assert now[0] > before
        return most, rounds

    return asyncio.run(scene())


def test_one_refusal_in_fifty_costs_few_more_rounds() -> None:
    most, rounds = _busy_now_and_then(50)
    assert most <= PER_HOST
    assert rounds <= 1.5 * _busy_now_and_then(1000)[1]


@pytest.mark.parametrize("error", [NotAnImage("x"), HttpStatus("x", 404), HttpStatus("x", 410)])
def test_an_answer_without_an_image_restores_slots(error: ImageError) -> None:
    assert _slots_after_thirty(error) == PER_HOST


@pytest.mark.parametrize("error", [HttpStatus("x", 500), HttpStatus("x", 502), FetchTimeout("x"), Stalled("x")])
def test_a_server_failure_restores_no_slots(error: ImageError) -> None:
    assert _slots_after_thirty(error) == 3


def _slots_after_thirty(error: ImageError) -> int:
    async def scene() -> int:
        clock = Clock()
        politeness = polite(clock, per_host=PER_HOST)
        await ask(politeness, "a", failing(HttpStatus("busy", 503)))
        for number in range(30):
            clock.now += 1
            if number % 3 == 0 and isinstance(error, Stalled):
                politeness.host("a").failures = 0
            await ask(politeness, "a", failing(error))
        return politeness.host("a").slots

    return asyncio.run(scene())


def test_the_pause_of_a_429_applies_to_queued_requests() -> None:
    """Also for requests that have a slot of the host and wait for a global one."""

    async def scene() -> list[float]:
        clock = Clock()
        politeness = Politeness(FetchPolicy(per_host=4, concurrency=2), clock=clock, sleep=clock.sleep)
        begun: list[float] = []
        gate = asyncio.Event()

        async def refused() -> None:
            await gate.wait()
            raise HttpStatus("busy", 429, retry_after=30.0)

        async def elsewhere() -> None:
            await gate.wait()
            await asyncio.sleep(0)

        async def later() -> None:
            begun.append(clock())

        first = [
            asyncio.create_task(ask(politeness, "a", refused)),
            asyncio.create_task(ask(politeness, "b", elsewhere)),
        ]
        await asyncio.sleep(0)
        others = [asyncio.create_task(ask(politeness, "a", later)) for _ in range(6)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*first, *others)
        return begun

    begun = asyncio.run(scene())
    assert len(begun) == 6
    assert min(begun) >= 1030.0


@pytest.mark.parametrize(("status", "pauses"), [(429, True), (503, False)])
def test_retry_after_applies_to_the_url_for_503_and_to_the_host_for_429(
    tmp_path: Path, status: int, pauses: bool
) -> None:
    """A 503 applies to the refused URL, a 429 to the host."""

    async def waits(retries: int, *paths: str) -> list[float]:
        sleeper = Sleeper()
        refused: list[httpx.Request] = []

        async def respond(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/busy" and not refused:
                refused.append(request)
                return httpx.Response(status, headers={"Retry-After": "20"})
            return httpx.Response(200, content=IMAGE)

        transport = httpx.MockTransport(respond)
        async with downloader(tmp_path, transport=transport, sleep=sleeper, retries=retries) as fetching:
            for path in paths:
                await outcome(fetching, f"https://e.org{path}")
        return sleeper.waits

    [retry] = asyncio.run(waits(1, "/busy"))
    assert 20.0 <= retry <= 20.5
    others = asyncio.run(waits(0, "/busy", "/other"))
    assert [round(wait) for wait in others] == ([20] if pauses else [])


def test_a_host_that_sends_nothing_is_down_after_a_few_timeouts() -> None:
    async def scene() -> None:
        politeness = polite(Clock())
        codes = [await ask(politeness, "a", failing(Stalled("no byte came"))) for _ in range(DOWN_AFTER + 2)]
        assert codes == ["timeout"] * DOWN_AFTER + ["host-down"] * 2
        for _ in range(3 * DOWN_AFTER):
            await ask(politeness, "b", failing(Stalled("no byte came")))
            if _ % 3 == 0:
                await ask(politeness, "b", fine)
        assert await ask(politeness, "b", fine) == "ok"

    asyncio.run(scene())
