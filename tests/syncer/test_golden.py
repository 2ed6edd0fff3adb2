"""The golden test: remove every flag, sync, and every byte must come back; a second sync changes nothing.

The real site was flagged by its own pipeline, long before this one. Three of its remote images carry no flag: that
pipeline did not get them, so the origin does not serve them here either.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from examples.origin import Answer, Origin, answers_for
from tests.conftest import ROOT, Command
from tests.support.site_files import articles, strike, unflagged


def images_asked(origin: Origin) -> int:
    """How many requests there were for anything but a robots.txt."""
    return sum(count for url, count in origin.requests.items() if not url.endswith("/robots.txt"))


def test_a_sync_restores_the_flags_of_the_real_site_byte_for_byte(
    shared: Path, tmp_path: Path, run: Command, origin: Origin
) -> None:
    site = tmp_path / "site"
    shutil.copytree(shared / "site", site)
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = articles(site)
    for url, answer in answers_for(site).items():
        origin.answers.set(url, answer)
    never_had = unflagged(site)
    for url in never_had:
        origin.answers.set(url, Answer(status=403))
    struck = strike(site)
    assert (struck, len(never_had)) == (301, 3)
    (site / "imgcache.yml").write_text("variants: [{name: w320, width: 320, effort: 0}]\n")  # as fast as can be
    report = run("sync", site, "--json").json()
    (site / "imgcache.yml").rename(tmp_path / "imgcache.yml")
    assert (report["flags_set"], report["failed"]) == (struck, 3)
    assert articles(site) == before
    asked = images_asked(origin)
    again = run("sync", site, "--config", tmp_path / "imgcache.yml", "--json").json()
    assert (again["fetched"], again["flags_set"], again["flags_cleared"]) == (0, 0, 0)
    assert images_asked(origin) == asked + 3
    assert articles(site) == before


@pytest.fixture
def example(tmp_path: Path, origin: Origin, run: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example site with its origin: one host answers only the second request."""
    monkeypatch.setenv("IMGCACHE_FETCH__RETRIES", "1")
    site = tmp_path / "site"
    shutil.copytree(ROOT / "examples/site", site, ignore=shutil.ignore_patterns("cache"))
    for url, answer in answers_for(site).items():
        origin.answers.set(url, answer)
    run.use(origin)
    return site


def test_a_sync_restores_the_flags_of_the_example_site_and_a_second_fetches_nothing(
    example: Path, run: Command
) -> None:
    run("sync", example)
    flagged = articles(example)
    report = run("sync", example, "--json").json()
    assert (report["fetched"], report["flags_set"], report["flags_cleared"]) == (0, 0, 0)
    assert articles(example) == flagged
    shutil.rmtree(example / "cache")
    assert strike(example) > 10
    assert run("sync", example, "--json").json()["flags_set"] > 10
    assert articles(example) == flagged
