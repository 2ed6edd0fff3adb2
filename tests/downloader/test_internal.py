"""An unexpected exception affects one image, is reported as a bug, and never ends the run."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from examples.origin import Answer, Origin
from imgcache.core import HttpStatus
from tests.conftest import Command, MakeSite, article, picture
from tests.support.audits import A, Audit, B, by_rule
from tests.support.site_files import articles

Broken = Callable[..., Coroutine[Any, Any, Any]]


def breaking(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Makes the method at `where` fail for image A only."""
    module, _, name = where.rpartition(".")
    owner = pytest.importorskip(module.rpartition(".")[0]).__dict__[module.rpartition(".")[2]]
    whole: Broken = getattr(owner, name)

    async def broken(self: object, url: str, *rest: Any) -> Any:
        if url == A:
            raise KeyError("\x1b[31mnobody thought of this")
        return await whole(self, url, *rest)

    monkeypatch.setattr(owner, name, broken)


@pytest.fixture
def site(origin: Origin, make_site: MakeSite) -> Any:
    origin.answers.set(A, picture(400, 300))
    origin.answers.set(B, picture(40, 30))
    return make_site({"a.md": article((A, 400, 300)), "b.md": article((B, 40, 30))})


def test_a_bug_is_a_problem_of_one_image_in_a_sync(run: Command, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(monkeypatch, "imgcache.downloader.fetch.Downloader.fetch")
    ended = run("sync", site, "--json", "-v")
    [problem] = ended.json()["problems"]
    assert (ended.code, problem["code"], problem["url"]) == (1, "internal", A)
    assert "KeyError" in problem["message"]
    assert "please report it in the project's issue tracker" in problem["message"]
    assert problem["message"].isprintable()
    assert ended.json()["cached"] == 1
    assert "Traceback (most recent call last)" in ended.err
    assert "nobody thought of this" in ended.err
    quiet = run("sync", site, "--json")
    assert (quiet.code, "Traceback" in quiet.err) == (1, False)


def test_a_cached_copy_stays_if_a_refresh_hits_a_bug(run: Command, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("sync", site).code == 0
    before = articles(site)
    breaking(monkeypatch, "imgcache.downloader.fetch.Downloader.fetch")
    ended = run("sync", site, "--refresh", "--json")
    [problem] = ended.json()["problems"]
    assert (problem["code"], problem["severity"]) == ("internal", "warning")
    assert articles(site) == before


def test_a_bug_is_a_finding_of_one_image_in_an_audit(audit: Audit, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(monkeypatch, "imgcache.downloader.probe.Prober.probe")
    ended = audit(site, "--json", "-v")
    found = by_rule(ended)
    assert (ended.code, list(found), found["internal"]["url"]) == (1, ["internal"], A)
    assert "Traceback (most recent call last)" in ended.err


@pytest.mark.parametrize(
    "value", ["Mon, 01 Jan 2024 00:00:00 +99999999999999999", "99999999999999999999:00:00 GMT", "9" * 400]
)
@pytest.mark.parametrize("at", ["image", "robots.txt"])
def test_no_retry_after_value_ends_a_run(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite, value: str, at: str
) -> None:
    busy = Answer(status=503, headers={"Retry-After": value})
    origin.answers.set("https://pictures.example/robots.txt" if at == "robots.txt" else A, busy)
    origin.answers.set(A, busy if at == "image" else picture(40, 30))
    other = "https://others.example/b.png"
    origin.answers.set(other, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30), (other, 40, 30))})
    ended = run("sync", site, "--json")
    code = "http-status" if at == "image" else "robots"
    assert [problem["code"] for problem in ended.json()["problems"]] == [code]
    assert ended.json()["cached"] == 1
    assert code in by_rule(audit(site, "--json"))


def test_an_http_status_error_survives_transfer_between_processes() -> None:
    error = HttpStatus("busy", 429, retry_after=7.0, wall="Cloudflare")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (other.message, other.status, other.retryable) == ("busy", 429, True)
        assert (other.retry_after, other.wall) == (7.0, "Cloudflare")
        assert str(other) == "busy"
