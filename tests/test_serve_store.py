"""`imgcache serve` in front of an object store: the answers of a folder, few requests, and what it says of failures."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import obstore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from imgcache.config import ServePolicy
from imgcache.errors import StoreError
from imgcache.models import Asset
from imgcache.server import remote_blobs, remote_file, remote_library, upstream
from imgcache.store import Found, Reading
from imgcache.store.bucket import Bucket, connect
from tests.conftest import Command
from tests.object_store import S3, SECRET
from tests.served import Response, ask, drawn, held, serving, write_manifest

A, B, GIF, TIFF = (f"https://pictures.example/{name}" for name in ("a.jpg", "b.png", "c.gif", "d.tif"))
# A quarter of it is what one file may take: the originals are large files, and all variants are small ones.
SMALL = 100_000
FRONT = ("date", "server")


class Far:
    """The seam: a store in memory, of which every request is counted, and which can fail, or keep one waiting."""

    def __init__(self, cache: Path) -> None:
        self.client = MemoryStore()
        self._bucket = Bucket(self.client, "memory")
        self.asked: list[tuple[str, str]] = []
        self.is_down = False
        self.is_open = threading.Event()
        self.is_open.set()
        self.on_read: Callable[[str], None] = lambda path: None
        self.take(cache)

    def take(self, cache: Path) -> None:
        """All files of a cache."""
        for file in cache.rglob("*"):
            if file.is_file():
                obstore.put(self.client, str(file.relative_to(cache)), file.read_bytes())

    def files(self) -> Counter[str]:
        """Requests for files under assets/, by path."""
        return Counter(path for _, path in self.asked if path != "manifest.json")

    def _pass(self, what: str, path: str) -> None:
        self.asked.append((what, path))
        assert self.is_open.wait(20)
        if self.is_down:
            raise StoreError(f"memory/{path} cannot be read: no answer")

    def look(self, path: str) -> Found | None:
        self._pass("look", path)
        return self._bucket.look(path)

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes | None:
        self._pass("read", path)
        data = self._bucket.read(path, start, end)
        self.on_read(path)
        return data

    def chunks(self, path: str) -> Iterator[bytes] | None:
        return self._bucket.chunks(path)

    def signed_url(self, path: str, seconds: float) -> str | None:
        return self._bucket.signed_url(path, seconds)


class Cache(msgspec.Struct, frozen=True):
    folder: Path
    assets: dict[str, Asset]

    def variant(self, url: str, name: str) -> str:
        return next(one.path for one in self.assets[url].variants if one.name == name)

    def bytes_of(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    folder = tmp_path_factory.mktemp("cache")
    assets = {url: held(folder, kind) for url, kind in ((A, "jpeg"), (B, "png"), (GIF, "gif"), (TIFF, "tiff"))}
    write_manifest(folder, assets)
    return Cache(folder, assets)


@pytest.fixture
def far(cache: Cache) -> Far:
    return Far(cache.folder)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is looked for at each request, and nothing that is older is good."""
    monkeypatch.setattr(remote_library, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(remote_library, "_STALE_AFTER", -1.0)


@contextmanager
def in_front(tmp_path: Path, store: Reading, memory: int = SMALL, large: str = "stream") -> Iterator[int]:
    """The endpoint over a store; the folder has nothing."""
    with serving(tmp_path / "nothing", ServePolicy(memory=memory, large=large), store=store) as port:
        yield port


def said(answer: Response) -> tuple[int, dict[str, str], bytes]:
    return answer.status, {name: text for name, text in answer.headers.items() if name not in FRONT}, answer.body


def problem(answer: Response) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["error"]


# -- the same as from a folder ---------------------------------------------------------------------------------------


def test_it_answers_as_from_a_folder(tmp_path: Path, cache: Cache, far: Far) -> None:
    small, original, tiff = cache.variant(A, "w320"), cache.assets[B].original, cache.assets[TIFF].original
    tag = f'"{cache.assets[B].digest}"'
    asked: list[tuple[str, str, dict[str, str]]] = [
        (method, target, fields)
        for method in ("GET", "HEAD")
        for target in (f"/image?url={A}&w=300", f"/image?url={B}&format=original", f"/{small}", f"/{original}")
        for fields in (
            {},
            {"accept": "image/webp"},
            {"range": "bytes=10-19"},
            {"range": "bytes=-7"},
            {"range": "bytes=99999999-"},
            {"range": "bytes=5-9", "if_range": tag},
            {"range": "bytes=5-9", "if_range": '"other"'},
            {"if_none_match": tag},
            {"if_none_match": "*"},
            {"if_match": '"other"'},
        )
    ]
    asked += [("GET", f"/{tiff}", {}), ("GET", f"/image?url={TIFF}&format=original", {}), ("GET", "/image?url=x", {})]
    asked += [("GET", f"/image?url={A}&format=avif", {}), ("GET", "/assets/no", {}), ("POST", f"/{small}", {})]
    with serving(cache.folder, ServePolicy(memory=SMALL)) as near, in_front(tmp_path, far) as port:
        for _ in range(2):  # the second time from memory, the short way
            for method, target, fields in asked:
                here, there = (said(ask(one, target, method=method, **fields)) for one in (near, port))
                assert there == here, (method, target, fields)
        manifest = ask(port, "/manifest.json")
        assert manifest.body == cache.bytes_of("manifest.json")
        assert ask(port, "/manifest.json", if_none_match=manifest.headers["etag"]).status == 304
        assert json.loads(ask(port, "/healthz").body) == {"status": "ok", "images": 4}
        page = ask(port, "/")
        assert (page.status, f"/{cache.variant(A, 'w320')}" in page.body.decode()) == (200, True)
        assert b"imgcache_images_held 4.0" in ask(port, "/metrics").body


@given(st.integers(0, 1999), st.integers(1, 2500))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_part_of_a_large_file_is_its_own_bytes(large: tuple[int, str, bytes], start: int, length: int) -> None:
    port, path, data = large
    answer = ask(port, f"/{path}", range=f"bytes={start}-{start + length - 1}")
    assert (answer.status, answer.body) == (206, data[start : start + length])


@pytest.fixture
def large(tmp_path: Path, cache: Cache, far: Far, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, str, bytes]]:
    """A port, and a path there with its bytes, which are read in pieces of 700."""
    monkeypatch.setattr(remote_file.RemoteFile, "piece", 700)
    with in_front(tmp_path, far) as port:
        path = cache.assets[B].original
        yield port, path, cache.bytes_of(path)


