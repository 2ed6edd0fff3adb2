"""`imgcache sync ARTICLE.md` does one article alone; and what the command line suggests for mistyped commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import A, B, Command, MakeSite, article, picture

GONE = "https://pictures.example/gone.jpg"


@pytest.fixture
def site(origin: Origin, make_site: MakeSite) -> Path:
    origin.answers.set(A, picture(800, 600))
    origin.answers.set(B, picture(80, 60))
    return make_site(
        {
            "_config.yml": "title: A site\n",
            "_posts/a.md": article((A, 800, 600)),
            "_posts/b.md": article((B, 80, 60), (GONE, 8, 6)),
            "drafts.txt": "",
        }
    )


def test_only_the_images_and_flags_of_the_article_change(run: Command, origin: Origin, site: Path) -> None:
    before = (site / "_posts/b.md").read_bytes()
    ended = run("sync", site / "_posts/a.md", "--json")
    report = ended.json()
    assert ended.code == 0  # the image that is gone belongs to another article
    assert [report[key] for key in ("articles", "references", "images", "cached", "fetched", "flags_set")] == [1] * 6
    assert [url for url in origin.requests if not url.endswith("robots.txt")] == [A.removeprefix("https://")]
    assert "isCached: true" in (site / "_posts/a.md").read_text()
    assert (site / "_posts/b.md").read_bytes() == before
    rest = run("sync", site, "--json").json()
    assert (rest["articles"], rest["reused"], rest["fetched"], rest["failed"]) == (2, 1, 1, 1)


def test_a_flag_of_another_article_stays_although_its_image_is_missing(run: Command, site: Path) -> None:
    flagged = (site / "_posts/b.md").read_text().replace("height: 6\n", "height: 6\n    isCached: true\n")
    (site / "_posts/b.md").write_text(flagged)
    report = run("sync", site / "_posts/a.md", "--json").json()
    assert (report["flags_cleared"], report["problems"]) == (0, [])
    assert (site / "_posts/b.md").read_text() == flagged


def test_the_article_may_be_named_from_within_the_site(
    run: Command, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site / "_posts")
    report = run("sync", "b.md", "--json").json()
    assert [(one["code"], one["url"]) for one in report["problems"]] == [("http-status", GONE)]
    assert report["problems"][0]["references"][0]["article"] == "_posts/b.md"
    assert (site / "cache/manifest.json").is_file()


def test_files_that_are_no_articles_are_refused(run: Command, site: Path, tmp_path: Path) -> None:
    ended = run("sync", site / "drafts.txt")
    assert ended.code == 2
    assert "drafts.txt: is not an article of the site: see `articles` and `exclude` in imgcache.yml" in ended.err
    assert "give one article" in run("sync", site, site / "_posts/a.md").err
    (tmp_path / "alone.md").write_text(article((A, 8, 6)))
    ended = run("sync", tmp_path / "alone.md")
    assert ended.code == 2
    assert "no folder above this article is a site" in ended.err


def test_a_dry_run_of_one_article_reports_it_alone(run: Command, site: Path) -> None:
    report = run("sync", site / "_posts/a.md", "--dry-run", "--json").json()
    assert (report["dry_run"], report["fetched"], report["flags_set"]) == (True, 1, 1)
    assert not (site / "cache").exists()


@pytest.mark.parametrize(
    ("word", "words"), [("synk", "Did you mean sync?"), ("rewrit", "Did you mean rewrite?"), (".", "imgcache sync .")]
)
def test_a_mistyped_command_gets_a_suggestion(run: Command, word: str, words: str) -> None:
    ended = run(word)
    assert ended.code == 2
    assert words in ended.err
