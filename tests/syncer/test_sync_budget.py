"""`--max-time` and `--max-bytes`: what counts, what is finished, and what is reported of the rest."""

from __future__ import annotations

from collections import Counter

import pytest

from examples.origin import Answer, Origin
from examples.origin.drawing import draw
from tests.conftest import Command, MakeSite, article
from tests.support.site_files import articles, codes

BODY = draw((900, 700), "jpeg", "noise", "noise")
BROKEN = {
    "undecodable": Answer(body=BODY[: len(BODY) * 2 // 3], media_type="image/jpeg"),
    "truncated": Answer(body=BODY, media_type="image/jpeg", keep=0.7, drip=0.2),
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_byte_budget_counts_failed_downloads(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setenv("IMGCACHE_FETCH__CONCURRENCY", "1")
    urls = [f"https://bad.example/{n}.jpg" for n in range(6)]
    for url in urls:
        origin.answers.set(url, BROKEN[code])
    site = make_site({f"{n}.md": article((url, 900, 700)) for n, url in enumerate(urls)})
    report = run("sync", site, "--json", "--max-bytes", str(len(BODY) // 2)).json()
    assert Counter(codes(report)) == {(code, "error"): 1, ("budget", "error"): 5}
    assert len(BODY) / 2 < report["bytes_fetched"] < len(BODY)
    assert sum(origin.requests[url] for url in urls) == 1


def test_max_time_finishes_running_images_and_reports_the_rest(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCACHE_FETCH__CONCURRENCY", "1")
    origin.answers.set("https://slow.example/*", Answer(size=(30, 20), delay=0.25))
    urls = [f"https://slow.example/{n}.png" for n in range(10, 40)]
    site = make_site({f"2026-01-01-{url[-6:-4]}.md": article((url, 30, 20)) for url in urls})
    ended = run("sync", site, "--json", "--max-time", "1500ms")
    report = ended.json()
    requested = {url for url in urls if origin.requests[url]}
    assert 0 < len(requested) < len(urls)
    assert (ended.code, report["fetched"], report["cached"], report["flags_set"]) == (1, *(len(requested),) * 3)
    assert {problem["url"] for problem in report["problems"]} == set(urls) - requested
    assert set(codes(report)) == {("budget", "error")}
    assert report["seconds"] < 10
    flagged = {name for name, text in articles(site).items() if b"isCached: true" in text}
    assert flagged == {f"2026-01-01-{url[-6:-4]}.md" for url in requested}


def test_a_host_that_does_not_answer_is_reported_by_its_cause_first(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCACHE_FETCH__RETRIES", "1")
    origin.answers.set("https://closed.example/*", Answer(down=True))
    run.use(origin)
    site = make_site({"a.md": article(*((f"https://closed.example/{n}.jpg", 80, 60) for n in range(7)))})
    report = run("sync", site, "--json").json()
    assert Counter(code for code, _ in codes(report)) == {"connect": 5, "host-down": 2}
    found = run("status", site, "--json").json()["failures"]
    assert Counter(one["code"] for one in found) == {"connect": 5, "host-down": 2}
