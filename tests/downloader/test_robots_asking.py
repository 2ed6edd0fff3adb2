"""When and how often robots.txt is requested, on real sockets."""

from __future__ import annotations

import asyncio
import pathlib
import time

import pytest
from protego import Protego

from imgcache.downloader import Downloader
from imgcache.downloader.http import robots
from tests.support.faults import HANDLERS, Faults, faults, response
from tests.support.network import LIMITS, Sleeper, outcome
from tests.support.robots import FORBID_ALL, Says, error_of, play, saying


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    return saying(monkeypatch)


def test_waiting_requests_share_one_robots_txt_request_which_outlives_the_first(
    tmp_path: pathlib.Path, says: Says
) -> None:
    asked = asyncio.Event()

    async def slow(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        asked.set()
        await asyncio.sleep(0.1)
        writer.write(response(b"User-agent: *\nDisallow: /x\n"))

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(slow)
        tasks = [asyncio.create_task(outcome(fetching, origin.url(f"/good?{n}"))) for n in range(20)]
        await asked.wait()
        tasks[0].cancel()
        assert await asyncio.gather(*tasks[1:]) == ["ok"] * 19
        assert origin.counts == {"/robots.txt": 2, "/good": 19}

    play(tmp_path, scene)


def test_robots_rules_are_checked_for_every_hop(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        async with faults() as other:

            async def forbids(served: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
                writer.write(response(FORBID_ALL) if served is other else response(b"User-agent: *\nDisallow: /html\n"))

            says(forbids)
            assert await outcome(fetching, origin.url(f"/to?{other.url('/good')}")) == "robots"
            assert await outcome(fetching, origin.url("/to?/html")) == "robots"
            assert other.counts == {"/robots.txt": 1}
            assert origin.counts == {"/robots.txt": 1, "/to": 2}

    play(tmp_path, scene)


def test_a_host_that_is_down_has_the_error_of_the_image(tmp_path: pathlib.Path) -> None:
    never = "http://127.0.0.1:1/x.png"

    async def one_by_one(_: Faults, fetching: Downloader) -> None:
        codes = [await outcome(fetching, f"{never}?{n}") for n in range(7)]
        assert codes == ["connect"] * 5 + ["host-down"] * 2
        assert fetching.statistics.hosts["127.0.0.1"].failures == 5

    async def at_once(_: Faults, fetching: Downloader) -> None:
        codes = await asyncio.gather(*(outcome(fetching, f"{never}?{n}") for n in range(12)))
        assert sorted(codes) == ["connect"] * 5 + ["host-down"] * 7
        assert fetching.statistics.hosts["127.0.0.1"].failures == 1  # one connection was tried, for all of them

    play(tmp_path, one_by_one)
    play(tmp_path, at_once)


def test_a_silent_robots_txt_is_a_timeout_that_names_it(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(HANDLERS["/silent"])
        began = time.monotonic()
        errors = await asyncio.gather(*(error_of(fetching, origin.url(f"/good?{n}")) for n in range(10)))
        assert {error.code for error in errors} == {"timeout"}
        assert errors[0].message.endswith("(while requesting robots.txt)")
        assert time.monotonic() - began < 2 * LIMITS.read
        assert origin.counts == {"/robots.txt": 1}

    play(tmp_path, scene)


def test_a_crawl_delay_separates_requests(tmp_path: pathlib.Path, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[float] = []

    async def noted(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        starts.append(time.monotonic())
        writer.write(response())

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"User-agent: *\nCrawl-delay: 0.2\n"))
        monkeypatch.setitem(HANDLERS, "/good", noted)
        starts.append(time.monotonic())
        assert await asyncio.gather(*(outcome(fetching, origin.url(f"/good?{n}")) for n in range(5))) == ["ok"] * 5

    play(tmp_path, scene)
    began, *requests = starts
    assert len(requests) == 5
    # A busy machine can only make a request later: none comes before its time.
    assert [number for number, start in enumerate(requests) if start - began < 0.2 * number - 0.01] == []


def test_a_crawl_delay_is_limited_to_ten_seconds(tmp_path: pathlib.Path, says: Says) -> None:
    sleeper = Sleeper()

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"User-agent: *\nCrawl-delay: 86400\n"))
        for n in range(3):
            assert await outcome(fetching, origin.url(f"/good?{n}")) == "ok"

    play(tmp_path, scene, sleep=sleeper)
    assert 19.0 < sum(sleeper.waits) <= 20.0


def test_robots_txt_is_requested_as_text_with_our_user_agent(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"User-agent: my-site\nDisallow: /good\n\nUser-agent: *\nDisallow: /slow-good\n"))
        assert await outcome(fetching, origin.url("/good")) == "robots"
        assert await outcome(fetching, origin.url("/slow-good")) == "ok"
        assert origin.requests[0].decode("ascii").split("\r\n")[:5] == [
            "GET /robots.txt HTTP/1.1",
            f"Host: 127.0.0.1:{origin.port}",
            "User-Agent: My-Site/2.1 (+https://e.org)",
            "Accept: text/plain,*/*;q=0.5",
            "Accept-Encoding: identity",
        ]

    play(tmp_path, scene, user_agent="My-Site/2.1 (+https://e.org)")


def test_rules_dropped_from_memory_are_parsed_again(
    tmp_path: pathlib.Path, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def parse(text: str) -> Protego:
        parsed.append(text)
        return Protego.parse(text)

    async def by_port(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(f"User-agent: *\nDisallow: /good?{origin.port}\n".encode()))

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(by_port)
        async with faults() as other:
            for here in (origin, other, origin, other):
                assert await outcome(fetching, here.url(f"/good?{here.port}")) == "robots"
                assert await outcome(fetching, here.url(f"/good?{here.port + 1}0")) == "ok"
            assert (origin.counts["/robots.txt"], other.counts["/robots.txt"]) == (1, 1)

    monkeypatch.setattr(robots, "MAX_PARSED", 60)
    monkeypatch.setattr(robots, "Protego", type("Counting", (), {"parse": staticmethod(parse)}))
    play(tmp_path, scene)
    assert len(parsed) == 4  # two at a time do not fit
