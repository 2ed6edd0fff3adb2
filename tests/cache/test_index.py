"""The index: records, batches, kills and full disks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.cache import HeldEntry, Index
from imgcache.cache.index.index import Counts
from imgcache.core import Copy, DiskFull, Failure, Validators
from tests.support.cache_samples import unreal_asset

URL = "https://example.org/a.jpg"
ONE, TWO = "1" * 64, "2" * 64
COPY = Copy(ONE, 10.0, 20.0, Validators('"e"', "Mon, 01 Jan 2024 00:00:00 GMT"), "https://example.org/b", "noai")
FAILURE = Failure("http-status", "404 Not Found", 1.0, 2.0, 3, 404)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index")
    yield index
    index.close()


def test_records_are_the_same_after_reopening(index: Index, tmp_path: Path) -> None:
    assert index.fresh
    assert not index.damaged
    assert [index.copy(URL), index.asset(ONE), index.failure(URL)] == [None, None, None]
    index.put_copy(URL, COPY)
    index.put_asset(unreal_asset(ONE))
    index.put_failure(URL, FAILURE)
    index.close()
    again = Index(tmp_path / "index")
    assert not again.fresh
    assert again.copy(URL) == COPY
    assert again.asset(ONE) == unreal_asset(ONE)
    assert again.failure(URL) == FAILURE
    assert list(again.copies()) == [(URL, COPY)]
    assert list(again.assets()) == [unreal_asset(ONE)]
    assert list(again.failures()) == [(URL, FAILURE)]
    assert list(again.entries()) == [HeldEntry(URL, unreal_asset(ONE), COPY.robots_tag)]
    assert again.counts() == Counts(1, 1, 1, 0)
    again.drop_copy(URL)
    again.drop_asset(ONE)
    again.drop_failure(URL)
    assert again.counts() == Counts(0, 0, 0, 0)
    again.close()


# Any text at all, also what no URL may hold: halves of surrogate pairs, NUL, and more than a database page.
_urls = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc", "Ll"]), max_size=5),
    st.integers(3000, 9000).map(lambda n: "https://example.org/?" + "x" * n),
)


_times = st.floats(0, 4e9)


_made = st.builds(Copy, digest=st.sampled_from([ONE, TWO]), fetched_at=_times, checked_at=_times)


_steps = st.lists(st.tuples(st.sampled_from(["put", "put", "put", "drop", "abort"]), _urls, _made), max_size=25)


@given(_steps)
@settings(max_examples=40)
def test_records_behave_like_a_sorted_dictionary(steps: list[tuple[str, str, Copy]]) -> None:
    model: dict[str, Copy] = {}
    with tempfile.TemporaryDirectory() as folder:
        index = Index(Path(folder))
        for action, url, copy in steps:
            if action == "put":
                index.put_copy(url, copy)
                model[url] = copy
            elif action == "drop":
                index.drop_copy(url)
                model.pop(url, None)
            else:
                with pytest.raises(KeyboardInterrupt), index.batch():
                    index.put_copy(url, copy)
                    assert index.copy(url) == copy
                    raise KeyboardInterrupt
            assert index.copy(url) == model.get(url)
        index.close()
        index = Index(Path(folder), repair=False)
        assert list(index.copies()) == sorted(model.items())
        assert index.counts().copies == len(model)
        index.close()


def test_changed_is_set_if_the_manifest_would_differ(index: Index, tmp_path: Path) -> None:
    assert not index.changed

    def changes() -> bool:
        answer = index.changed
        index.mark_exported()
        assert not index.changed
        return answer

    asset = unreal_asset(ONE)
    index.put_asset(asset)
    assert changes()
    index.put_copy(URL, COPY)
    assert changes()
    index.put_copy(URL, msgspec.structs.replace(COPY, checked_at=99.0))
    index.put_asset(asset)
    index.put_failure(URL, FAILURE)
    index.drop_copy(URL + "x")
    assert not changes()
    index.put_copy(URL, msgspec.structs.replace(COPY, digest=TWO))
    assert changes()
    index.put_asset(msgspec.structs.replace(asset, color="#ffffff"))
    assert changes()
    index.drop_copy(URL)
    assert changes()
    with pytest.raises(ZeroDivisionError), index.batch():
        index.put_copy(URL, COPY)
        assert index.changed
        raise ZeroDivisionError
    assert not index.changed
    index.put_copy(URL, COPY)
    index.close()
    again = Index(tmp_path / "index")
    assert again.changed
    again.close()


def test_a_forgotten_url_stays_forgotten_until_it_is_recorded(index: Index) -> None:
    index.put_copy(URL, COPY)
    index.put_failure(URL, FAILURE)
    index.forget(URL, 5.0)
    assert index.forgotten(URL)
    assert [index.copy(URL), index.failure(URL)] == [None, None]
    assert list(index.forgotten_urls()) == [URL]
    index.unforget(URL)
    assert not index.forgotten(URL)


def test_a_batch_is_atomic_and_invisible_until_it_ends(index: Index, tmp_path: Path) -> None:
    reader = Index(tmp_path / "index", repair=False)
    with index.batch():
        index.put_copy(URL, COPY)
        with index.batch():
            index.put_copy(URL + "2", COPY)
        assert reader.copy(URL) is None
        assert list(reader.copies()) == []
    assert [url for url, _ in reader.copies()] == [URL, URL + "2"]
    reader.close()


def test_a_record_without_its_asset_is_not_an_entry(index: Index) -> None:
    index.put_copy(URL, COPY)
    assert list(index.entries()) == []


_KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from imgcache.cache.index.index import Index
from imgcache.core.models import Copy
index = Index(Path(sys.argv[1]))
with index.batch():
    index.put_copy("kept", Copy("1" * 64, 1.0, 2.0))
index.mark_exported()
with index.batch():
    index.put_copy("kept too", Copy("1" * 64, 1.0, 2.0))
with index.batch():
    for number in range(3000):
        index.put_copy(f"lost {number}", Copy("1" * 64, 1.0, 2.0))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_a_batch_keeps_the_earlier_batches(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False, timeout=60)
    assert ran.returncode == -signal.SIGKILL
    index = Index(tmp_path)
    assert not index.damaged
    assert [url for url, _ in index.copies()] == ["kept", "kept too"]
    assert index.changed
    index.close()


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Limits the size of files that this process writes: a write above it fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_rolls_back_the_batch_and_the_index_stays_usable(index: Index) -> None:
    index.put_copy(URL, COPY)
    with no_file_above(500_000), pytest.raises(DiskFull, match=r"cache\.db cannot be written"), index.batch():
        for number in range(20_000):  # more than SQLite keeps in memory
            index.put_copy(f"{URL}{number}", COPY)
        pytest.fail("nothing was written before the end of the batch")
    assert [url for url, _ in index.copies()] == [URL]
    index.put_copy(URL + "2", COPY)
    assert index.copy(URL + "2") == COPY


def test_a_disk_that_is_full_at_the_commit_rolls_back_the_batch(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        index = Index(folder)
        index.put_copy(URL, COPY)
        with pytest.raises(DiskFull, match=r"cache\.db cannot be written"), index.batch():
            for number in range(4000):
                index.put_copy(f"{URL}{number}", COPY)
        assert [url for url, _ in index.copies()] == [URL]
        index.put_copy(URL + "2", COPY)
        assert index.copy(URL + "2") == COPY
        index.close()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_relaxed_commit_becomes_durable_with_the_next_durable_one(tmp_path: Path) -> None:
    with closing(Index(tmp_path)) as index:
        log = tmp_path / "cache.db-wal"
        index.make_durable()
        before = log.stat().st_size
        with index.batch(durable=False):
            index.put_placeholder("a.example", "0" * 64, 1.0)
        loose = log.stat().st_size
        index.make_durable()
        settled = log.stat().st_size
        index.make_durable()
        assert before < loose < settled == log.stat().st_size
