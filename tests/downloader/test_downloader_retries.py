"""The downloader repeats what may pass, holds no slot while it waits, and gives up a host that is down."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

from imgcache.core import (
    FetchPolicy,
    HostDown,
)
from imgcache.downloader import Downloader, Guard
from tests.support.faults import faults
from tests.support.network import Names, Sleeper, downloader, outcome, sniff

NEVER = "http://127.0.0.1:1/x.png"  # nothing listens on port 1


@pytest.mark.parametrize(
    ("path", "bounds"),
    [("/busy-seconds", [(7.0, 7.5)]), ("/busy-date", [(7.5, 9.5)]), ("/third-time", [(0.25, 0.5), (0.5, 1.0)])],
)
def test_temporary_failures_are_retried_after_a_wait(
    tmp_path: pathlib.Path, path: str, bounds: list[tuple[float, float]]
) -> None:
    async def scene() -> list[float]:
        sleeper = Sleeper()
        async with faults() as origin, downloader(tmp_path, retries=3, sleep=sleeper) as fetching:
            assert await outcome(fetching, origin.url(path)) == "ok"
            assert origin.counts[path] == len(bounds) + 1
        return sleeper.waits[: len(bounds)]

    for wait, (least, most) in zip(asyncio.run(scene()), bounds, strict=True):
        assert least <= wait <= most


def test_no_slot_is_held_while_waiting_for_a_retry(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        policy = FetchPolicy(concurrency=1, per_host=1, retries=1)
        waiting, go_on = asyncio.Event(), asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await go_on.wait()

        async with faults() as origin:
            fetching = Downloader(
                folder=tmp_path, sniff=sniff, policy=policy, guard=Guard(["127.0.0.1/32"]), sleep=sleep
            )
            async with fetching, asyncio.timeout(10):
                first = asyncio.create_task(outcome(fetching, origin.url("/reset")))
                await waiting.wait()
                assert await outcome(fetching, origin.url("/good")) == "ok"
                go_on.set()
                assert await first == "connect"

    asyncio.run(scene())


def test_a_host_that_is_down_gets_no_further_requests(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with downloader(tmp_path) as fetching:
            codes = [await outcome(fetching, f"{NEVER}?{n}") for n in range(7)]
            assert codes == ["connect"] * 5 + ["host-down"] * 2
            assert fetching.statistics.hosts["127.0.0.1"].failures == 5

    asyncio.run(scene())


@pytest.mark.parametrize(("url", "code"), [(NEVER, "connect"), ("http://nowhere.example/x.png", "dns")])
def test_the_requests_that_found_a_host_down_have_their_own_error(tmp_path: pathlib.Path, url: str, code: str) -> None:
    async def scene() -> None:
        sleeper = Sleeper()
        async with downloader(tmp_path, retries=3, names=Names(), sleep=sleeper) as fetching:
            codes = await asyncio.gather(*(outcome(fetching, f"{url}?{n}") for n in range(7)))
            assert set(codes) <= {code, "host-down"}
            assert codes.count(code) >= 5
            with pytest.raises(HostDown, match="failed 5 times in a row"):
                await fetching.fetch(f"{url}?8")

    asyncio.run(scene())
