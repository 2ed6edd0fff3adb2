"""`imgcache serve` in front of a store whose manifest changes, whose files are damaged, and which fails or hangs."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
import pytest

from imgcache.server.tuning import Tuning
from tests.support.served import ask, write_manifest
from tests.support.served_far import GIF, TIFF, A, B, Cache, Far, four_images, in_front, problem


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return four_images(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def far(cache: Cache) -> Far:
    return Far(cache.folder)


# Every request checks the manifest, and waits for it.
IMPATIENT = Tuning(remote_manifest_interval=0.0, remote_manifest_max_age=-1.0)


# -- the manifest changes --------------------------------------------------------------------------------------------


def test_changes_of_the_manifest_are_followed(tmp_path: Path, cache: Cache, far: Far) -> None:
    path = cache.variant(A, "w320")
    copy = tmp_path / "copy"
    copy.mkdir()
    with in_front(tmp_path, far, tuning=IMPATIENT) as port:
        assert [ask(port, f"/{path}").status for _ in range(2)] == [200, 200]
        write_manifest(copy, {B: cache.assets[B]})
        far.take(copy)
        assert (ask(port, f"/{path}").status, ask(port, f"/image?url={A}").status) == (404, 404)
        assert ask(port, f"/image?url={B}").status == 200
        write_manifest(copy, {A: cache.assets[A]})
        far.take(copy)
        assert (ask(port, f"/image?url={A}").status, ask(port, f"/image?url={B}").status) == (200, 404)
        assert far.files()[path] == 1
        obstore.put(far.client, "manifest.json", b"{")
        health = ask(port, "/healthz")
        assert (health.status, json.loads(health.body)["status"]) == (503, "unreadable")
        assert ask(port, f"/{path}").status == 200


def test_a_removed_image_is_not_served_from_memory(tmp_path: Path, cache: Cache, far: Far) -> None:
    path = cache.variant(A, "w320")
    with in_front(tmp_path, far, tuning=Tuning(remote_manifest_interval=0.05)) as port:
        assert [ask(port, target).status for target in (f"/{path}", f"/{path}", f"/image?url={A}")] == [200] * 3
        write_manifest(tmp_path, {B: cache.assets[B]})
        far.take(tmp_path)
        until = time.monotonic() + 5
        while ask(port, f"/image?url={A}").status == 200 and time.monotonic() < until:
            time.sleep(0.01)
        assert ask(port, f"/{path}").status == 404


@pytest.mark.parametrize("shrinks", [True, False])
def test_a_manifest_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, cache: Cache, far: Far, shrinks: bool
) -> None:
    write_manifest(tmp_path, {B: cache.assets[B]})
    one, all_of_them = (tmp_path / "manifest.json").read_bytes(), cache.bytes_of("manifest.json")
    before, after = (all_of_them, one) if shrinks else (one, all_of_them)
    obstore.put(far.client, "manifest.json", before)

    def replace(path: str) -> None:
        if sum(asked == ("read", "manifest.json") for asked in far.asked) == 1:
            obstore.put(far.client, "manifest.json", after)

    far.on_read = replace
    with in_front(tmp_path, far, tuning=Tuning(remote_manifest_piece_bytes=1000)) as port:
        assert ask(port, "/manifest.json").body == after
        assert (ask(port, f"/image?url={A}").status == 200, ask(port, f"/image?url={B}").status) == (not shrinks, 200)


def _indented(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()


def _turned_round(document: dict[str, Any]) -> bytes:
    """One image a line, as imgcache writes it, with the keys of each entry reversed."""
    entries = ((url, dict(reversed(entry.items()))) for url, entry in document["images"].items())
    lines = (f"{json.dumps(url)}:{json.dumps(entry, separators=(',', ':'))}" for url, entry in entries)
    return ('{"version":1,"images":{\n' + ",\n".join(lines) + "\n}}\n").encode()


def test_a_reformatted_manifest_is_read_and_a_damaged_line_affects_one_image(
    tmp_path: Path, cache: Cache, far: Far
) -> None:
    path, document = cache.variant(A, "w320"), cache.bytes_of("manifest.json")
    with in_front(tmp_path, far, memory=0, tuning=IMPATIENT) as port:
        for write in (_indented, _turned_round):
            obstore.put(far.client, "manifest.json", write(json.loads(document)))
            assert ask(port, f"/{path}").body == cache.bytes_of(path)
            assert ask(port, f"/image?url={B}&format=original").body == cache.bytes_of(cache.assets[B].original)
            assert ask(port, f"/{path}x").status == 404
        obstore.put(far.client, "manifest.json", document.replace(b'"media_type":"image/png"', b'"media_type":0', 1))
        assert problem(ask(port, f"/image?url={B}")) == (500, "damaged")
        assert problem(ask(port, f"/{cache.assets[B].original}")) == (404, "not-found")
        assert ask(port, f"/{cache.assets[A].original}").status == 200


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_while_the_store_is_down_files_in_memory_are_served_and_others_are_503(
    tmp_path: Path, cache: Cache, far: Far
) -> None:
    hot, cold = cache.variant(A, "w320"), cache.variant(B, "w320")
    with in_front(tmp_path, far, tuning=IMPATIENT) as port:
        ask(port, f"/{hot}")
        far.is_down = True
        assert ask(port, f"/{hot}").body == cache.bytes_of(hot)
        for target in (f"/{cold}", f"/{cache.assets[B].original}", f"/image?url={B}&w=300"):
            answer = ask(port, target)
            assert problem(answer) == (503, "unavailable")
            assert (answer.headers["retry-after"], answer.headers["cache-control"]) == ("5", "no-store")
        health = ask(port, "/healthz")
        assert (health.status, json.loads(health.body)["status"]) == (503, "unreachable")
        assert b"imgcache_manifest_readable 0.0" in ask(port, "/metrics").body
        far.is_down = False
        assert (ask(port, f"/{cold}").status, ask(port, "/healthz").status) == (200, 200)


def test_a_server_may_start_before_its_store(tmp_path: Path, cache: Cache, far: Far) -> None:
    far.is_down = True
    targets = (f"/image?url={A}", f"/{cache.assets[A].original}", "/manifest.json", "/healthz")
    with in_front(tmp_path, far, tuning=IMPATIENT) as port:
        assert [ask(port, target).status for target in targets] == [503] * 4
        far.is_down = False
        assert [ask(port, target).status for target in targets] == [200] * 4


def test_a_store_that_hangs_does_not_block_the_server(tmp_path: Path, cache: Cache, far: Far) -> None:
    targets = [f"/{variant.path}" for asset in cache.assets.values() for variant in asset.variants] * 3
    with in_front(tmp_path, far, tuning=Tuning(remote_manifest_interval=0.0, remote_wait=0.5)) as port:
        far.is_open.clear()
        try:
            began = time.monotonic()
            assert ask(port, "/healthz").status == 200  # the manifest was checked a moment ago
            with ThreadPoolExecutor(40) as threads:  # more than may send requests at once
                answers = list(threads.map(lambda target: ask(port, target), targets))
        finally:
            far.is_open.set()
        assert {problem(answer) for answer in answers} == {(503, "unavailable")}
        assert time.monotonic() - began < 3
        assert ask(port, targets[0]).status == 200


def test_a_large_file_is_sent_whole_or_fails_visibly(tmp_path: Path, cache: Cache, far: Far) -> None:
    path = cache.assets[B].original

    def fail(_: str) -> None:
        far.is_down = True

    with in_front(tmp_path, far) as port:
        assert ask(port, f"/{path}", method="HEAD").status == 200
        obstore.put(far.client, path, cache.bytes_of(path)[:-1])
        assert problem(ask(port, f"/{path}")) == (503, "unavailable")
        obstore.delete(far.client, path)
        assert problem(ask(port, f"/{path}")) == (503, "unavailable")
    far.take(cache.folder)
    with in_front(tmp_path, far, tuning=Tuning(remote_piece_bytes=10_000)) as port:
        assert ask(port, f"/{path}", method="HEAD").status == 200
        far.on_read = fail
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            ask(port, f"/{path}")


def test_missing_and_damaged_files_are_404_until_they_are_repaired(tmp_path: Path, cache: Cache, far: Far) -> None:
    small = {url: cache.variant(url, "w320") for url in cache.assets}
    large = {url: asset.original for url, asset in cache.assets.items()}
    for path in (small[A], large[A]):
        obstore.delete(far.client, path)
    for url, left in ((B, slice(0)), (GIF, slice(-1))):
        for path in (small[url], large[url]):
            obstore.put(far.client, path, cache.bytes_of(path)[left])
    obstore.put(far.client, small[TIFF], b"?" * len(cache.bytes_of(small[TIFF])))
    with in_front(tmp_path, far, tuning=Tuning(remote_absent_for=0.4)) as port:
        for url in cache.assets:
            for _ in range(3):
                assert problem(ask(port, f"/{small[url]}")) == (404, "not-found")
                assert problem(ask(port, f"/image?url={url}&w=320&format=webp")) == (404, "gone")
        assert far.files() == dict.fromkeys(small.values(), 1)
        assert [ask(port, f"/{path}").status for path in large.values()] == [404, 404, 404, 200]
        far.take(cache.folder)
        time.sleep(0.45)
        for path in (*small.values(), *large.values()):
            assert ask(port, f"/{path}").body == cache.bytes_of(path)


def test_files_in_memory_are_checked_again_after_a_while(tmp_path: Path, cache: Cache, far: Far) -> None:
    path = cache.variant(A, "w320")
    damaged = cache.bytes_of(path)[:-4] + b"????"
    tuning = Tuning(remote_manifest_interval=0.0, remote_manifest_max_age=-1.0, remote_data_for=0.0)
    obstore.put(far.client, path, damaged)
    with in_front(tmp_path, far, tuning=tuning) as port:
        assert ask(port, f"/{path}").body == damaged
        far.take(cache.folder)
        assert ask(port, f"/{path}").body == cache.bytes_of(path)
        asked = far.files().total()
        far.is_down = True
        assert [ask(port, f"/{path}").body for _ in range(3)] == [cache.bytes_of(path)] * 3
        assert far.files().total() == asked + 1  # and not again for some seconds
