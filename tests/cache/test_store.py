"""The cache as plain files: names, and files that are never changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcache.cache import LocalStore
from imgcache.cache.store.values import StoreUsage
from imgcache.core import DiskFull
from imgcache.downloader.http.body import new_part
from tests.support.cache_samples import opened, put, rendered, sha256, unreal_asset

BIG = b"original " * 100
SMALL = {"thumb.jpg": b"thumb", "w320.webp": b"webp 320"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    store = opened(tmp_path / "cache")
    yield store
    store.close()


def test_a_web_server_may_read_stored_files(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        store = opened(tmp_path / "cache")
        with store.staging() as folder:
            folder.mkdir()
            with new_part(store.scratch) as part:
                part.write(BIG)
            asset = store.commit(folder, sha256(BIG), rendered({}), Path(part.name))
        store.close()
    finally:
        os.umask(previous)
    file = store.original(asset)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o750


def test_storing_equal_bytes_again_writes_no_file(store: LocalStore) -> None:
    files = list(store.original(put(store, BIG, SMALL)).parent.iterdir())
    for file in files:
        os.utime(file, ns=(1, 1))
    before = [file.stat().st_ino for file in files]
    put(store, BIG, SMALL)
    put(store, None, SMALL, digest=sha256(BIG))
    assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files] == [(inode, 1) for inode in before]


def test_an_original_inside_the_store_is_not_moved(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = put(store, BIG, {})
    moved: list[str] = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        moved.append(self.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    with store.staging() as folder:
        folder.mkdir()
        (folder / "w320.webp").write_bytes(b"new")
        asset = store.commit(folder, first.digest, rendered({"w320.webp": b"new"}), store.original(first))
    assert moved == [folder.name, "w320.webp"]
    assert store.damage(asset) == store.damage(first) == ()


def test_the_stamp_is_the_time_of_the_last_addition_or_removal(store: LocalStore) -> None:
    asset = put(store, BIG, {})
    os.utime(store.original(asset).parent, ns=(1, 1))
    assert store.stamp(asset.digest) == 1


@pytest.mark.parametrize("harm", ["folder", "link"])
def test_anything_but_a_regular_file_counts_as_missing(store: LocalStore, tmp_path: Path, harm: str) -> None:
    asset = put(store, BIG, SMALL)
    file = tmp_path / "cache" / asset.variants[1].path
    data = file.read_bytes()
    file.unlink()
    if harm == "folder":
        file.mkdir()
    else:
        file.with_name("elsewher").write_bytes(data)
        file.symlink_to("elsewher")
        assert file.lstat().st_size == len(data)
    assert store.missing(asset) == store.damage(asset) == (asset.variants[1].path,)


def test_a_flipped_bit_is_found_in_any_position(store: LocalStore, tmp_path: Path) -> None:
    asset = put(store, BIG, {"w1280.webp": BIG[::-1]})
    paths = (asset.original, asset.variants[0].path)
    for where in range(len(BIG)):
        for path, data in zip(paths, (BIG, BIG[::-1]), strict=True):
            flipped = bytes([data[where] ^ 1 << where % 8])
            (tmp_path / "cache" / path).write_bytes(data[:where] + flipped + data[where + 1 :])
        assert store.damage(asset) == paths, where


def test_removing_the_last_image_removes_its_prefix_folder(store: LocalStore) -> None:
    asset = put(store, BIG, SMALL)
    store.remove(asset.digest)
    assert not store.original(asset).parent.parent.exists()


@pytest.mark.parametrize("depth", [1, 2])
def test_links_inside_assets_are_not_followed(store: LocalStore, tmp_path: Path, depth: int) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keep").write_text("me")
    link = tmp_path / "cache" / "assets" / sha256(BIG)[:2] / (sha256(BIG) if depth == 2 else "")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(DiskFull, match="not a plain folder"):
        put(store, BIG, SMALL)
    if depth == 2:
        store.remove(sha256(BIG))
        assert not link.is_symlink()
    assert [p.name for p in elsewhere.iterdir()] == ["keep"]
    assert list(store.digests()) == []


def test_reading_creates_no_folder(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "cache")
    assert list(store.digests()) == []
    assert store.usage() == StoreUsage(0, 0, 0)
    assert store.stamp("a" * 64) is None
    assert len(store.missing(unreal_asset("a" * 64))) == 2
    assert list(tmp_path.iterdir()) == []
