"""`ObjectStore` with an S3 server on real sockets: order of uploads and deletions, views of other machines."""

from __future__ import annotations

import gc
import pickle
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from imgcache.cache import ObjectStore, ReadableStore, connect_bucket
from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.values import StoreUsage
from imgcache.core import StoreError
from tests.conftest import Command
from tests.support.cache_samples import put, rendered, sha256
from tests.support.far_bucket import Far, led_to_bucket
from tests.support.object_store import S3, SECRET


@pytest.fixture
def far(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> Far:
    return led_to_bucket(s3, run, monkeypatch)


@pytest.fixture
def store(far: Far, tmp_path: Path) -> Iterator[ObjectStore]:
    store = far.store(tmp_path / "index")
    store.prepare()
    yield store
    store.close()


def test_the_original_is_uploaded_last_and_deleted_first(
    far: Far, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = put(store, b"original", {"w64.webp": b"small", "thumb.jpg": b"tiny"})
    uploads = [line for line in far.s3.requests() if line.startswith(f"PUT /{far.name}/")]
    assert (len(uploads), uploads[-1].rsplit("/", 1)[1]) == (3, "original.jpg")
    left: list[list[str]] = []
    delete = Bucket.delete

    def watched(self: Bucket, keys: Iterable[str]) -> None:
        delete(self, keys)
        left.append(sorted(path.rsplit("/", 1)[1] for path in far.files()))

    monkeypatch.setattr(Bucket, "delete", watched)
    store.remove(asset.digest)
    assert left == [["thumb.jpg", "w64.webp"], []]
    far.write(asset.variants[0].path, b"small")  # as a run that was killed leaves it
    other = far.store(tmp_path / "other")
    assert (other.stamp(asset.digest), list(other.digests())) == (None, [asset.digest])
    other.close()


def test_a_large_original_is_uploaded_in_parts(far: Far, store: ObjectStore) -> None:
    data = bytes(range(256)) * 80_000
    asset = put(store, data, {})
    fields, held = far.s3.ask("GET", f"/{far.name}/the/prefix/{asset.original}")
    assert sha256(held) == asset.digest
    assert "-" in fields["etag"]  # as S3 marks what came in parts
    assert put(store, data, {}) == asset


def test_a_downloaded_original_is_removed_with_its_path_object(store: ObjectStore) -> None:
    asset = put(store, b"original", {})
    path = store.original(asset)
    assert path.read_bytes() == b"original"
    sent = pickle.loads(pickle.dumps(path))
    assert (type(sent), sent) == (type(Path()), Path(str(path)))
    where = str(path)
    del path
    gc.collect()
    assert not Path(where).exists()


def test_an_inventory_that_is_damaged_or_of_another_bucket_is_rebuilt(
    far: Far, store: ObjectStore, tmp_path: Path
) -> None:
    asset = put(store, b"original", {"w64.webp": b"small"})
    store.close()
    (tmp_path / "index/objects.db").write_bytes(b"no database" * 1000)
    for ending in ("-wal", "-shm"):
        (tmp_path / f"index/objects.db{ending}").unlink(missing_ok=True)
    again = far.store(tmp_path / "index")
    assert (again.usage(), again.missing(asset)) == (StoreUsage(1, 2, 13), ())
    again.close()
    elsewhere = ObjectStore(connect_bucket(far.s3.make_bucket(f"b{uuid4().hex}")), tmp_path / "index")
    assert elsewhere.usage() == StoreUsage(0, 0, 0)
    elsewhere.close()


def test_a_server_reads_files_and_ranges_and_signs_urls(far: Far, store: ObjectStore) -> None:
    asset = put(store, b"0123456789", {})
    bucket: ReadableStore = connect_bucket(far.url)
    found = bucket.metadata(asset.original)
    assert found is not None
    assert (found.bytes, found.etag[:1]) == (10, '"')
    assert bucket.read(asset.original) == b"0123456789"
    assert (bucket.read(asset.original, 3, 6), bucket.read(asset.original, 7)) == (b"345", b"789")
    assert b"".join(bucket.chunks(asset.original) or ()) == b"0123456789"
    nothing = "assets/aa/nothing"
    assert [bucket.metadata(nothing), bucket.read(nothing), bucket.chunks(nothing)] == [None] * 3
    url = bucket.signed_url(asset.original, 60)
    assert url is not None
    assert SECRET not in url
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"0123456789"


def test_a_variant_that_cannot_be_stored_leaves_no_original(store: ObjectStore, far: Far, tmp_path: Path) -> None:
    with store.staging() as folder:
        folder.mkdir()
        (folder / "fetched").write_bytes(b"original")
        (folder / "w64.webp").write_bytes(b"small")
        far.s3.ask("DELETE", f"/{far.name}")
        with pytest.raises(StoreError, match="the bucket does not exist"):
            store.commit(folder, sha256(b"original"), rendered({"w64.webp": b"small"}), folder / "fetched")
    far.s3.make_bucket(far.name)
    assert far.files() == {}


def test_a_document_replaced_by_another_machine_is_not_overwritten(far: Far, tmp_path: Path) -> None:
    mine, others = (far.store(tmp_path / name).document("manifest.json") for name in ("mine", "others"))
    part = tmp_path / "part"
    assert mine.version() == others.version() == ""
    part.write_bytes(b"others'")
    assert others.replace(part)
    part.write_bytes(b"mine")
    assert mine.version() == others.version() != ""
    with pytest.raises(StoreError, match="replaced by another machine"):
        mine.replace(part)
    assert mine.read() == b"others'"
    part.write_bytes(b"others' second")
    assert others.replace(part)


def test_an_asset_committed_by_another_process_needs_no_request(far: Far, tmp_path: Path) -> None:
    mine, others = far.store(tmp_path / "mine"), far.store(tmp_path / "others")
    others.prepare()
    asset = put(others, b"original", {"w64.webp": b"small"})
    asked = far.asked()
    mine.note_committed(asset)
    assert (mine.missing(asset), mine.stamp(asset.digest)) == ((), others.stamp(asset.digest))
    assert far.asked() == asked
    mine.close()
    others.close()
