"""Slow hosts: they are named with the reason, and a host that sends nothing is not waited for again."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from examples.origin import Answer, Origin
from imgcache.cli.progress import NoProgress, RateEstimator
from imgcache.cli.sync_summary import slow_lines
from imgcache.core import Delay, FetchTimeout, Limits, Outcome
from imgcache.downloader.http.error_mapping import Stalled
from imgcache.downloader.http.politeness import DOWN_AFTER
from imgcache.syncer import SlowHost
from tests.conftest import Command, MakeSite, article, picture
from tests.support.audits import Audit
from tests.support.faults import HANDLERS, IMAGE, Faults, Handler, faults
from tests.support.network import downloader, outcome

CONFIG = "variants: [{name: w4, width: 4, format: webp, effort: 0}]\n"


def test_a_busy_host_is_named_with_the_reason(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCACHE_FETCH__RETRIES", "1")
    urls = [f"https://pictures.example/{number}.png" for number in range(8)]
    for number, url in enumerate(urls):
        origin.answers.set(url, picture(40, 30, fails=number % 4 == 0))
    site = make_site({"a.md": article(*((url, 40, 30) for url in urls)), "imgcache.yml": CONFIG})
    report = run("sync", site, "--json").json()
    [(host, slow)] = report["slow_hosts"].items()
    assert (report["cached"], host, slow["busy"], slow["timeouts"]) == (8, "pictures.example", 2, 0)
    assert 0.5 <= slow["waited"] <= 1.0
    assert run("sync", site, "--json").json()["slow_hosts"] == {}
    origin.answers.set(urls[0], picture(40, 30, fails=99))
    said = run("sync", site, "--refresh").out
    assert "slow  pictures.example: busy (429 or 503) 2 times; its images waited 0." in said


def test_an_audit_names_slow_hosts_while_it_runs(
    audit: Audit, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCACHE_FETCH__RETRIES", "1")
    monkeypatch.setattr("imgcache.cli.audit.progress_for", lambda **_: Recorded())
    seen: list[Delay] = []

    class Recorded(NoProgress):
        def ended(self, host: str, outcome: Outcome) -> None:
            seen.extend([outcome.delay] if outcome.delay else [])

    origin.answers.set("https://pictures.example/a.png", picture(40, 30, fails=1))
    site = make_site({"a.md": article(("https://pictures.example/a.png", 40, 30))})
    assert audit(site).code == 0
    [delay] = seen
    assert (delay.busy, delay.timeouts) == (1, 0)
    assert 0.25 <= delay.waited <= 0.5


def test_the_slowest_hosts_are_listed_first_and_the_others_counted() -> None:
    hosts = {f"{name}.example": SlowHost(busy=1, waited=waited) for name, waited in zip("abcde", range(5), strict=True)}
    hosts["f\x1b.example"] = SlowHost(timeouts=2, waited=90.0)
    assert list(slow_lines(hosts)) == [
        "f\ufffd.example: timed out 2 times; its images waited 1 min 30 s in all",
        "e.example: busy (429 or 503) once; its images waited 4.0 s in all",
        "d.example: busy (429 or 503) once; its images waited 3.0 s in all",
        "and 3 more hosts",
    ]


def test_the_progress_bar_says_why_the_slowest_host_is_slow() -> None:
    pace = RateEstimator(9, 0.0)
    for _ in range(2):
        pace.started("busy.example", 0.0)
        pace.ended("busy.example", 10, 2.0, Delay(busy=2, timeouts=1, waited=1.0))
    assert pace.describe(2.0).endswith("slowest busy.example (busy 4 times, timed out 2 times)")


def test_a_silent_host_does_not_delay_each_image(run: Command, origin: Origin, make_site: MakeSite) -> None:
    silent = [f"https://silent.example/{number}.png" for number in range(30)]
    good = [f"https://good.example/{number}.png" for number in range(4)]
    for url in good:
        origin.answers.set(url, picture(40, 30))
    for url in silent:
        origin.answers.set(url, Answer(delay=60.0))
    images = article(*((url, 40, 30) for url in [*silent, *good]))
    site = make_site({"a.md": images, "imgcache.yml": CONFIG + "limits: {read: 1s}\n"})
    report = run("sync", site, "--json").json()
    codes = Counter(problem["code"] for problem in report["problems"])
    assert report["cached"] == len(good)
    assert codes["timeout"] + codes["host-down"] == len(silent)
    assert DOWN_AFTER <= codes["timeout"] <= DOWN_AFTER + 6, "those under way at once"
    told = next(problem["message"] for problem in report["problems"] if problem["code"] == "host-down")
    assert "silent.example failed 5 times in a row" in told
    assert "no byte came within the limit" in told
    assert report["slow_hosts"]["silent.example"]["timeouts"] == codes["timeout"]


def _sending(piece: bytes, seconds: float) -> Handler:
    async def send(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + IMAGE[:1100])
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(seconds)

    return send


@pytest.mark.parametrize(("piece", "is_broken"), [(b"x", True), (b"x" * 2000, False)])
def test_a_host_below_1_kb_per_second_is_down_and_a_slow_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: bytes, is_broken: bool
) -> None:
    monkeypatch.setitem(HANDLERS, "/sending", _sending(piece, 0.1))
    limits = Limits(bytes=10_000_000, connect=5.0, read=5.0, total=1.5)

    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path, limits=limits) as fetching:
            urls = [origin.url(f"/sending?{number}") for number in range(6)]
            errors = await asyncio.gather(*(fetching.fetch(url) for url in urls), return_exceptions=True)
            assert {type(error) for error in errors} == {Stalled if is_broken else FetchTimeout}
            assert await outcome(fetching, origin.url("/good")) == ("host-down" if is_broken else "ok")

    asyncio.run(scene())
