"""What every store keeps to: the folder, and objects in memory, in a folder, and on S3."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.cache.store.values import StoreUsage
from imgcache.core import Asset, DiskFull
from tests.support.cache_samples import RECIPE, put, rendered, sha256, unreal_asset
from tests.support.object_store import S3
from tests.support.places import KINDS, Place, open_place

BIG = b"original " * 100
NEIGHBOUR = b"neighbour 62"  # its digest begins as that of BIG: both lie in one folder of assets/
SMALL = {"thumb.jpg": b"thumb", "w320.webp": b"webp 320"}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    def s3() -> S3:
        server: S3 = request.getfixturevalue("s3")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        return server

    place = open_place(request.param, tmp_path, s3)
    place.store.prepare()
    yield place
    place.store.close()


def test_a_new_image_is_stored_under_its_digest(place: Place) -> None:
    store = place.store
    asset = put(store, BIG, SMALL)
    base = f"assets/{asset.digest[:2]}/{asset.digest}"
    assert asset.digest == sha256(BIG)
    assert asset.original == f"{base}/original.jpg"
    assert [variant.path for variant in asset.variants] == [f"{base}/thumb.jpg", f"{base}/w320.webp"]
    assert (asset.bytes, asset.width, asset.height, asset.recipes) == (len(BIG), 640, 480, (RECIPE,))
    assert place.files() == {f"{base}/original.jpg": BIG, **{f"{base}/{name}": data for name, data in SMALL.items()}}
    assert store.missing(asset) == store.damage(asset) == store.unrecorded_files(asset) == ()
    assert list(store.digests()) == [asset.digest]
    assert store.usage() == StoreUsage(1, 3, len(BIG) + 5 + 8)
    assert store.original(asset).read_bytes() == BIG
    assert list(store.scratch.iterdir()) == []


def test_storing_equal_bytes_again_changes_nothing(place: Place) -> None:
    store = place.store
    first = put(store, BIG, SMALL)
    before, stamp = place.files(), store.stamp(first.digest)
    assert put(store, BIG, SMALL) == first
    assert put(store, None, SMALL, digest=first.digest) == first
    assert (place.files(), store.stamp(first.digest)) == (before, stamp)
    assert list(store.scratch.iterdir()) == []


def test_variants_are_added_to_the_stored_original(place: Place) -> None:
    store = place.store
    first = put(store, BIG, {})
    original = store.original(first)
    with store.staging() as folder:
        folder.mkdir()
        (folder / "w320.webp").write_bytes(b"new")
        asset = store.commit(folder, first.digest, rendered({"w320.webp": b"new"}), original)
    assert original.read_bytes() == BIG
    assert store.damage(asset) == store.damage(first) == ()
    assert asset.bytes == len(BIG)


def test_other_bytes_never_replace_an_existing_name(place: Place) -> None:
    store = place.store
    first = put(store, BIG, {"w320.webp": b"one"}, recipe="a" * 12)
    second = put(store, None, {"w320.webp": b"two"}, recipe="b" * 12, digest=first.digest)
    third = put(store, None, {"w320.webp": b"three"}, recipe="b" * 12, digest=first.digest)
    names = [Path(asset.variants[0].path).name for asset in (first, second, third)]
    assert names == ["w320.webp", "w320.bbbbbbbb.webp", f"w320.bbbbbbbb.{sha256(b'three')[:8]}.webp"]
    assert store.damage(first) == store.damage(second) == store.damage(third) == ()
    assert store.unrecorded_files(third) == tuple(sorted([first.variants[0].path, second.variants[0].path]))
    store.discard(store.unrecorded_files(third))
    assert store.unrecorded_files(third) == store.damage(third) == ()


def test_a_damaged_file_with_its_digest_in_the_name_is_replaced(place: Place) -> None:
    for data, recipe in ((b"one", "a" * 12), (b"two", "b" * 12), (b"three", "b" * 12)):
        asset = put(place.store, BIG, {"w320.webp": data}, recipe)
    place.write(asset.variants[0].path, b"thr??")
    assert place.store.damage(asset) == (asset.variants[0].path,)
    assert put(place.store, BIG, {"w320.webp": b"three"}, "b" * 12) == asset
    assert place.store.damage(asset) == ()


def test_a_machine_without_an_inventory_replaces_no_name_either(place: Place) -> None:
    first = put(place.store, BIG, {"w320.webp": b"one"}, recipe="a" * 12)
    place.store.make_durable()
    other = place.again()
    try:
        other.prepare()
        second = put(other, BIG, {"w320.webp": b"two"}, recipe="b" * 12)
        assert Path(second.variants[0].path).name == "w320.bbbbbbbb.webp"
        assert place.store.damage(first) == other.damage(second) == ()
        assert put(other, BIG, {"w320.webp": b"one"}, recipe="a" * 12) == first
    finally:
        other.close()


def test_a_variant_equal_to_the_original_needs_no_file(place: Place) -> None:
    asset = put(place.store, BIG, {"w1280.jpg": BIG, "thumb.jpg": b"t"})
    assert asset.variants[0].path == asset.original
    assert {Path(path).name for path in place.files()} == {"original.jpg", "thumb.jpg"}
    assert place.store.damage(asset) == ()


def test_the_stamp_changes_when_files_are_added_or_removed(place: Place) -> None:
    store = place.store
    assert store.stamp(sha256(BIG)) is None
    asset = put(store, BIG, {})
    before = store.stamp(asset.digest)
    assert before is not None
    time.sleep(0.02)  # the clock of a file system may tick a hundred times a second only
    put(store, None, SMALL, digest=asset.digest)
    assert store.stamp(asset.digest) not in (None, before)
    store.remove(asset.digest)
    assert store.stamp(asset.digest) is None


@pytest.mark.parametrize("harm", ["gone", "short"])
def test_a_missing_file_is_named(place: Place, harm: str) -> None:
    store = place.store
    asset = put(store, BIG, SMALL)
    path = asset.variants[1].path
    if harm == "gone":
        store.discard([path])
    else:
        place.write(path, place.files()[path][:-1])
        store.refresh()
    assert store.missing(asset) == store.damage(asset) == (path,)


def test_an_empty_file_counts_as_a_file(place: Place) -> None:
    asset = put(place.store, BIG, {"w320.webp": b""})
    assert place.store.missing(asset) == place.store.damage(asset) == ()


def test_a_flipped_bit_is_found_and_repaired(place: Place) -> None:
    store = place.store
    asset = put(store, BIG, {"w1280.webp": BIG[::-1]})
    for path in (asset.original, asset.variants[0].path):
        data = bytearray(place.files()[path])
        data[7] ^= 1
        place.write(path, bytes(data))
    store.refresh()
    assert store.missing(asset) == ()
    assert store.damage(asset) == (asset.original, asset.variants[0].path)
    store.discard([asset.variants[0].path])
    assert put(store, BIG, {"w1280.webp": BIG[::-1]}) == asset
    assert store.damage(asset) == ()


def test_many_simultaneous_commits_store_one_asset(place: Place) -> None:
    start = threading.Barrier(6)

    def commit(number: int) -> Asset:
        start.wait(10)
        return put(place.store, BIG, {"same.webp": b"same", f"own{number}.webp": b"own %d" % number})

    with ThreadPoolExecutor(6) as threads:
        assets = list(threads.map(commit, range(6)))
    assert [place.store.damage(asset) for asset in assets] == [()] * 6
    assert place.store.usage() == StoreUsage(1, 8, len(BIG) + 4 + 6 * 5)
    assert len(place.files()) == 8
    assert list(place.store.digests()) == [sha256(BIG)]
    assert list(place.store.scratch.iterdir()) == []


def test_remove_deletes_exactly_one_asset(place: Place) -> None:
    store = place.store
    one, two = put(store, BIG, SMALL), put(store, NEIGHBOUR, SMALL)
    assert list(store.digests()) == sorted([one.digest, two.digest])
    store.remove(one.digest)
    store.remove("f" * 64)
    assert list(store.digests()) == [two.digest]
    assert {path.split("/")[2] for path in place.files()} == {two.digest}
    assert store.damage(two) == ()
    assert list(store.scratch.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "assets/../x", "", "assets/ab/abc/x", "manifest.json"]
)
def test_a_record_cannot_name_a_file_elsewhere(place: Place, path: str) -> None:
    store = place.store
    asset = unreal_asset("a" * 64, original=path, variants=())
    place.write("manifest.json", b"x" * asset.bytes)
    assert store.missing(asset) == store.damage(asset) == (path,)
    assert store.salvage(asset) is None
    for call in (lambda: store.discard([path]), lambda: store.original(asset)):
        with pytest.raises(ValueError, match="not the path of an asset"):
            call()
    with pytest.raises(ValueError, match="not a SHA-256"):
        store.remove(path)


@pytest.mark.parametrize("name", ["../x.webp", "a/b.webp", ".hidden", "", "original.jpg"])
def test_a_variant_cannot_be_named_into_another_folder(place: Place, name: str) -> None:
    with place.store.staging() as folder:
        folder.mkdir()
        (folder / "fetched").write_bytes(BIG)
        with pytest.raises(ValueError, match="cannot be the name"):
            place.store.commit(folder, sha256(BIG), rendered({name: b"x"}), folder / "fetched")
    assert (place.files(), list(place.store.digests())) == ({}, [])


def test_a_truncated_file_is_not_committed(place: Place) -> None:
    with place.store.staging() as folder:
        folder.mkdir()
        (folder / "fetched").write_bytes(BIG)
        (folder / "w320.webp").write_bytes(b"hal")
        with pytest.raises(DiskFull, match="3 bytes instead of 5"):
            place.store.commit(folder, sha256(BIG), rendered({"w320.webp": b"whole"}), folder / "fetched")
    assert (place.files(), list(place.store.digests())) == ({}, [])


def test_another_machine_finds_committed_assets_and_restores_complete_ones(place: Place) -> None:
    asset = put(place.store, BIG, SMALL)
    place.store.make_durable()
    place.write(asset.variants[0].path, b"longer than it was")
    other = place.again()
    try:
        bare = msgspec.structs.replace(
            asset,
            variants=tuple(msgspec.structs.replace(one, digest="", recipe="") for one in asset.variants),
            recipes=(),
        )
        assert other.missing(asset) == (asset.variants[0].path,)
        assert list(other.digests()) == [asset.digest]
        found = other.salvage(bare)
        assert found is not None
        kept = msgspec.structs.replace(asset.variants[1], recipe="")
        assert found[0] == msgspec.structs.replace(asset, variants=(kept,), recipes=())
        assert found[1] == place.written(asset.original)
        place.write(asset.original, BIG[::-1])
        assert other.salvage(bare) is None
    finally:
        other.close()


def test_reading_a_missing_file_returns_none(place: Place) -> None:
    store = place.again()
    try:
        assert list(store.digests()) == []
        assert store.usage() == StoreUsage(0, 0, 0)
        assert store.stamp("a" * 64) is None
        assert len(store.missing(unreal_asset("a" * 64))) == 2
        assert place.files() == {}
    finally:
        store.close()


def test_a_document_is_replaced_atomically(place: Place, tmp_path: Path) -> None:
    document = place.store.document("manifest.json")
    part = place.store.scratch / "part"

    def replace(data: bytes) -> bool:
        part.write_bytes(data)
        return document.replace(part)

    assert (document.version(), document.read()) == ("", None)
    assert replace(b"one")
    first = document.version()
    assert (document.read(), bool(first)) == (b"one", True)
    assert not replace(b"one")
    assert document.version() == first
    assert replace(b"two")
    assert document.read() == b"two"
    assert document.version() not in ("", first)
    assert not part.exists()


_images = st.sampled_from([b"first", b"second"])
_bytes = st.sampled_from([b"", b"x", b"yy", b"first"])
_names = st.sampled_from(["a.webp", "b.webp", "a.jpg"])
_no_variants: st.SearchStrategy[dict[str, bytes]] = st.just({})
_steps: st.SearchStrategy[tuple[str, bytes, dict[str, bytes], int]] = st.one_of(
    st.tuples(st.just("put"), _images, st.dictionaries(_names, _bytes), st.integers(0, 2)),
    st.tuples(st.just("remove"), _images, _no_variants, st.just(0)),
    st.tuples(st.just("refresh"), _images, _no_variants, st.just(0)),
)


@given(history=st.lists(_steps, max_size=10))
@settings(max_examples=25)
def test_an_object_store_and_a_folder_behave_alike(
    history: list[tuple[str, bytes, dict[str, bytes], int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever happens, both stores give the same records, hold the same files, and keep what was committed."""
    folder = tmp_path_factory.mktemp("story")
    places = [open_place(kind, folder / kind, lambda: pytest.fail("no S3 here")) for kind in ("folder", "memory")]
    for one in places:
        one.store.prepare()
    kept: dict[str, list[Asset]] = {}
    for what, original, variants, recipe in history:
        if what == "put":
            assets = [put(one.store, original, variants, recipe=f"{recipe}" * 12) for one in places]
            assert assets[0] == assets[1]
            assert [variant.digest for variant in assets[0].variants] == [sha256(data) for data in variants.values()]
            kept.setdefault(sha256(original), []).append(assets[0])
        elif what == "remove":
            kept.pop(sha256(original), None)
            for one in places:
                one.store.remove(sha256(original))
        else:
            places[1].store.refresh()
        assert list(places[0].store.digests()) == list(places[1].store.digests()) == sorted(kept)
        assert places[0].files() == places[1].files()
        assert places[0].store.usage() == places[1].store.usage()
        for asset in (asset for assets in kept.values() for asset in assets):
            for one in places:
                assert one.store.missing(asset) == one.store.damage(asset) == ()
            assert places[0].store.unrecorded_files(asset) == places[1].store.unrecorded_files(asset)
    for one in places:
        assert list(one.store.scratch.iterdir()) == []
        one.store.close()
