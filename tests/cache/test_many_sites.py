"""Several sites with one cache: each image is fetched once and flagged in all, and no site removes another's images."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from examples.origin import Answer, Origin
from tests.conftest import Command, article, picture
from tests.support.aftermath import tree
from tests.support.two_sites import BOTH, ONLY_A, ONLY_B, PNG, TwoSites, counts


@pytest.fixture
def world(tmp_path: Path, run: Command, origin: Origin) -> TwoSites:
    return TwoSites(tmp_path.resolve(), run, origin)


def test_each_image_is_fetched_once_and_flagged_in_both(world: TwoSites) -> None:
    report = world.sync(world.a, world.b)
    assert counts(report, "articles", "references", "images", "cached") == [2, 4, 3, 3]
    assert counts(report, "fetched", "reused", "failed", "flags_set") == [3, 0, 0, 4]
    assert [world.origin.requests[url] for url in (BOTH, ONLY_A, ONLY_B)] == [1, 1, 1]
    assert (world.flags("a/posts/one.md"), world.flags("b/posts/one.md")) == (2, 2)
    assert world.images == {BOTH, ONLY_A, ONLY_B}


def test_the_report_of_two_sites_has_the_keys_of_one(world: TwoSites) -> None:
    two = world.sync(world.a, world.b)
    assert list(two) == list(world.sync(world.a))


@pytest.mark.parametrize("turned", [False, True])
def test_a_second_run_does_nothing_whatever_the_order(world: TwoSites, turned: bool) -> None:
    world.sync(world.a, world.b)
    before, asked = world.files, dict(world.origin.requests)
    report = world.sync(*([world.b, world.a] if turned else [world.a, world.b]))
    assert counts(report, "images", "cached", "reused", "fetched", "flags_set", "flags_cleared") == [3, 3, 3, 0, 0, 0]
    assert dict(world.origin.requests) == asked
    assert world.files == before


@pytest.mark.parametrize("turned", [False, True])
def test_an_article_that_did_not_change_is_not_read_again_whatever_the_order(world: TwoSites, turned: bool) -> None:
    one = world.b / "posts/one.md"
    world.sync(world.a, world.b)
    os.utime(one, (1, 1))
    world.sync(world.a, world.b)
    one.write_text(one.read_text().replace("b.png", "x.png"))
    os.utime(one, (1, 1))
    assert world.sync(*([world.b, world.a] if turned else [world.a, world.b]))["cached"] == 3
    assert not world.origin.requests[ONLY_B.replace("b.png", "x.png")]


def test_a_larger_set_of_sites_takes_over_the_first_catalogue(world: TwoSites) -> None:
    index = world.cache / "index"
    world.sync(world.b)
    world.sync(world.b, world.a)
    assert not (index / "sites").exists()
    with closing(sqlite3.connect(index / "catalogue.db")) as gallery:
        paths = {path for (path,) in gallery.execute("SELECT path FROM article")}
    assert paths == {f"{world.a}/posts/one.md", f"{world.b}/posts/one.md"}


def test_problems_name_articles_as_they_can_be_opened(world: TwoSites, monkeypatch: pytest.MonkeyPatch) -> None:
    world.origin.answers.set(BOTH, Answer(status=404))
    monkeypatch.chdir(world.a)
    ended = world("sync", ".", "../b", "--json")
    (problem,) = ended.json()["problems"]
    assert (ended.code, problem["code"]) == (1, "http-status")
    assert [place["article"] for place in problem["references"]] == ["posts/one.md", "../b/posts/one.md"]
    assert world.origin.requests[BOTH] == 1
    assert "../b/posts/one.md:4:10" in world("sync", ".", "../b").out


def test_an_article_that_cannot_be_read_stops_neither_site(world: TwoSites) -> None:
    world.write("a/broken.md", "---\nimages: [\n---\n")
    report = world.sync(world.a, world.b, code=1)
    assert [(p["code"], p["references"][0]["article"]) for p in report["problems"]] == [
        ("article-unreadable", f"{world.a}/broken.md")
    ]
    assert report["flags_set"] == 4


def test_one_site_alone_finds_what_both_have_and_leaves_the_other_as_it_is(world: TwoSites) -> None:
    world.sync(world.a, world.b)
    before = world.files
    for site in (world.a, world.b):
        report = world.sync(site)
        assert counts(report, "articles", "images", "cached", "reused", "fetched") == [1, 2, 2, 2, 0]
        assert world("verify", site).out == "0 found\n"
        assert "2 cached, 0 missing, 0 failing" in world("status", site).out
    assert world.files == before
    assert world.sync(world.a, world.b)["reused"] == 3


def test_sites_synced_separately_share_images_too(world: TwoSites) -> None:
    assert world.sync(world.a)["fetched"] == 2
    assert counts(world.sync(world.b), "fetched", "reused", "flags_set") == [1, 1, 2]
    assert world.images == {BOTH, ONLY_A, ONLY_B}
    assert world("gc", world.b, "--json").json()["copies"] == 0
    assert world.images == {BOTH, ONLY_A, ONLY_B}


@pytest.mark.parametrize(
    ("a", "b", "key"),
    [
        ("limits: {pixels: 1MP}", "", "limits.pixels"),
        ("", "fetch: {per_host: 2}", "fetch.per_host"),
        ("variants: [{name: w, width: 9}]", "variants: [{name: w, width: 8}]", "variants"),
        ("respect_robots: false", "respect_robots: true", "respect_robots"),
        ("", "allow_networks: [10.0.0.0/8]", "allow_networks"),
    ],
)
def test_sites_with_different_variants_share_none(world: TwoSites, a: str, b: str, key: str) -> None:
    for name, text in (("a", a), ("b", b)):
        if text:
            world.write(f"{name}/imgcache.yml", text)
    for command in ("sync", "gc"):
        ended = world(command, world.a, world.b)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(
            f"imgcache: {world.b}/imgcache.yml: `{key}` is not what it is in {world.a}/imgcache.yml"
        )
        assert len(ended.err.splitlines()) == 1
        assert ("is not there: the defaults count" in ended.err) == (not (a and b))
    assert not world.cache.exists()


def test_article_settings_apply_to_their_own_site(world: TwoSites) -> None:
    world.write("a/imgcache.yml", "dimensions: fix\nexclude: [drafts/**]\n")
    world.write("b/imgcache.yml", "flag: [related.images]\ndimensions: ignore\n")
    related = article((BOTH, 30, 40)).replace("images:", "related:\n  images:").replace("\n  - url", "\n    - url")
    related = related.replace("    width", "      width").replace("    height", "      height")
    for site in "ab":
        world.write(f"{site}/drafts/two.md", related)
        world.write(f"{site}/three.md", article((BOTH, 30, 40)))
    report = world.sync(world.a, world.b)
    assert (report["articles"], report["problems"]) == (5, [])
    assert "    width: 40\n    height: 30\n    isCached: true\n" in (world.a / "three.md").read_text()
    assert world.flags("a/drafts/two.md") == world.flags("b/three.md") == world.flags("b/posts/one.md") == 0
    assert "      width: 30\n      height: 40\n      isCached: true\n" in (world.b / "drafts/two.md").read_text()


def test_own_images_are_those_of_their_site(world: TwoSites) -> None:
    own = "https://a.example/pictures/own.png"
    world.origin.answers.set(own, picture(40, 30))
    world.write("a/imgcache.yml", "site_url: https://a.example\n")
    world.write("a/four.md", article((own, 40, 30), ("here.png", 2, 2)))
    world.write("b/four.md", article((own, 40, 30), ("here.png", 2, 2)))
    (world.b / "here.png").write_bytes(PNG)
    report = world.sync(world.a, world.b, code=1)
    found = {(p["code"], p["url"], *(place["article"] for place in p["references"])) for p in report["problems"]}
    assert found == {
        ("missing-file", own, f"{world.a}/four.md"),
        ("missing-file", "here.png", f"{world.a}/four.md"),
    }
    assert (world.flags("a/four.md"), world.flags("b/four.md"), world.origin.requests[own]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("sites", "says"),
    [
        (["a", "a"], "is the same folder, or one lies in the other"),
        (["a", "a/posts"], "is the same folder, or one lies in the other"),
        (["a/posts", "b", "a"], "is the same folder, or one lies in the other"),
    ],
)
def test_nested_sites_are_refused(world: TwoSites, sites: list[str], says: str) -> None:
    ended = world("sync", *(world.root / site for site in sites))
    assert ended.code == 2
    assert says in ended.err


def test_several_sites_require_a_named_cache(world: TwoSites, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = world.run("sync", world.a, world.b)
    assert (ended.code, ended.err) == (
        2,
        "imgcache: --cache: several sites share one cache: name it with --cache DIR\n",
    )
    monkeypatch.setenv("IMGCACHE_CACHE", str(world.cache))
    assert world.run("sync", world.a, world.b).code == 0
    assert world.images == {BOTH, ONLY_A, ONLY_B}
    assert not (world.a / "cache").exists()


def test_a_dry_run_over_both_touches_nothing(world: TwoSites) -> None:
    ended = world("sync", world.a, world.b, "--dry-run", "--json")
    assert counts(ended.json(), "fetched", "flags_set") == [3, 4]
    assert not world.cache.exists()
    assert not world.origin.requests
    world.sync(world.a, world.b)
    before = tree(world.root)
    assert world("sync", world.b, world.a, "--dry-run", "--json").json()["reused"] == 3
    assert world("gc", world.b, "--dry-run", "--json").json()["copies"] == 0
    assert tree(world.root) == before


def test_the_newest_article_of_all_sites_sets_the_focal_point(world: TwoSites) -> None:
    for site, date, focus in (("a", "2020-01-01", "0, 0"), ("b", "2024-01-01", "1, 1")):
        world.write(f"{site}/imgcache.yml", "variants: [{name: square, width: 20, height: 20, fit: cover}]")
        text = article((BOTH, 40, 30)).replace("    height: 30\n", f"    height: 30\n    focus: [{focus}]\n")
        world.write(f"{site}/{date}-crop.md", text)
    world.sync(world.a, world.b)
    files = tree(world.cache / "assets")
    assert counts(world.sync(world.b, world.a), "reused", "fetched", "revalidated") == [3, 0, 0]
    assert tree(world.cache / "assets") == files


def test_an_interrupted_run_keeps_all_copies_and_the_next_continues(world: TwoSites) -> None:
    world.origin.answers.set(ONLY_B, Answer(size=(40, 30), drip=10))
    words = [sys.executable, "-m", "imgcache", "sync", str(world.a), str(world.b), "--cache", str(world.cache)]
    process = subprocess.Popen(
        [*words, *world.origin.connect_to, "--json"], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}
    )
    index = world.cache / "index/cache.db"
    end = time.monotonic() + 20
    while time.monotonic() < end and not (index.exists() and _copies(index) == 2 and world.origin.requests[ONLY_B]):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert counts(json.loads(out), "fetched", "flags_set") == [2, 3]
    assert (world.flags("a/posts/one.md"), world.flags("b/posts/one.md")) == (2, 1)
    assert world.images == {BOTH, ONLY_A}
    world.origin.answers.set(ONLY_B, picture(40, 30))
    assert counts(world.sync(world.a, world.b), "fetched", "reused", "flags_set") == [1, 2, 1]


def _copies(index: Path) -> int:
    try:
        with sqlite3.connect(f"file:{index}?mode=ro", uri=True) as database:
            (count,) = database.execute("SELECT count(*) FROM Cache WHERE CAST(key AS TEXT) LIKE 'c%'").fetchone()
            return int(count)
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()
