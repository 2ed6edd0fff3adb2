"""How an audit checks the cache, records failures, and counts exposure."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from examples.origin import Answer, Origin
from examples.origin.answers import content_of, normal
from examples.origin.drawing import draw
from imgcache.cache import Index
from imgcache.core import Failure
from imgcache.policy.health import DAY
from tests.conftest import Command, MakeSite, article, picture
from tests.support.audits import A, Audit, B, by_rule, only


def test_flags_without_copies_copies_without_flags_and_missing_variants(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(800, 600))
    origin.answers.set(B, picture(80, 60))
    site = make_site({"a.md": article((A, 800, 600), (B, 80, 60))})
    run("sync", site)
    assert audit(site, "--offline", "--json").json()["findings"] == []
    text = (site / "a.md").read_text()
    (site / "a.md").write_text(text.replace("    height: 600\n    isCached: true\n", "    height: 600\n"))
    [w640] = (site / "cache/assets").glob("*/*/w640.webp")
    w640.unlink()
    shutil.rmtree(next((site / "cache/assets").glob("*/*/original.png")).parent)
    ended = audit(site, "--offline", "--json")
    found = by_rule(ended)
    assert {rule: (one["url"], one["severity"], one["line"]) for rule, one in found.items()} == {
        "flag-without-copy": (B, "error", 7),
        "copy-without-flag": (A, "warning", 4),
        "variant-missing": (A, "warning", 4),
    }
    assert "w640.webp" in found["variant-missing"]["message"]
    assert "verify --repair" in found["variant-missing"]["remedy"]
    assert found["variant-missing"]["digest"] == w640.parent.name
    assert run("verify", site, "--repair").code == 0
    run("sync", site)
    assert audit(site, "--offline", "--json").json()["findings"] == []


def test_a_copy_of_another_shape_should_not_be_flagged(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300))})
    run("sync", site)
    assert only(audit(site, "--offline", "--json"))["rule"] == "dimensions"


def test_the_remedy_mentions_a_cached_copy(run: Command, audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    origin.answers.set(A, Answer(status=410))
    found = only(audit(site, "--json"))
    assert (found["state"], found["severity"]) == ("gone", "error")
    assert "the cache has a copy" in found["remedy"]


def failure_of(site: Path, url: str) -> Failure | None:
    index = Index(site / "cache/index", repair=False)
    try:
        return index.failure(url)
    finally:
        index.close()


def test_failures_are_recorded_until_the_image_answers_again(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, Answer(status=500))
    origin.answers.set(B, picture(4, 3))
    site = make_site({"a.md": article((A, 40, 30), (B, 4, 3))})
    for count in (1, 2):
        audit(site)
        failure = failure_of(site, A)
        assert failure is not None
        assert (failure.code, failure.status, failure.count) == ("http-status", 500, count)
    origin.answers.set(A, picture(40, 30))
    assert audit(site, "--json").json()["findings"] == []
    assert failure_of(site, A) is None
    origin.answers.set(A, Answer(status=500))
    ended = audit(site, "--json")
    assert (ended.code, only(ended)["state"], only(ended)["severity"]) == (0, "flaky", "warning")


def test_a_failure_that_needs_the_whole_image_is_not_refuted_by_its_header(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    data = draw((400, 300), "png", "broken", "x")
    origin.answers.set(B, Answer(body=data[: len(data) // 2] + bytes(len(data) // 2), media_type="image/png"))
    site = make_site({"a.md": article((B, 400, 300))})
    run("sync", site)
    code = failure_of(site, B)
    assert code is not None
    found = only(audit(site, "--json"))
    assert (found["rule"], found["severity"]) == (code.code, "error")


def test_a_dead_url_is_backed_off_and_still_reported(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(B, picture(4, 3))
    site = make_site({"a.md": article((A, 40, 30), (B, 4, 3))})
    audit(site)
    now = time.time()
    index = Index(site / "cache/index")
    index.put_failure(A, Failure("http-status", "said 404", now - 9 * DAY, now - 60, 9, status=404, rests=3))
    index.close()
    asked = origin.requests[A]
    found = only(audit(site, "--json"))
    assert (found["state"], found["severity"], origin.requests[A]) == ("dead", "error", asked)
    assert "failing since" in found["message"]


def test_first_seen_is_kept_until_the_finding_disappears(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300))})
    index = Index(site / "cache/index")
    index.put_first_seen(dict.fromkeys([("dimensions", A), ("dimensions", B)], 1_600_000_000.0))
    index.close()
    assert only(audit(site, "--json"))["first_seen"] == "2020-09-13T12:26:40Z"
    index = Index(site / "cache/index", repair=False)
    assert [key for key, _ in index.first_seen()] == [("dimensions", A)]
    index.close()


def test_the_history_has_the_last_run_of_each_day(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(B, picture(4, 3))
    site = make_site({"a.md": article((A, 40, 30), (B, 4, 3))})
    [line] = audit(site, "--json").json()["history"]
    assert (line["images"], line["failing"]) == (2, 1)
    origin.answers.set(A, picture(40, 30))
    [line] = audit(site, "--json").json()["history"]
    assert (line["images"], line["failing"]) == (2, 0)


def test_exposure_counts_hotlinked_bytes_and_the_bytes_if_cached(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(1600, 900))
    origin.answers.set(B, picture(80, 60))
    site = make_site({"a.md": article((A, 1600, 900)), "b.md": article((A, 1600, 900), body=f"![]({B})")})
    before = audit(site, "--json").json()["exposure"]
    total = sum(len(origin_bytes(origin, url)) for url in (A, B))
    assert (before["hosts"], before["now"], before["cached"]) == (1, total, total)
    assert [(line["article"], line["cached"]) for line in before["articles"]] == [("b.md", None), ("a.md", None)]
    run("sync", site)
    after = audit(site, "--json").json()["exposure"]
    entry = json.loads((site / "cache/manifest.json").read_text())["images"][B]
    smallest = min([entry["bytes"], *(variant["bytes"] for variant in entry["variants"])])
    assert [line["article"] for line in after["articles"]] == ["b.md"]  # the flagged ones send nobody anywhere
    assert after["now"] == len(origin_bytes(origin, B))
    assert smallest <= after["cached"] <= after["now"]


def origin_bytes(origin: Origin, url: str) -> bytes:
    return content_of(origin.answers[url], normal(url)).body


def test_an_exceeded_reader_budget_is_an_error(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(400, 300))
    limits = "budget: {hosts: 0, bytes_per_article: 1KB}\n"
    site = make_site({"a.md": article((A, 400, 300)), "b.md": "no image\n", "imgcache.yml": limits})
    ended = audit(site, "--json")
    found = by_rule(ended)
    assert (ended.code, sorted(found)) == (1, ["budget-bytes", "budget-hosts"])
    assert {(one["article"], one["url"]) for one in found.values()} == {("a.md", None)}
    assert "pictures.example" in found["budget-hosts"]["message"]
    (site / "imgcache.yml").write_text("budget: {hosts: 1, bytes_per_article: 50KB}\n")
    assert audit(site, "--json").json()["findings"] == []
