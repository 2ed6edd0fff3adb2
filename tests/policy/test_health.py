"""The memory of failures: pure laws with the clock passed in, and `sync`, `status` and `show` with a clock of ours."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.origin import Answer, Origin
from imgcache.core import Failure, Problem, UrlState
from imgcache.downloader.http import bot_walls as walls
from imgcache.policy import Health, health
from imgcache.policy.health import DAY
from tests.conftest import Command, MakeSite, article, picture

NOT_FOUND = Problem("http-status", "u", "the server answered 404", status=404)
GONE = Problem("http-status", "u", "the server answered 410", status=410)
LATE = Problem("timeout", "u", "no byte came", retryable=True)
A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.jpg"
YML = "variants: [{name: w8, width: 8, format: webp, effort: 0}]\n"


class Clock:
    """Seconds since the epoch, set by a test."""

    def __init__(self) -> None:
        self.time = time.time()

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every command."""
    clock = Clock()
    for command in ("sync", "status", "show"):
        monkeypatch.setattr(f"imgcache.cli.{command}.now", clock)
    return clock


def row(*times: float, problem: Problem = NOT_FOUND, wall: str | None = None) -> Failure:
    """What is remembered after failures at these times."""
    failure = None
    for now in times:
        failure = health.failed(failure, problem, now, wall=wall)
    assert failure is not None
    return failure


# -- pure --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "past", "now", "state"),
    [
        (None, None, 0.0, UrlState.OK),
        (row(0.0), None, 0.0, UrlState.SUSPECT),
        (row(0, 1, 2, 3, 4, 5), None, 6.0, UrlState.SUSPECT),  # often, but not for long
        (row(0, 1, 2, 7 * DAY), None, 7 * DAY, UrlState.SUSPECT),  # for long, but not often
        (row(0, 1, 2, 3, 7 * DAY - 1), None, 7 * DAY, UrlState.SUSPECT),
        (row(0, 1, 2, 3, 7 * DAY), None, 7 * DAY, UrlState.DEAD),
        (row(0, 1, 2, 3, 7 * DAY, problem=LATE), None, 7 * DAY, UrlState.DEAD),
        (row(0, 1, 2, 3, 9 * DAY, problem=Problem("disk-full", "u", "x")), None, 9 * DAY, UrlState.SUSPECT),
        (row(0, problem=GONE), None, 1.0, UrlState.GONE),
        (row(0, 1, 2, 3, 9 * DAY, wall="Cloudflare"), None, 9 * DAY, UrlState.BLOCKED),
        (None, Health(0.0, 1.0, 1, 2.0), 29 * DAY, UrlState.FLAKY),
        (None, Health(0.0, 1.0, 1, 2.0), 31 * DAY, UrlState.OK),
    ],
)
def test_the_state_follows_from_the_failures(
    failure: Failure | None, past: Health | None, now: float, state: UrlState
) -> None:
    assert health.url_state(failure, past, now) is state


def test_a_url_that_failed_and_answered_within_thirty_days_is_flaky() -> None:
    past = health.recovered(row(0.0, DAY), None, 2 * DAY)
    assert past == Health(0.0, DAY, 2, 2 * DAY)
    again = health.failed(None, NOT_FOUND, 5 * DAY, last_good=2 * DAY)
    assert health.url_state(again, past, 5 * DAY) is UrlState.FLAKY
    assert health.url_state(again, None, 5 * DAY) is UrlState.SUSPECT
    assert health.url_state(again, past, 33 * DAY) is UrlState.SUSPECT  # it has not answered for too long
    assert health.recovered(again, past, 6 * DAY) == Health(0.0, 5 * DAY, 3, 6 * DAY)
    late = health.failed(None, NOT_FOUND, 50 * DAY, last_good=49 * DAY)
    assert health.url_state(late, past, 50 * DAY) is UrlState.SUSPECT  # the failures before are too long ago to count
    assert health.recovered(late, past, 51 * DAY) == Health(50 * DAY, 50 * DAY, 1, 51 * DAY)


