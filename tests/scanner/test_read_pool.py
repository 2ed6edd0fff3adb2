"""Helper processes read the same as this process would."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imgcache.cache import ArticleStat, ReadArticle
from imgcache.scanner import Site
from imgcache.scanner.extract import ArticleReader
from imgcache.scanner.pool import read_all
from tests.conftest import MakeSite, article

NUMBER = 200
WRONG: dict[str, str | bytes] = {
    "torn.md": "---\nimages: [a\n---\n",
    "latin.md": b"---\ntitle: caf\xe9\nimages: [a]\n---\n",
    "below.md": b"---\nimages: []\n---\n<img src=x> caf\xe9\n",
    "page.html": "<img src='https://h/é.png'><img src='beside.png'>",
}


@pytest.fixture
def site(make_site: MakeSite) -> Path:
    """Articles of yesterday."""
    names = [f"n{number}.md" for number in range(NUMBER)]
    root = make_site({name: article((f"https://h/{name}.png", 6, 4)) for name in names} | WRONG)
    for path in root.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return root


def listed(site: Path) -> list[ArticleStat]:
    files = [ArticleStat(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(site.iterdir())]
    return [*files, ArticleStat("gone.md", 1, 1)]


def in_order(articles: list[ReadArticle]) -> list[ReadArticle]:
    return sorted(articles, key=lambda article: article.file.path)


class Patient(ArticleReader):
    """Reads slowly, so that the helper has time to start."""

    own = 0

    def read(self, files: Sequence[ArticleStat]) -> list[ReadArticle]:
        self.own += len(files)
        time.sleep(0.3)
        return super().read(files)


def test_helpers_give_the_same_results_as_this_process(site: Path) -> None:
    files = listed(site)
    reader = Patient(Site(site, "https://h"), ["images"])
    found = [article for batch in read_all(reader, iter(files), few=0, most_helpers=1) for article in batch]
    assert reader.own < len(files)
    plain = ArticleReader(Site(site, "https://h"), ["images"])
    assert in_order(found) == in_order(plain.read(files))
    wrong = {article.file.path: (article.error.line, article.error.column) for article in found if article.error}
    assert wrong == {"gone.md": (1, 1), "latin.md": (2, 11), "torn.md": (3, 1), "below.md": (4, 16)}


def test_long_paths_and_long_answers_cause_no_deadlock(make_site: MakeSite) -> None:
    folder = "/".join(["d" * 200] * 15)
    text = article(*((f"https://h/{number}/{'x' * 100}.png", 6, 4) for number in range(50)))
    site = make_site({f"{folder}/n{number}.md": text for number in range(NUMBER)})
    reader, read = Patient(Site(site, None), ["images"]), 0
    # More and more articles, until the helper has answered some of them.
    numbers = (number % NUMBER for number in range(20_000) if read - reader.own < NUMBER)
    files = (ArticleStat(f"{folder}/n{number}.md", 1, len(text)) for number in numbers)
    for batch in read_all(reader, files, few=0, most_helpers=1):
        read += len(batch)
    assert read - reader.own >= NUMBER


@pytest.mark.parametrize("python", ["/bin/false", "/nowhere/python"])
def test_helpers_that_die_cost_no_article(site: Path, python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", python)
    files = listed(site)
    reader = ArticleReader(Site(site, None), ["images"])
    found = [article for batch in read_all(reader, iter(files), few=0, most_helpers=2) for article in batch]
    assert in_order(found) == in_order(reader.read(files))


def test_few_articles_start_nothing(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    files = listed(site)
    assert sum(map(len, read_all(ArticleReader(Site(site, None), []), iter(files), few=len(files)))) == len(files)


def test_ending_early_ends_the_helpers(site: Path) -> None:
    batches = read_all(ArticleReader(Site(site, None), []), iter(listed(site)), few=0, most_helpers=1)
    next(batches)
    started = set(children())
    batches.close()
    assert started - set(children())


def children() -> list[int]:
    """Return the child processes of this process."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split() if folder.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[1]) == os.getpid():
            found.append(int(folder.name))
    return found


def test_an_article_saved_just_now_is_read_again_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\nimages: []\n---\n")
    stat = (tmp_path / "a.md").stat()
    (read,) = ArticleReader(Site(tmp_path, None), ["images"]).read(
        [ArticleStat("a.md", stat.st_mtime_ns, stat.st_size)]
    )
    assert read.file.mtime_ns == 0  # it is read once more by the next run
    assert read.newest == datetime.fromtimestamp(stat.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize("seen", [0, 60, 10_000])
def test_an_article_that_was_saved_since_it_was_seen_is_read_whole(make_site: MakeSite, seen: int) -> None:
    text = article(("https://h/a.png", 6, 4), ("https://h/b.png", 6, 4))
    assert 60 < len(text) < 10_000
    site = make_site({"a.md": text})
    (read,) = ArticleReader(Site(site, None), ["images"]).read([ArticleStat("a.md", 1, seen)])
    assert read.digest == hashlib.sha256(text.encode()).hexdigest()
    assert [mention.url for mention in read.references] == ["https://h/a.png", "https://h/b.png"]
