"""The `imgcache watch` command as a real process, with files saved as editors save them."""

from __future__ import annotations

import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from watchfiles import Change

from examples.origin import Origin
from imgcache.auditor import ArticleWatcher, WatchFilter
from imgcache.core import AuditReport, DiskFull, Summary
from tests.conftest import Command, MakeSite, article, picture
from tests.support.site_files import tree

A = "https://pictures.example/a.jpg"
LONG = 30  # seconds that a loaded machine may take


class Watch:
    """A running watch, and its output so far."""

    def __init__(self, site: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "imgcache", "watch", str(site)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines = queue.Queue[str]()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self.process.stderr is not None
        self.announced = self.process.stderr.readline()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def until(self, wanted: str) -> list[str]:
        """Reads the output up to a line that contains the text."""
        said = list[str]()
        while not said or wanted not in said[-1]:
            try:
                said.append(self._lines.get(timeout=LONG))
            except queue.Empty:
                pytest.fail(f"it never said {wanted!r}, but {said}")
        return said

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, list[str]]:
        """Returns exit status, the rest of standard error, and the unread output."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str, list[str]]:
        """Returns the same, after the process has ended by itself."""
        code = self.process.wait(LONG)
        self._reader.join(LONG)
        assert self.process.stderr is not None
        return code, self.process.stderr.read(), list(self._lines.queue)


@contextmanager
def watching(site: Path) -> Iterator[Watch]:
    watch = Watch(site)
    try:
        yield watch
    finally:
        watch.process.kill()
        watch.ended()
        for pipe in (watch.process.stdout, watch.process.stderr):
            assert pipe is not None
            pipe.close()


def test_each_saved_article_is_reported_and_the_site_is_not_changed(make_site: MakeSite) -> None:
    site = make_site({"a.md": article(), "posts/b.md": article(("/p.png", 4, 3)), "vendor/c.md": article()})
    with watching(site) as watch:
        assert watch.announced == "imgcache: watching 2 articles: own files, flags and cache; Ctrl-C ends\n"
        (site / "posts/b.md").write_text(article(("/p.png", 4, 3), (A, 4, 3)))
        assert watch.until("→") == [
            "posts/b.md: 1 error",
            "  error: missing-file · posts/b.md:4:10",
            "    /p.png",
            "    no such file in the site",
            "    → add it, or correct the address",
        ]
        (site / "notes.txt").write_text("nothing that an article could need")
        time.sleep(0.5)  # a burst of its own, in which nothing is told twice
        Image.new("RGB", (4, 3)).save(site / "p.png")
        assert watch.until(":") == ["posts/b.md: no findings, 2 images"]
        before = tree(site)
        (site / "vendor/c.md").write_text(article(("/gone.png", 4, 3)))
        (site / "a.md").write_text("no front matter, no image")
        assert watch.until(":") == ["a.md: no findings, 0 images"]
        assert tree(site).keys() == before.keys()
        assert watch.end() == (0, "", [])


def test_partial_writes_renames_deletions_and_bursts_are_handled(make_site: MakeSite) -> None:
    site = make_site({"a.md": article(), "b.md": article()})
    with watching(site) as watch:
        for part in range(20):  # a slow writer, or an impatient one
            (site / "a.md").write_text(article(("/p.png", 4, 3))[: part * 3])
            time.sleep(0.02)
        (site / "a.md").write_text(article(("/p.png", 4, 3)))
        said = watch.until("/p.png")
        assert sum(line.startswith("a.md: ") for line in said) < 20  # a busy machine splits a burst
        for name in (".a.md.swp", "4913", "a.md~", ".#a.md", "#a.md#", ".a.md.1234.swx"):
            (site / name).write_text("what editors leave")
        (site / ".a.md.new").write_text(article())
        (site / ".a.md.new").rename(site / "a.md")
        assert watch.until("no findings")[-1] == "a.md: no findings, 0 images"
        (site / "a.md").rename(site / "c.md")
        assert watch.until("c.md") == ["a.md: gone", "c.md: no findings, 0 images"]
        (site / "c.md").write_bytes(b"---\nimages: [\n---\n")
        assert "article-unreadable" in watch.until("error: ")[-1]
        (site / "c.md").write_bytes(b"\xff\xfe")
        assert "article-unreadable" in watch.until("error: ")[-1]
        (site / "c.md").unlink()
        assert watch.until("gone")[-1] == "c.md: gone"
        (site / "d").mkdir()
        (site / "d/e.md").write_text(article())
        watch.until("d/e.md: no findings")
        (site / "d").rename(site / "f")
        watch.until("f/e.md: no findings")
        assert watch.end(signal.SIGTERM)[:2] == (0, "")


def test_results_of_a_concurrent_sync_are_used_and_a_deleted_site_ends_the_watch(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(400, 300))
    site = make_site({"a.md": article((A, 400, 300))})
    with watching(site) as watch:
        lie = article((A, 400, 300)).replace("    height: 300\n", "    height: 300\n    isCached: true\n")
        (site / "b.md").write_text(lie)
        assert "flag-without-copy" in watch.until("note: ")[-1]
        assert run("sync", site).code == 0
        assert watch.until("a.md")[-1] == "a.md: no findings, 1 image"
        (site / "b.md").write_text(lie + "More text.\n")
        assert watch.until("b.md: no findings")[-1] == "b.md: no findings, 1 image"
        shutil.rmtree(site)
        assert watch.ended()[:2] == (2, f"imgcache: {site}: the site's folder is gone\n")


def test_only_events_in_the_site_and_outside_the_cache_are_used(tmp_path: Path) -> None:
    root = tmp_path / "node_modules" / "vendor" / "site"  # names that count below the site alone
    concerns = WatchFilter(root, root / "cache")
    told = {
        name: concerns(Change.modified, str(root / name)) for name in ("a.md", "cached/a.md", "x/b.png", "imgcache.yml")
    }
    assert all(told.values()), told
    ignored = ("cache/a.md", "x/_site/a.md", ".git/index", "node_modules/a.md", "a.md~", ".#a.md", ".a.md.swp")
    assert not any(concerns(Change.modified, str(root / name)) for name in ignored)


# -- laws ------------------------------------------------------------------------------------------------------------

NAMES = ("a.md", "b.md", "c/d.md", "e.png")
events = st.sets(st.tuples(st.sampled_from(Change), st.sampled_from(NAMES)), max_size=6)


def clean_audit(_: str) -> AuditReport:
    return AuditReport(Summary(references=0, images=0, ok=0, findings=0, by_rule={}), ())


@settings(max_examples=60)
@given(present=st.sets(st.sampled_from(NAMES)), burst=events)
def test_the_disk_counts_and_not_the_kind_of_event(present: set[str], burst: set[tuple[Change, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "c").mkdir()
        for name in present:
            (root / name).touch()
        watch = ArticleWatcher(root, articles=list, is_article=lambda name: name.endswith(".md"), audit=clean_audit)
        glances = list(watch.audit_changes({(change, str(root / name)) for change, name in burst}))
        named = {name for _, name in burst if name.endswith(".md")}
        assert {glance.article for glance in glances if glance.audit} == named & present
        gone = {glance.article for glance in glances if not glance.audit}
        assert gone == {name for name in named - present if (Change.added, name) not in burst}
        assert len(glances) == len({glance.article for glance in glances})


def test_an_error_at_one_article_does_not_end_the_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def audit(name: str) -> AuditReport:
        if name == "a.md":
            raise DiskFull("no space")
        return clean_audit(name)

    for name in ("a.md", "b.md"):
        (tmp_path / name).touch()
    watch = ArticleWatcher(tmp_path, articles=list, is_article=lambda _: True, audit=audit)
    glances = watch.audit_changes({(Change.modified, str(tmp_path / name)) for name in ("a.md", "b.md")})
    assert [glance.article for glance in glances] == ["b.md"]