@pytest.mark.parametrize("code", ["blocked-address", "robots", "disk-full"])
def test_a_failure_whose_cause_is_not_the_url_leaves_no_trace(code: str) -> None:
    failure = health.failed(None, msgspec.structs.replace(NOT_FOUND, code=code, status=msgspec.UNSET), DAY)
    assert health.recovered(failure, None, 2 * DAY) is None
    before = Health(0.0, 0.0, 1, 0.5 * DAY)
    assert health.recovered(failure, before, 2 * DAY) == before


def asked_on(problem: Problem, days: int) -> list[int]:
    """The days on which a URL that always fails is asked, with one sync a day."""
    failure, asked = None, []
    for today in range(days):
        if failure is None or not health.is_backed_off(failure, today * DAY):
            failure = health.failed(failure, problem, today * DAY)
            asked.append(today)
    return asked


def test_a_dead_url_is_requested_less_and_less_often() -> None:
    assert asked_on(NOT_FOUND, 130) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 22, 38, 68, 98, 128]
    assert asked_on(GONE, 100) == [0, 1, 3, 7, 15, 31, 61, 91]
    assert asked_on(Problem("bad-url", "u", "x"), 20) == list(range(20))


times = st.floats(-1e10, 1e10)


@given(st.lists(st.tuples(times, st.sampled_from([NOT_FOUND, GONE, LATE])), min_size=1, max_size=12), times)
def test_no_clock_delays_a_url_for_more_than_thirty_days(events: list[tuple[float, Problem]], now: float) -> None:
    failure = None
    for at, problem in events:
        failure = health.failed(failure, problem, at)
    assert failure is not None
    assert failure.first_at <= failure.last_at
    if health.is_backed_off(failure, now):
        assert failure.last_at <= now
        assert not health.is_backed_off(failure, now + 30 * DAY)
    assert not health.is_backed_off(failure, failure.last_at - 1e-3 * abs(failure.last_at) - 1)


def test_older_records_can_be_read() -> None:
    old = b'{"code":"dns","message":"m","first_at":1.0,"last_at":2.0,"count":3,"status":null,"retryable":true}'
    failure = msgspec.json.decode(old, type=Failure)
    assert (failure.rests, health.next_attempt(failure), health.url_state(failure, None, 3.0)) == (
        0,
        None,
        UrlState.SUSPECT,
    )


@pytest.mark.parametrize(
    ("headers", "page", "maker"),
    [
        ({"cf-mitigated": "challenge"}, b"", "Cloudflare"),
        ({"server": "cloudflare"}, b"<script src='/cdn-cgi/challenge-platform/h/b/x.js'>", "Cloudflare"),
        ({"server": "cloudflare"}, b"403 Forbidden", None),  # the server itself, behind a plain Cloudflare
        ({"x-datadome": "protected"}, b"", "DataDome"),
        ({"x-amzn-waf-action": "captcha"}, b"", "AWS WAF"),
        ({"server": "AkamaiGHost"}, b"", "Akamai"),
        ({"server": "nginx"}, b"<a href='https://geo.CAPTCHA-delivery.com/x'>", "DataDome"),
        ({"server": "nginx"}, b"403", None),
    ],
)
def test_bot_walls_are_recognized(headers: dict[str, str], page: bytes, maker: str | None) -> None:
    assert walls.find_bot_wall(httpx.Headers(headers), page) == maker


# -- through the commands ----------------------------------------------------------------------------------------------


def failing(run: Command, site: Path, url: str) -> dict[str, object]:
    [found] = [one for one in run("status", site, "--json").json()["failures"] if one["url"] == url]
    assert isinstance(found, dict)
    return found


