"""A full, read-only or damaged disk, and a clock set back: a message, an exit status, and the next run recovers."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.support.aftermath import Ended, tree
from tests.support.crash_site import URLS, CrashSite, crash_site


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashSite]:
    with crash_site(tmp_path_factory.mktemp("world")) as made:
        yield made


def assert_reported(ended: Ended, *codes: int) -> None:
    """Asserts one of these exit statuses, and a message."""
    assert ended.code in codes, ended
    assert "Traceback" not in ended.output, ended


# -- damaged files -----------------------------------------------------------------------------------------------------


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def garbled(path: Path) -> None:
    path.write_bytes(random.Random(5).randbytes(path.stat().st_size))


def zeroed(path: Path) -> None:
    """Without its second page (4 KiB; of a small file the second half)."""
    data = path.read_bytes()
    start = min(4096, len(data) // 2)
    path.write_bytes(data[:start] + bytes(len(data[start : start + 4096])) + data[start + 4096 :])


def sprinkled(path: Path) -> None:
    draw, data = random.Random(6), bytearray(path.read_bytes())
    for _ in range(len(data) // 500):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def removed(path: Path) -> None:
    path.unlink()


HARMS = [truncated, emptied, garbled, zeroed, sprinkled, removed]


@pytest.mark.parametrize(
    ("name", "harm"),
    [("index/cache.db", harm) for harm in HARMS]
    + [("index/catalogue.db", harm) for harm in (truncated, zeroed, sprinkled)]
    + [("manifest.json", harm) for harm in (truncated, emptied, removed)],
)
def test_a_damaged_file_is_rebuilt_without_fetching(world: CrashSite, name: str, harm: Callable[[Path], None]) -> None:
    site, asked = world.synced(), world.asked
    harm(site / "cache" / name)
    ended = world.nursery.sync(site)
    assert_reported(ended, 0)
    for aside in (site / "cache/index").glob("cache.db.damaged*"):
        aside.unlink()
    assert world.expected.broken(site) + world.expected.differs(site) == []
    assert world.asked == asked


def test_after_a_kill_during_the_rebuild_of_the_index_nothing_is_fetched(world: CrashSite) -> None:
    site, asked = world.synced(), world.asked
    shutil.rmtree(site / "cache/index")
    assert world.nursery.sync(site, step="index opened", when="after").code < 0
    world.assert_recovers(site)
    assert world.asked == asked


@pytest.mark.parametrize("harm", [truncated, garbled, zeroed])
def test_readers_tolerate_a_damaged_index_and_do_not_change_it(
    world: CrashSite, run: Command, harm: Callable[[Path], None]
) -> None:
    site = world.synced()
    harm(site / "cache/index/cache.db")
    before = tree(site)
    for words in (["status"], ["show", URLS[0]], ["sync", "--dry-run"]):
        assert run(*words, site).code in {0, 1, 2}, words  # and nothing is raised
        assert tree(site) == before, words


_BREAK_OFF = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)")
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN")
database.executemany("INSERT INTO Settings VALUES (?, 1)", ((str(number),) for number in range(10_000)))
os.kill(os.getpid(), 9)
"""


def test_a_run_killed_while_creating_its_index_leaves_a_usable_one(world: CrashSite) -> None:
    """SQLite keeps a rollback journal until diskcache has set the file to WAL: only a writer can roll it back."""
    site = world.fresh()
    (site / "cache/index").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", _BREAK_OFF, str(site / "cache/index/cache.db")], check=False)
    assert (site / "cache/index/cache.db-journal").stat().st_size > 0
    world.assert_recovers(site)


def test_losing_index_and_manifest_costs_one_fetch_and_no_flag(world: CrashSite) -> None:
    site, asked = world.synced(), world.asked
    shutil.rmtree(site / "cache/index")
    (site / "cache/manifest.json").unlink()
    world.assert_recovers(site)
    assert world.asked == asked + len(URLS)


# -- a full disk -------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[int], None]]:
    """Mounts a file system of `size` bytes at `folder` and yields a function that enlarges it; needs root."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield lambda size: (
            subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True, capture_output=True),
            None,
        )[1]
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


@pytest.mark.parametrize("kilobytes", [4, 96, 160])
def test_a_full_disk_is_reported_and_the_next_run_completes(world: CrashSite, kilobytes: int) -> None:
    site = world.fresh()
    with small_disk(site / "cache", kilobytes * 1024) as enlarge:
        ended = world.nursery.sync(site)
        assert_reported(ended, 1, 2)
        assert "No space left" in ended.output or "disk is full" in ended.output, ended
        assert world.expected.broken(site) == []
        enlarge(8_000_000)
        world.assert_recovers(site)


def test_a_file_size_limit_is_handled_like_a_full_disk(world: CrashSite) -> None:
    site = world.fresh()
    ended = world.nursery.sync(site, limits={"RLIMIT_FSIZE": 40 * 1024})
    assert_reported(ended, 2)
    assert "cannot be written" in ended.output
    world.assert_recovers(site)


# -- no right to write -------------------------------------------------------------------------------------------------


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Makes a file or folder read-only, for root by the immutable bit where the file system has it."""
    is_root = os.geteuid() == 0
    mode = path.stat().st_mode
    if not is_root:
        path.chmod(mode & 0o7555)
    elif subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("this file system keeps nothing from root")
    try:
        yield
    finally:
        if is_root:
            subprocess.run(["chattr", "-i", str(path)], check=True, capture_output=True)
        else:
            path.chmod(mode)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("cache", 2),
        ("cache/index", 2),
        ("cache/index/cache.db", 2),
        ("cache/index/catalogue.db", 2),
        ("cache/assets", 1),
        ("cache/manifest.json", 2),
        ("one.md", 1),
        ("news", 1),
    ],
)
def test_a_file_without_write_permission_is_reported_and_not_changed(world: CrashSite, path: str, code: int) -> None:
    site = world.synced()
    for name, data in world.expected.before.items():
        (site / name).write_bytes(data)  # so that there are flags to be written
    shutil.rmtree(site / "cache/assets")
    (site / "cache/assets").mkdir()
    (site / "cache/manifest.json").write_text('{"version": 1, "images": {}}')
    with closed(site / path):
        ended = world.nursery.sync(site)
        assert_reported(ended, code)
        assert world.expected.broken(site) == []
        assert path in ended.output, ended
        assert ("article-unwritable" in ended.output) == (path in {"news", "one.md"})
    world.assert_recovers(site)


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [-40, 40])
def test_a_clock_set_back_or_forward_changes_no_byte(
    world: CrashSite, run: Command, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    site = world.fresh()
    run.use(world.origin)
    from imgcache.cli import sync

    at = 1_800_000_000.0
    for years in (0, first, 0):
        monkeypatch.setattr(sync, "now", lambda years=years: at + years * 365.25 * 86_400)
        ended = run("sync", site, "--json")
        assert (ended.code, ended.json()["problems"]) == (0, [])
        assert world.expected.broken(site) + world.expected.differs(site) == []
    assert json.loads((site / "cache/manifest.json").read_bytes())["images"].keys() == set(URLS)
