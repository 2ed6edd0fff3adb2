"""The cache as plain files: what lies where, and what is never changed."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.errors import DiskFull
from imgcache.models import Asset
from imgcache.net.body import new_part
from imgcache.store import Store, Usage
from imgcache.store.local import LocalStore
from tests.cache_samples import RECIPE, opened, put, rendered, sha256, unreal_asset

BIG = b"original " * 100
SMALL = {"thumb.jpg": b"thumb", "w320.webp": b"webp 320"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    store = opened(tmp_path / "cache")
    yield store
    store.close()


def test_is_a_store(store: LocalStore) -> None:
    checked_by_types: Store = store
    assert checked_by_types is store


def test_a_new_image_lies_under_its_digest(store: LocalStore, tmp_path: Path) -> None:
    asset = put(store, BIG, SMALL)
    base = f"assets/{asset.digest[:2]}/{asset.digest}"
    assert asset.digest == sha256(BIG)
    assert asset.original == f"{base}/original.jpg"
    assert [v.path for v in asset.variants] == [f"{base}/thumb.jpg", f"{base}/w320.webp"]
    assert (asset.bytes, asset.width, asset.height, asset.recipes) == (len(BIG), 640, 480, (RECIPE,))
    home = tmp_path / "cache" / base
    assert {p.name: p.read_bytes() for p in home.iterdir()} == {"original.jpg": BIG, **SMALL}
    assert store.missing(asset) == store.damage(asset) == store.strays(asset) == ()
    assert list(store.digests()) == [asset.digest]
    assert store.usage() == Usage(1, 3, len(BIG) + 5 + 8)
    assert list(store.scratch.iterdir()) == []


def test_a_web_server_may_read_what_came(tmp_path: Path) -> None:
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


def test_equal_bytes_again_change_nothing(store: LocalStore) -> None:
    first = put(store, BIG, SMALL)
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in store.original(first).parent.iterdir()}
    stamp = store.stamp(first.digest)
    assert put(store, BIG, SMALL) == first
    assert put(store, None, SMALL, digest=first.digest) == first
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in before} == before
    assert store.stamp(first.digest) == stamp
    assert list(store.scratch.iterdir()) == []


def test_the_stores_own_file_as_original_stays_where_it_is(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_variant_that_is_the_original_needs_no_file(store: LocalStore) -> None:
    asset = put(store, BIG, {"w1280.jpg": BIG, "thumb.jpg": b"t"})
    assert asset.variants[0].path == asset.original
    assert {p.name for p in store.original(asset).parent.iterdir()} == {"original.jpg", "thumb.jpg"}
    assert store.damage(asset) == ()


def test_the_stamp_tells_when_files_come_and_go(store: LocalStore) -> None:
    assert store.stamp(sha256(BIG)) is None
    asset = put(store, BIG, {})
    os.utime(store.original(asset).parent, ns=(1, 1))
    assert store.stamp(asset.digest) == 1
    put(store, None, SMALL, digest=asset.digest)
    after = store.stamp(asset.digest)
    assert after is not None and after > 1
    store.remove(asset.digest)
    assert store.stamp(asset.digest) is None


@pytest.mark.parametrize("harm", ["gone", "short", "folder", "link"])
def test_a_missing_file_is_named(store: LocalStore, tmp_path: Path, harm: str) -> None:
    asset = put(store, BIG, SMALL)
    file = tmp_path / "cache" / asset.variants[1].path
    data = file.read_bytes()
    file.unlink()
    if harm == "short":
        file.write_bytes(data[:-1])
    elif harm == "folder":
        file.mkdir()
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        file.symlink_to(tmp_path / "elsewhere")
    assert store.missing(asset) == store.damage(asset) == (asset.variants[1].path,)


@given(where=st.integers(0, len(BIG) - 1), bit=st.integers(0, 7))
@settings(max_examples=20, deadline=None)
def test_one_flipped_bit_is_found_and_mended(where: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder))
        asset = put(store, BIG, {"w1280.webp": BIG[::-1]})
        for path in (asset.original, asset.variants[0].path):
            file = Path(folder) / path
            data = bytearray(file.read_bytes())
            data[where] ^= 1 << bit
            file.write_bytes(data)
        assert store.missing(asset) == ()
        assert store.damage(asset) == (asset.original, asset.variants[0].path)
        store.discard([asset.variants[0].path])
        assert put(store, BIG, {"w1280.webp": BIG[::-1]}) == asset
        assert store.damage(asset) == ()
        store.close()


_images = st.sampled_from([b"first", b"second"])


_bytes = st.sampled_from([b"", b"x", b"yy", b"first"])


_puts = st.tuples(_images, st.dictionaries(st.sampled_from(["a.webp", "b.webp", "a.jpg"]), _bytes), st.integers(0, 2))


@given(st.lists(_puts, max_size=8))
@settings(max_examples=40, deadline=None)
def test_whatever_comes_later_what_was_committed_stays(history: list[tuple[bytes, dict[str, bytes], int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder))
        assets: list[Asset] = []
        for original, variants, recipe in history:
            assets.append(put(store, original, variants, recipe=f"{recipe}" * 12))
            assert [store.damage(asset) for asset in assets] == [()] * len(assets)
            assert [v.digest for v in assets[-1].variants] == [sha256(data) for data in variants.values()]
        assert set(store.digests()) == {asset.digest for asset in assets}
        assert list(store.scratch.iterdir()) == []
        store.close()


def test_many_at_once_make_one(store: LocalStore) -> None:
    start = threading.Barrier(8)

    def commit(number: int) -> Asset:
        start.wait(10)
        return put(store, BIG, {"same.webp": b"same", f"own{number}.webp": b"own %d" % number})

    with ThreadPoolExecutor(8) as threads:
        assets = list(threads.map(commit, range(8)))
    assert list(store.digests()) == [sha256(BIG)]
    assert [store.damage(asset) for asset in assets] == [()] * 8
    assert store.usage().files == 10
    assert list(store.scratch.iterdir()) == []


def test_remove_takes_all_and_only_that(store: LocalStore, tmp_path: Path) -> None:
    one, two = put(store, BIG, SMALL), put(store, b"other", SMALL)
    store.remove(one.digest)
    store.remove("f" * 64)
    assert list(store.digests()) == [two.digest]
    assert not store.original(one).parent.parent.exists()
    assert store.damage(two) == ()
    assert list(store.scratch.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "assets/../x", "", "assets/ab/abc/x", "manifest.json"]
)
def test_a_record_cannot_name_a_file_elsewhere(store: LocalStore, path: str) -> None:
    asset = unreal_asset("a" * 64, original=path, variants=())
    assert store.missing(asset) == store.damage(asset) == (path,)
    assert store.salvage(asset) is None
    with pytest.raises(ValueError, match="no path of an asset"):
        store.discard([path])
    with pytest.raises(ValueError, match="no SHA-256"):
        store.remove(path)


@pytest.mark.parametrize("name", ["../x.webp", "a/b.webp", ".hidden", "", "original.jpg"])
def test_a_variant_cannot_be_named_into_another_folder(store: LocalStore, name: str) -> None:
    with store.staging() as folder:
        folder.mkdir()
        (folder / "fetched").write_bytes(BIG)
        with pytest.raises(ValueError, match="cannot be the name"):
            store.commit(folder, sha256(BIG), rendered({name: b"x"}), folder / "fetched")
    assert list(store.digests()) == []


@pytest.mark.parametrize("depth", [1, 2])
def test_links_inside_assets_are_not_followed(store: LocalStore, tmp_path: Path, depth: int) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keep").write_text("me")
    link = tmp_path / "cache" / "assets" / sha256(BIG)[:2] / (sha256(BIG) if depth == 2 else "")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(DiskFull, match="no plain folder"):
        put(store, BIG, SMALL)
    if depth == 2:
        store.remove(sha256(BIG))
        assert not link.is_symlink()
    assert [p.name for p in elsewhere.iterdir()] == ["keep"]
    assert list(store.digests()) == []


def test_a_file_cut_short_on_the_way_is_not_committed(store: LocalStore) -> None:
    with store.staging() as folder:
        folder.mkdir()
        (folder / "fetched").write_bytes(BIG)
        (folder / "w320.webp").write_bytes(b"hal")
        with pytest.raises(DiskFull, match="3 bytes instead of 5"):
            store.commit(folder, sha256(BIG), rendered({"w320.webp": b"whole"}), folder / "fetched")
    assert list(store.digests()) == []


def test_salvage_gives_back_what_is_whole(store: LocalStore, tmp_path: Path) -> None:
    asset = put(store, BIG, SMALL)
    (tmp_path / "cache" / asset.variants[0].path).write_bytes(b"longer than it was")
    bare = msgspec.structs.replace(
        asset,
        variants=tuple(msgspec.structs.replace(v, digest="", recipe="") for v in asset.variants),
        recipes=(),
    )
    found = store.salvage(bare)
    assert found is not None
    kept = msgspec.structs.replace(asset.variants[1], recipe="")
    assert found[0] == msgspec.structs.replace(asset, variants=(kept,), recipes=())
    assert found[1] == store.original(asset).stat().st_mtime
    store.original(asset).write_bytes(BIG[::-1])
    assert store.salvage(bare) is None


def test_reading_makes_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "cache")
    assert list(store.digests()) == []
    assert store.usage() == Usage(0, 0, 0)
    assert store.stamp("a" * 64) is None
    assert len(store.missing(unreal_asset("a" * 64))) == 2
    assert list(tmp_path.iterdir()) == []