def test_a_dead_url_is_listed_and_requested_only_on_demand(
    run: Command, origin: Origin, make_site: MakeSite, clock: Clock
) -> None:
    site = make_site({"a.md": article((A, 40, 30)), "imgcache.yml": YML})
    began = clock.time
    for day in (0, 1, 2, 3):
        clock.time = began + day * DAY
        run("sync", site)
    assert failing(run, site, A)["state"] == "suspect"
    clock.time = began + 7 * DAY
    run("sync", site)
    assert origin.requests[A] == 5
    clock.time += 0.5 * DAY
    for words in ([], ["--dry-run"]):
        ended = run("sync", site, "--json", *words)
        [problem] = ended.json()["problems"]
        assert (ended.code, ended.json()["failed"], problem["status"], problem["severity"]) == (1, 1, 404, "error")
        assert "dead: failed 5 times since" in problem["message"]
        assert health.format_day(began + 8 * DAY) in problem["message"]
        assert problem["references"][0]["line"] == 4
    assert origin.requests[A] == 5
    known = failing(run, site, A)
    assert (known["state"], known["first_failure"], known["failures"]) == ("dead", began, 5)
    assert (known["last_good"], known["next_ask"], known["is_held"]) == (None, began + 8 * DAY, False)
    assert "1 dead" in run("status", site).out
    shown = run("show", A, site)
    assert "dead, never good" in shown.out
    assert "tried again from" in shown.out
    run("sync", site, "--only-failed")
    run("sync", site, "--refresh")
    assert origin.requests[A] == 7
    clock.time = began + 12 * DAY
    run("sync", site)
    assert origin.requests[A] == 8
    clock.time = began + 3 * DAY  # set back: nothing stays silent
    run("sync", site)
    assert origin.requests[A] == 9


def test_a_cached_dead_url_is_a_warning_and_gets_new_variants(
    run: Command, origin: Origin, make_site: MakeSite, clock: Clock
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30)), "imgcache.yml": YML + "fetch: {refresh_after: 1d}\n"})
    began = clock.time
    run("sync", site)
    flagged = (site / "a.md").read_bytes()
    origin.answers.set(A, Answer(status=410))
    clock.time = began + 2 * DAY
    run("sync", site)
    asked = origin.requests[A]
    (site / "imgcache.yml").write_text(YML.replace("w8", "w4") + "fetch: {refresh_after: 1d}\n")
    ended = run("sync", site, "--json")
    [problem] = ended.json()["problems"]
    assert (ended.code, problem["severity"], origin.requests[A]) == (0, "warning", asked)
    assert "gone" in problem["message"]
    assert "the cached copy stays" in problem["message"]
    assert (site / "a.md").read_bytes() == flagged
    assert list(site.rglob("w4.webp"))
    known = failing(run, site, A)
    assert (known["state"], known["is_held"], known["last_good"]) == ("gone", True, began)
    assert run("show", A, site, "--json").json()["last_good"] == began
    clock.time += 2 * DAY
    origin.answers.set(A, picture(40, 30))
    assert run("sync", site, "--json").json()["problems"] == []
    shown = run("show", A, site, "--json").json()
    assert (shown["state"], shown["first_failure"], shown["last_good"]) == ("flaky", began + 2 * DAY, clock.time)
    assert run("status", site, "--json").json()["states"]["flaky"] == 1
    clock.time += 31 * DAY
    assert run("status", site, "--json").json()["states"] == dict.fromkeys(UrlState, 0) | {"ok": 1}


def test_a_bot_wall_is_distinguished_from_a_refusal(
    run: Command, origin: Origin, make_site: MakeSite, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "https://slow.example/c.jpg"
    page = b"<html><script src=/cdn-cgi/challenge-platform/x></script>" + b" " * 9000
    origin.answers.set(A, Answer(status=403, body=page, media_type="text/html"))
    origin.answers.set(B, Answer(status=403))
    # The page takes longer than an image may.
    origin.answers.set(slow, Answer(status=429, body=b"wait" * 100, media_type="text/html", drip=8))
    site = make_site({"a.md": article((A, 1, 2), (B, 1, 2)), "imgcache.yml": "limits: {total: 5s}\n"})
    problems = run("sync", site, "--json").json()["problems"]
    assert [problem["status"] for problem in problems] == [403, 403]
    assert "bot wall (Cloudflare)" in problems[0]["message"]
    assert [failing(run, site, url)["state"] for url in (A, B)] == ["blocked", "suspect"]
    assert walls.BODY_TIMEOUT == 2
    monkeypatch.setattr(walls, "BODY_TIMEOUT", 0.2)
    make_site({"b.md": article((slow, 1, 2))})
    problems = run("sync", site, "--json").json()["problems"]
    assert [problem["status"] for problem in problems] == [403, 403, 429]
    assert failing(run, site, slow)["state"] == "suspect"
    assert origin.requests[A] == 2  # asked at every sync: it may let us through
