"""The meaning of responses to a request for robots.txt (RFC 9309, section 2.3.1), on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import pathlib
import time

import pytest

from imgcache.core import Limits, Robots
from imgcache.downloader import Downloader
from imgcache.downloader.http import robots
from tests.support.faults import IMAGE, Faults, faults, response
from tests.support.network import Sleeper, contents, outcome
from tests.support.robots import FORBID_ALL, Says, error_of, play, saying


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    return saying(monkeypatch)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (response(FORBID_ALL, "200 OK"), "robots"),
        (response(FORBID_ALL, "200 OK", "Content-Type: text/html"), "robots"),
        (response(b"\xef\xbb\xbf" + FORBID_ALL.replace(b"\n", b"\r")), "robots"),
        (response(gzip.compress(FORBID_ALL), "200 OK", "Content-Encoding: gzip"), "robots"),
        (response(FORBID_ALL, "203 Non-Authoritative Information"), "robots"),
        (response(b"User-agent: *\nDisallow:\n"), "ok"),
        (response(b""), "ok"),
        *((response(FORBID_ALL, f"{status} No"), "ok") for status in (300, 400, 401, 403, 404, 410, 429)),
        (response(b"", "304 Not Modified"), "ok"),
        *((response(b"", f"{status} No"), "robots") for status in (500, 503, 599)),
        (response(b"<!doctype html>\nUser-agent: *\nDisallow: /\n"), "ok"),
        (response(IMAGE + b"\n" + FORBID_ALL), "ok"),
        (response(FORBID_ALL, "200 OK", "Content-Encoding: br"), "ok"),
        (response(FORBID_ALL, "200 OK", "Content-Encoding: gzip"), "ok"),
        (response(b"", "302 Found"), "ok"),
        (response(b"", "302 Found", "Location: ftp://e.org/robots.txt"), "ok"),
        (response(b"", "302 Found", "Location: http://u:p@e.org/"), "ok"),
        (response(b"", "302 Found", "Location: /robots.txt"), "ok"),  # for ever
        (response(b"", "302 Found", "Location: http://10.0.0.1/robots.txt"), "ok"),
        (response(b"", "302 Found", "Location: http://127.0.0.1:1/robots.txt"), "robots"),
        (response(b"", "302 Found", "Location: /silent"), "robots"),
        (response(FORBID_ALL, length=1000), "timeout"),
        (b"SSH-2.0-OpenSSH_9.9\x1b[31m\r\n", "connect"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "truncated"),
    ],
)
def test_each_response_to_robots_txt_has_its_meaning(
    tmp_path: pathlib.Path, says: Says, answer: bytes, code: str
) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(answer)
        assert await outcome(fetching, origin.url("/good")) == code
        assert origin.counts["/good"] == (code == "ok")

    play(tmp_path, scene, limits=Limits(connect=1.0, read=0.2, total=0.5))
    assert len(contents(tmp_path)) == (code == "ok")


def test_a_server_error_blocks_the_origin_for_this_run(tmp_path: pathlib.Path, says: Says) -> None:
    sleeper = Sleeper()

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"", "503 Service\x9b31m"))
        errors = [await error_of(fetching, origin.url("/good"))]
        waited = len(sleeper.waits)
        errors += [await error_of(fetching, origin.url(f"/good?{n}")) for n in range(2)]
        assert len(sleeper.waits) == waited  # nobody waits for what this run will not change
        assert all(isinstance(error, Robots) and error.retryable for error in errors)
        assert "the server answered 503 Service Unavailable" in errors[0].message
        assert "nothing is fetched from there in this run; try again later" in errors[0].message
        assert origin.counts == {"/robots.txt": 2}

    play(tmp_path, scene, sleep=sleeper, retries=1)


def test_a_temporary_server_error_is_retried(tmp_path: pathlib.Path, says: Says) -> None:
    async def twice_busy(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(b"", "503 Busy") if origin.counts["/robots.txt"] < 3 else response(b"User-agent: *\n"))

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(twice_busy)
        assert await outcome(fetching, origin.url("/good")) == "ok"
        assert origin.counts == {"/robots.txt": 3, "/good": 1}

    play(tmp_path, scene, sleep=Sleeper(), retries=2)


@pytest.mark.parametrize(("hops", "code"), [(5, "robots"), (6, "ok")])
def test_five_redirects_are_followed(tmp_path: pathlib.Path, says: Says, hops: int, code: str) -> None:
    async def stairs(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        step = int(head.split(b" ")[1].partition(b"?")[2] or b"0")
        moved = response(b"", "301 Moved", f"Location: /robots.txt?{step + 1}")
        writer.write(response(FORBID_ALL) if step == hops else moved)

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(stairs)
        assert await outcome(fetching, origin.url("/good")) == code
        assert origin.counts["/robots.txt"] == 6

    play(tmp_path, scene)


def test_the_rules_of_a_redirected_robots_txt_apply_to_the_original_host(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        async with faults() as other:

            async def moved(served: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
                there = response(b"", "301 Moved", f"Location: {other.url('/robots.txt')}")
                writer.write(response(FORBID_ALL) if served is other else there)

            says(moved)
            assert await outcome(fetching, origin.url("/good")) == "robots"
            assert (dict(origin.counts), dict(other.counts)) == ({"/robots.txt": 1}, {"/robots.txt": 1})

    play(tmp_path, scene)


def test_robots_txt_is_not_requested_from_a_private_address(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        assert await outcome(fetching, origin.url("/good")) == "blocked-address"
        assert origin.connections == 0

    play(tmp_path, scene, allow="192.0.2.0/24")


@pytest.mark.parametrize("filler", [b"#" * 79 + b"\n", b"Allow: /" + b"x" * 71 + b"\n"])
def test_robots_txt_is_read_up_to_500_kib_at_a_line_end(tmp_path: pathlib.Path, says: Says, filler: bytes) -> None:
    head = b"User-agent: *\nDisallow: /first\n"
    body = head + filler * ((robots.MAX_BYTES - len(head) - 10) // len(filler))
    body += b"#" * (robots.MAX_BYTES - len(body) - 13) + b"\nDisallow: /good-not-all\n"  # cut: "Disallow: /g"

    async def endless(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(body, length=10**9))
        while True:
            writer.write(filler * 100)
            await writer.drain()

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(endless)
        assert await outcome(fetching, origin.url("/good")) == "ok"
        assert await outcome(fetching, origin.url("/first")) == "robots"
        assert fetching.statistics.bytes < robots.MAX_BYTES + 2_000_000

    play(tmp_path, scene, limits=Limits(total=20.0))


@pytest.mark.parametrize(
    "body",
    [
        b"".join(b"User-agent: x%d\n" % n for n in range(12_000))
        + b"".join(b"Allow:/%d$\n" % n for n in range(25_000)),
        b"User-agent: *\nDisallow: /" + b"a*" * 200_000 + b"b$\n",
        b"User-agent: *\n" + b"".join(b"Disallow: /*a*%d*a$\n" % n for n in range(24_000)),
        b"\n" * 500_000,
        b"user " * 100_000,
        b"User-agent: *\nCrawl-delay: " + b"9" * 400_000,
    ],
)
def test_no_large_robots_txt_takes_long_to_parse(tmp_path: pathlib.Path, says: Says, body: bytes) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(body[: robots.MAX_BYTES]))
        began = time.process_time()  # of this process alone, however busy the machine is
        with contextlib.suppress(Robots):
            await fetching.fetch(origin.url("/good?" + "a" * 6000))
        assert time.process_time() - began < 8

    play(tmp_path, scene, limits=Limits())
