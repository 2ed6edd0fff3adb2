"""Two at once: one writer, any number of readers, and an editor who knows of none of them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.origin import Answer
from tests.conftest import Command, article, picture
from tests.support.aftermath import tree
from tests.support.crash_site import URLS, CrashSite, crash_site

A = URLS[0]
B = "http://pictures.example/b.png"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashSite]:
    with crash_site(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def site(world: CrashSite) -> Path:
    """A site whose images are held, and one more article with an image that is not."""
    site = world.synced()
    (site / "b.md").write_text(article((B, 60, 40)))
    world.origin.answers.set(B, Answer(size=(60, 40), delay=0.3))
    return site


@contextmanager
def stopped(world: CrashSite, site: Path) -> Iterator[None]:
    """A sync that waits for an image during the block, and then completes."""
    asked = world.origin.requests[B]
    with world.nursery.syncing(site, "--json") as pid:
        end = time.monotonic() + 20
        while world.origin.requests[B] == asked and time.monotonic() < end:
            time.sleep(0.005)
        assert pid > 1, pid  # 0 would stop the tests themselves
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def state(site: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a site, its cache included, with its time."""
    return {name: (data, (site / name).stat().st_mtime_ns) for name, data in tree(site).items()}


def test_a_second_writer_is_refused_and_touches_nothing(run: Command, world: CrashSite, site: Path) -> None:
    with stopped(world, site):
        before = state(site)
        for words in (["sync"], ["sync", "--offline"], ["verify", "--repair"], ["gc"], ["forget", A]):
            ended = run(*words, site)
            assert (ended.code, ended.out) == (3, ""), words
            assert "is in use by process" in ended.err
        assert state(site) == before
    assert world.nursery.ended.code == 0, world.nursery.ended
    assert json.loads(world.nursery.ended.output)["flags_set"] == 1


def test_a_reader_works_during_a_sync_and_changes_nothing(run: Command, world: CrashSite, site: Path) -> None:
    with stopped(world, site):
        before = state(site)
        for words, says in (
            (["status"], "3 cached"),
            (["show", A], A),
            (["sync", "--dry-run"], "1 would be set"),
            (["gc", "--dry-run"], "0 files"),
        ):
            ended = run(*words, site)
            assert (ended.code, ended.err) == (0, ""), words
            assert says in ended.out
        assert state(site) == before
    assert world.nursery.ended.code == 0, world.nursery.ended


def test_a_reader_of_a_busy_cache_sees_a_consistent_state(run: Command, world: CrashSite, tmp_path: Path) -> None:
    urls = [f"http://many.example/{number}.gif" for number in range(300)]
    world.origin.answers.set("http://many.example/*", picture(4, 4))
    (tmp_path / "imgcache.yml").write_text("variants: [{name: w2, width: 2, effort: 0}]\n")
    for number, url in enumerate(urls):
        (tmp_path / f"{number}.md").write_text(article((url, 4, 4)))
    seen: list[int] = []
    with world.nursery.syncing(tmp_path) as pid:
        while Path(f"/proc/{pid}").exists():
            ended = run("status", tmp_path, "--json")
            assert (ended.code, ended.err) == (0, ""), ended
            seen.append(ended.json()["cached"])
    assert world.nursery.ended.code == 0, world.nursery.ended
    seen.append(run("status", tmp_path, "--json").json()["cached"])
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 300)
    assert len(set(seen)) > 2, "nothing was seen of the sync under way"


def test_a_reader_never_sees_a_partial_manifest(world: CrashSite, site: Path) -> None:
    world.origin.answers.set(B, picture(60, 40))
    stop, versions, broken = threading.Event(), set[bytes](), list[bytes]()

    def read() -> None:
        while not stop.is_set():
            data = (site / "cache/manifest.json").read_bytes()
            try:
                for entry in json.loads(data)["images"].values():
                    for path, size in [
                        (entry["original"], entry["bytes"]),
                        *((one["path"], one["bytes"]) for one in entry["variants"]),
                    ]:
                        assert (site / "cache" / path).stat().st_size == size
                versions.add(data)
            except (ValueError, OSError, AssertionError):
                broken.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(4):
            (site / "b.md").write_text(article((f"{B}?{number}", 60, 40)))
            world.origin.answers.set(f"{B}?{number}", picture(60, 40))
            assert world.nursery.sync(site).code == 0
            until, now = time.monotonic() + 20, (site / "cache/manifest.json").read_bytes()
            while now not in versions and not broken and time.monotonic() < until:
                time.sleep(0.01)
    finally:
        stop.set()
        reader.join()
    assert broken == []
    assert len(versions) == 5


def test_an_article_saved_during_a_sync_is_kept_and_flagged_by_the_next(world: CrashSite, site: Path) -> None:
    with stopped(world, site):
        text = (site / "b.md").read_text() + "A sentence that was written in between.\n"
        (site / "b.md").write_text(text)
    report = json.loads(world.nursery.ended.output)
    [problem] = report["problems"]
    assert (world.nursery.ended.code, problem["code"], problem["retryable"]) == (1, "article-changed", True)
    assert problem["references"][0]["article"] == "b.md"
    assert (site / "b.md").read_text() == text
    again = world.nursery.sync(site, "--json")
    assert (again.code, json.loads(again.output)["fetched"]) == (0, 0)
    assert (site / "b.md").read_text() == text.replace("    height: 40\n", "    height: 40\n    isCached: true\n")


def test_an_article_removed_during_a_sync_stays_removed(world: CrashSite, site: Path) -> None:
    with stopped(world, site):
        (site / "b.md").unlink()
    assert json.loads(world.nursery.ended.output)["problems"][0]["code"] == "article-changed"
    assert not (site / "b.md").exists()
    assert world.nursery.sync(site).code == 0
    assert not (site / "b.md").exists()
