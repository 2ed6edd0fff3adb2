"""manifest.json: its keys, its order, and what happens when it cannot be read or written."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.cache import HeldEntry, Index
from imgcache.core import (  # fmt: skip
    Asset,
    ConfigError,
    Copy,
    DiskFull,
    Variant,
)
from imgcache.manifest import Manifest, read_manifest
from tests.support.cache_samples import RECIPE, unreal_asset

ONE, TWO = "1" * 64, "2" * 64


def test_the_manifest_has_the_documented_keys_and_one_line_for_each_image(site: Path, manifest: Manifest) -> None:
    two = unreal_asset(TWO)
    assert manifest.write([HeldEntry('https://e.org/ä?a="1"&b', unreal_asset(ONE)), HeldEntry("https://e.org/ü", two)])
    text = (site / "cache" / "manifest.json").read_text()
    assert len(text.splitlines()) == 4
    document = json.loads(text)
    assert list(document) == ["version", "images"]
    assert document["version"] == 1
    entry = document["images"]['https://e.org/ä?a="1"&b']
    assert ",".join(entry) == "digest,media_type,width,height,bytes,color,placeholder,original,variants"
    base = f"assets/11/{ONE}"
    assert entry["original"] == f"{base}/original.jpg"
    assert entry["variants"] == [
        {"name": "w320", "width": 320, "height": 240, "format": "webp", "bytes": 5, "path": f"{base}/w320.webp"}
    ]
    assert list((site / "cache/index/staging").iterdir()) == []


def test_writing_the_same_again_does_not_replace_the_file(site: Path, manifest: Manifest) -> None:
    file = site / "cache" / "manifest.json"
    assert manifest.write([HeldEntry("u:1", unreal_asset(ONE))])
    before = file.stat()
    assert not manifest.write([HeldEntry("u:1", unreal_asset(ONE))])
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert manifest.write([HeldEntry("u:2", unreal_asset(ONE))])
    assert file.stat().st_ino != before.st_ino
    assert list((site / "cache/index/staging").iterdir()) == []


def test_an_empty_manifest_is_valid(site: Path, manifest: Manifest) -> None:
    assert manifest.read() == {}
    assert manifest.write([])
    assert json.loads((site / "cache/manifest.json").read_text()) == {"version": 1, "images": {}}
    assert manifest.read() == {}


@pytest.mark.parametrize("urls", [["b", "a"], ["a", "a"]])
def test_unsorted_entries_are_refused_and_the_old_file_stays(site: Path, manifest: Manifest, urls: list[str]) -> None:
    manifest.write([])
    with pytest.raises(ValueError, match="comes after"):
        manifest.write([HeldEntry(url, unreal_asset(ONE)) for url in urls])
    assert manifest.read() == {}
    assert list((site / "cache/index/staging").iterdir()) == []


_urls = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_variants = st.lists(
    st.builds(
        Variant, name=st.text(max_size=4), width=st.integers(1, 9), height=st.integers(1, 9), format=st.just("webp"),
        bytes=st.integers(0, 9), path=st.text(max_size=4), recipe=st.just(RECIPE), digest=st.just(TWO),
    ),
    max_size=3,
).map(tuple)  # fmt: skip
_assets = st.builds(
    lambda digest, variants: unreal_asset(digest, variants=variants), st.sampled_from([ONE, TWO]), _variants
)


@given(st.dictionaries(_urls, _assets, max_size=8), st.randoms())
@settings(max_examples=40)
def test_the_bytes_do_not_depend_on_the_order_of_insertion(images: dict[str, Asset], random: Random) -> None:
    written: list[bytes] = []
    by_digest = {asset.digest: asset for asset in images.values()}
    with tempfile.TemporaryDirectory() as name:
        for turn in range(2):
            cache = Path(name) / str(turn)
            index = Index(cache / "index")
            urls = list(images)
            random.shuffle(urls)
            for url in urls:
                index.put_asset(by_digest[images[url].digest])
                index.put_copy(url, Copy(images[url].digest, float(turn), 2.0))
            manifest = Manifest(site=cache, cache=cache, scratch=cache / "index")
            assert manifest.export(index)
            assert not manifest.export(index)
            written.append((cache / "manifest.json").read_bytes())
            index.close()
        assert written[0] == written[1]
        assert list(json.loads(written[0])["images"]) == sorted(images)
        entries = read_manifest(cache / "manifest.json")
        assert entries.keys() == images.keys()
        for url, entry in entries.items():
            asset = by_digest[images[url].digest]
            bare = tuple(msgspec.structs.replace(v, recipe="", digest="") for v in asset.variants)
            assert entry.asset() == msgspec.structs.replace(asset, variants=bare, recipes=())


def test_export_completes_the_manifest_of_a_killed_run(site: Path, manifest: Manifest) -> None:
    index = Index(site / "cache" / "index")
    index.put_asset(unreal_asset(ONE))
    index.put_copy("u:1", Copy(ONE, 1.0, 2.0))
    index.close()
    index = Index(site / "cache" / "index")
    assert manifest.export(index)
    assert not manifest.export(index)
    (site / "cache/manifest.json").unlink()
    assert manifest.export(index)
    index.close()


def test_writing_takes_constant_memory(site: Path, manifest: Manifest) -> None:
    def entries(count: int) -> Iterator[HeldEntry]:
        return (HeldEntry(f"u:{number:09}", unreal_asset(ONE)) for number in range(count))

    manifest.write([])
    peaks = []
    for count in (500, 5000):
        tracemalloc.start()
        manifest.write(entries(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 4500 * 50


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no manifest"),
        (b"{", "no manifest"),
        (b"\xff", "no manifest"),
        (b'{"version":2,"images":[]}', "version 2, and this imgcache reads 1"),
        (b'{"version":1,"images":{"u":{}}}', "no manifest"),
    ],
)
def test_the_error_of_an_unreadable_manifest_has_its_path(
    site: Path, manifest: Manifest, data: bytes, message: str
) -> None:
    (site / "cache/manifest.json").write_bytes(data)
    with pytest.raises(ConfigError, match=message) as caught:
        manifest.read()
    assert caught.value.where == str(site / "cache/manifest.json")


def test_unknown_keys_of_a_later_version_are_ignored(site: Path, manifest: Manifest) -> None:
    manifest.write([HeldEntry("u:1", unreal_asset(ONE))])
    file = site / "cache/manifest.json"
    file.write_bytes(file.read_bytes().replace(b'"digest"', b'"credit":{"by":[1]},"digest"'))
    assert manifest.read()["u:1"].digest == ONE


def test_a_full_disk_leaves_the_old_manifest(site: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest.write([])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"manifest\.json cannot be written: No space"):
        manifest.write([HeldEntry("u:1", unreal_asset(ONE))])
    assert manifest.read() == {}
    assert list((site / "cache/index/staging").iterdir()) == []