def _indented(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()


def _turned_round(document: dict[str, Any]) -> bytes:
    """One image a line, as imgcache writes it, with the keys of each the other way round."""
    entries = ((url, dict(reversed(entry.items()))) for url, entry in document["images"].items())
    lines = (f"{json.dumps(url)}:{json.dumps(entry, separators=(',', ':'))}" for url, entry in entries)
    return ('{"version":1,"images":{\n' + ",\n".join(lines) + "\n}}\n").encode()


@pytest.mark.usefixtures("quick")
def test_a_manifest_in_another_layout_is_read_and_a_damaged_line_harms_no_other(
    tmp_path: Path, cache: Cache, far: Far
) -> None:
    path, document = cache.variant(A, "w320"), cache.bytes_of("manifest.json")
    with in_front(tmp_path, far, memory=0) as port:
        for write in (_indented, _turned_round):
            obstore.put(far.client, "manifest.json", write(json.loads(document)))
            assert ask(port, f"/{path}").body == cache.bytes_of(path)
            assert ask(port, f"/image?url={B}&format=original").body == cache.bytes_of(cache.assets[B].original)
            assert ask(port, f"/{path}x").status == 404
        obstore.put(far.client, "manifest.json", document.replace(b'"media_type":"image/png"', b'"media_type":0', 1))
        assert problem(ask(port, f"/image?url={B}")) == (500, "damaged")
        assert problem(ask(port, f"/{cache.assets[B].original}")) == (404, "not-found")
        assert ask(port, f"/{cache.assets[A].original}").status == 200


# -- few requests ----------------------------------------------------------------------------------------------------


def test_what_the_manifest_does_not_name_is_not_asked_for(tmp_path: Path, cache: Cache, far: Far) -> None:
    base = cache.assets[A].original.rpartition("/")[0]
    stray = f"{base}/w999.webp"
    obstore.put(far.client, stray, drawn(9, 9, "webp"))
    paths = [stray, base, f"{base}/", f"{base}/../x", f"assets/ff/{'f' * 64}/w320.webp", "assets/../manifest.json"]
    with in_front(tmp_path, far) as port:
        assert [ask(port, f"/{path}").status for path in paths] == [404] * len(paths)
        assert ask(port, "/image?url=https://pictures.example/other.jpg").status == 404
        assert far.files() == {}


def test_a_small_file_is_fetched_once_for_all_who_ask(tmp_path: Path, cache: Cache, far: Far) -> None:
    path = cache.variant(A, "w320")
    with in_front(tmp_path, far) as port, ThreadPoolExecutor(12) as hands:
        assert ask(port, "/healthz").status == 200
        far.is_open.clear()
        answers = [hands.submit(ask, port, f"/{path}") for _ in range(12)]
        until = time.monotonic() + 5
        while not far.files() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        far.is_open.set()
        assert {one.result().body for one in answers} == {cache.bytes_of(path)}
        ask(port, f"/image?url={A}&w=320&format=webp")
        assert far.files() == {path: 1}


def test_the_memory_has_its_bound(tmp_path: Path, cache: Cache, far: Far) -> None:
    paths = [cache.variant(url, "w320") for url in (A, B, GIF, TIFF)]
    paths += [cache.variant(url, "thumb") for url in (A, B, GIF, TIFF)]
    sizes = [len(cache.bytes_of(path)) for path in paths]
    memory = sum(sizes) * 3 // 4
    assert max(sizes) <= memory // 4
    with in_front(tmp_path, far, memory) as port:
        for path in paths * 2:
            assert ask(port, f"/{path}").body == cache.bytes_of(path)
        assert len(paths) < far.files().total() <= 2 * len(paths)
        taken = re.search(rb"\nimgcache_memory_bytes (\S+)", ask(port, "/metrics").body)
        assert taken
        assert 0 < float(taken[1]) <= memory


def test_a_manifest_is_looked_for_every_two_seconds_at_most_and_read_when_it_changed(
    tmp_path: Path, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> Counter[str]:
        with in_front(tmp_path, far) as port:
            far.asked.clear()
            for _ in range(10):
                ask(port, f"/image?url={A}&w=300")
                time.sleep(0.01)
        return Counter(what for what, path in far.asked if path == "manifest.json")

    assert asked().total() == 0
    monkeypatch.setattr(remote_library, "_LOOK_EVERY", 0.01)
    seen = asked()
    assert (seen["read"], seen["look"] > 5) == (0, True)


# -- the manifest changes --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_what_comes_and_goes_in_the_manifest_comes_and_goes_here(tmp_path: Path, cache: Cache, far: Far) -> None:
    path = cache.variant(A, "w320")
    copy = tmp_path / "copy"
    copy.mkdir()
    with in_front(tmp_path, far) as port:
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


def test_an_image_that_went_is_not_served_from_memory(
    tmp_path: Path, cache: Cache, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_library, "_LOOK_EVERY", 0.05)
    path = cache.variant(A, "w320")
    with in_front(tmp_path, far) as port:
        assert [ask(port, target).status for target in (f"/{path}", f"/{path}", f"/image?url={A}")] == [200] * 3
        write_manifest(tmp_path, {B: cache.assets[B]})
        far.take(tmp_path)
        until = time.monotonic() + 5
        while ask(port, f"/image?url={A}").status == 200 and time.monotonic() < until:
            time.sleep(0.01)
        assert ask(port, f"/{path}").status == 404


@pytest.mark.parametrize("shrinks", [True, False])
def test_a_manifest_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, cache: Cache, far: Far, monkeypatch: pytest.MonkeyPatch, shrinks: bool
) -> None:
    monkeypatch.setattr(remote_library, "_PIECE", 1000)
    write_manifest(tmp_path, {B: cache.assets[B]})
    one, all_of_them = (tmp_path / "manifest.json").read_bytes(), cache.bytes_of("manifest.json")
    before, after = (all_of_them, one) if shrinks else (one, all_of_them)
    obstore.put(far.client, "manifest.json", before)

    def replace(path: str) -> None:
        if sum(asked == ("read", "manifest.json") for asked in far.asked) == 1:
            obstore.put(far.client, "manifest.json", after)

    far.on_read = replace
    with in_front(tmp_path, far) as port:
        assert ask(port, "/manifest.json").body == after
        assert (ask(port, f"/image?url={A}").status == 200, ask(port, f"/image?url={B}").status) == (not shrinks, 200)


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_without_an_answer_it_says_so_and_serves_what_it_has(tmp_path: Path, cache: Cache, far: Far) -> None:
    hot, cold = cache.variant(A, "w320"), cache.variant(B, "w320")
    with in_front(tmp_path, far) as port:
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


@pytest.mark.usefixtures("quick")
def test_a_server_that_starts_before_its_store_waits_for_it(tmp_path: Path, cache: Cache, far: Far) -> None:
    far.is_down = True
    targets = (f"/image?url={A}", f"/{cache.assets[A].original}", "/manifest.json", "/healthz")
    with in_front(tmp_path, far) as port:
        assert [ask(port, target).status for target in targets] == [503] * 4
        far.is_down = False
        assert [ask(port, target).status for target in targets] == [200] * 4


def test_a_store_that_hangs_is_not_waited_for(
    tmp_path: Path, cache: Cache, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [f"/{variant.path}" for asset in cache.assets.values() for variant in asset.variants] * 3
    monkeypatch.setattr(remote_library, "_LOOK_EVERY", 0.0)
    with in_front(tmp_path, far) as port:
        far.is_open.clear()
        try:
            began = time.monotonic()
            assert ask(port, "/healthz").status == 200  # the manifest was right a moment ago
            monkeypatch.setattr(upstream, "_WAIT", 0.2)
            with ThreadPoolExecutor(40) as hands:  # more than may ask at once
                answers = list(hands.map(lambda target: ask(port, target), targets))
        finally:
            far.is_open.set()
        assert {problem(answer) for answer in answers} == {(503, "unavailable")}
        assert time.monotonic() - began < 3
        assert ask(port, targets[0]).status == 200


def test_a_large_file_is_whole_or_it_is_told(
    tmp_path: Path, cache: Cache, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        monkeypatch.setattr(remote_file.RemoteFile, "piece", 10_000)
        far.on_read = fail
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            ask(port, f"/{path}")


def test_a_file_that_is_missing_or_damaged_is_as_in_a_folder_until_it_is_mended(
    tmp_path: Path, cache: Cache, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_blobs, "_ABSENT_FOR", 0.4)
    small = {url: cache.variant(url, "w320") for url in cache.assets}
    large = {url: asset.original for url, asset in cache.assets.items()}
    for path in (small[A], large[A]):
        obstore.delete(far.client, path)
    for url, left in ((B, slice(0)), (GIF, slice(-1))):
        for path in (small[url], large[url]):
            obstore.put(far.client, path, cache.bytes_of(path)[left])
    obstore.put(far.client, small[TIFF], b"?" * len(cache.bytes_of(small[TIFF])))
    with in_front(tmp_path, far) as port:
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


@pytest.mark.usefixtures("quick")
def test_what_is_in_memory_is_asked_for_again_some_time(
    tmp_path: Path, cache: Cache, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_blobs, "_IN_MEMORY_FOR", 0.0)
    path = cache.variant(A, "w320")
    damaged = cache.bytes_of(path)[:-4] + b"????"
    obstore.put(far.client, path, damaged)
    with in_front(tmp_path, far) as port:
        assert ask(port, f"/{path}").body == damaged
        far.take(cache.folder)
        assert ask(port, f"/{path}").body == cache.bytes_of(path)
        asked = far.files().total()
        far.is_down = True
        assert [ask(port, f"/{path}").body for _ in range(3)] == [cache.bytes_of(path)] * 3
        assert far.files().total() == asked + 1  # and not again for some seconds


# -- on S3 -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(s3: S3, cache: Cache) -> str:
    """The cache on S3; gives its URL."""
    name = f"b{uuid4().hex}"
    s3.make_bucket(name)
    for file in cache.folder.rglob("*"):
        if file.is_file():
            s3.ask("PUT", f"/{name}/the/prefix/{file.relative_to(cache.folder)}", file.read_bytes())
    return f"s3://{name}/the/prefix"


@pytest.fixture
def near_s3(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("near_s3")
def test_large_files_are_fetched_by_the_client_where_that_is_wanted(tmp_path: Path, cache: Cache, bucket: str) -> None:
    original, small, tiff = cache.assets[B].original, cache.variant(A, "w320"), cache.assets[TIFF].original
    with in_front(tmp_path, upstream.reach(bucket), large="redirect") as port:
        for target in (f"/{original}", f"/image?url={B}&format=original"):
            answer = ask(port, target)
            assert (answer.status, answer.body, answer.headers["cache-control"]) == (307, b"", "no-store")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert SECRET not in str(answer.headers)
            assert "X-Amz-Expires=60&" in answer.headers["location"]
            with urllib.request.urlopen(answer.headers["location"], timeout=10) as fetched:
                assert fetched.read() == cache.bytes_of(original)
        assert ask(port, f"/{original}", range="bytes=5-9").status == 307
        known = ask(port, f"/{original}", method="HEAD")
        assert (known.status, known.headers["content-length"]) == (200, str(len(cache.bytes_of(original))))
        assert ask(port, f"/{original}", if_none_match=known.headers["etag"]).status == 304
        assert ask(port, f"/{small}").body == cache.bytes_of(small)
        saved = ask(port, f"/{tiff}")  # the store would not send the header that it needs
        assert (saved.status, saved.body) == (200, cache.bytes_of(tiff))
        assert saved.headers["content-disposition"].startswith("attachment")
    with serving(cache.folder, ServePolicy(memory=SMALL, large="redirect")) as port:
        assert ask(port, f"/{original}").body == cache.bytes_of(original)


@pytest.mark.usefixtures("near_s3")
def test_the_command_serves_a_bucket_with_workers(tmp_path: Path, cache: Cache, bucket: str) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "imgcache.yml").write_text("serve: {memory: 100KB, large: redirect}\n")
    command = [sys.executable, "-m", "imgcache", "serve", str(site), "--port", "0", "--workers", "2", "--cache", bucket]
    environment = {key: text for key, text in os.environ.items() if not key.startswith("IMGCACHE_")}
    environment["TMPDIR"] = str(tmp_path)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            found = re.fullmatch(
                rf"imgcache: serving {re.escape(bucket)} on http://127\.0\.0\.1:(\d+)\n", process.stderr.readline()
            )
            assert found
            small = cache.variant(A, "w320")
            assert ask(int(found[1]), f"/{small}").body == cache.bytes_of(small)
            assert ask(int(found[1]), f"/{cache.assets[B].original}").status == 307
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
    assert not (site / "cache").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("imgcache-")] == []


@pytest.mark.usefixtures("near_s3")
def test_the_command_says_what_is_wrong_before_it_listens(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imgcache.yml").write_text("serve:\n  large: send\n")
    ended = run("serve", tmp_path)
    wrong = "imgcache.yml:2: `serve.large` is 'send'; it must be stream or redirect"
    assert (ended.code, wrong in ended.err) == (2, True)
    (tmp_path / "imgcache.yml").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        ended = run("serve", tmp_path, "--port", "0", "--cache", f"file://{tmp_path}/store", "-q")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("imgcache: TMPDIR: no folder for temporary files (No such file")
    monkeypatch.setitem(sys.modules, "obstore", None)
    ended = run("serve", tmp_path, "--port", "0", "--cache", "s3://bucket/prefix")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "imgcache: --cache: an object store needs `pip install 'imgcache[scale]'`\n"


@pytest.mark.usefixtures("near_s3")
def test_a_server_has_less_patience_than_a_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreError, match="no answer"):
            connect("s3://bucket", patience=0.3).look("x")
        assert time.monotonic() - began < 3
