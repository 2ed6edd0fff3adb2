"""`imgcache serve` in front of an object store: the same responses as from a folder, with few requests; also on S3."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import obstore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcache.cache import connect_bucket
from imgcache.config import ServePolicy
from imgcache.core import StoreError
from imgcache.server import upstream
from imgcache.server.tuning import Tuning
from tests.conftest import Command
from tests.support.object_store import S3, SECRET
from tests.support.served import Response, ask, drawn, serving
from tests.support.served_far import GIF, SMALL, TIFF, A, B, Cache, Far, four_images, in_front

FRONT = ("date", "server")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return four_images(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def far(cache: Cache) -> Far:
    return Far(cache.folder)


def parts(answer: Response) -> tuple[int, dict[str, str], bytes]:
    return answer.status, {name: text for name, text in answer.headers.items() if name not in FRONT}, answer.body


# -- the same as from a folder ---------------------------------------------------------------------------------------


def test_it_answers_like_a_folder(tmp_path: Path, cache: Cache, far: Far) -> None:
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
        for _ in range(2):  # the second time from memory, by the fast path
            for method, target, fields in asked:
                here, there = (parts(ask(one, target, method=method, **fields)) for one in (near, port))
                assert there == here, (method, target, fields)
        manifest = ask(port, "/manifest.json")
        assert manifest.body == cache.bytes_of("manifest.json")
        assert ask(port, "/manifest.json", if_none_match=manifest.headers["etag"]).status == 304
        assert json.loads(ask(port, "/healthz").body) == {"status": "ok", "images": 4}
        page = ask(port, "/")
        assert (page.status, f"/{cache.variant(A, 'w320')}" in page.body.decode()) == (200, True)
        assert b"imgcache_images_held 4.0" in ask(port, "/metrics").body


@given(st.integers(0, 1999), st.integers(1, 2500))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_range_of_a_large_file_is_right(large: tuple[int, str, bytes], start: int, length: int) -> None:
    port, path, data = large
    answer = ask(port, f"/{path}", range=f"bytes={start}-{start + length - 1}")
    assert (answer.status, answer.body) == (206, data[start : start + length])


@pytest.fixture
def large(tmp_path: Path, cache: Cache, far: Far) -> Iterator[tuple[int, str, bytes]]:
    """Yields a port, and the path and bytes of a file that is read in pieces of 700 bytes."""
    with in_front(tmp_path, far, tuning=Tuning(remote_piece_bytes=700)) as port:
        path = cache.assets[B].original
        yield port, path, cache.bytes_of(path)


# -- few requests ----------------------------------------------------------------------------------------------------


def test_files_that_the_manifest_does_not_name_are_not_requested(tmp_path: Path, cache: Cache, far: Far) -> None:
    base = cache.assets[A].original.rpartition("/")[0]
    stray = f"{base}/w999.webp"
    obstore.put(far.client, stray, drawn(9, 9, "webp"))
    paths = [stray, base, f"{base}/", f"{base}/../x", f"assets/ff/{'f' * 64}/w320.webp", "assets/../manifest.json"]
    with in_front(tmp_path, far) as port:
        assert [ask(port, f"/{path}").status for path in paths] == [404] * len(paths)
        assert ask(port, "/image?url=https://pictures.example/other.jpg").status == 404
        assert far.files() == {}


def test_concurrent_requests_share_one_download(tmp_path: Path, cache: Cache, far: Far) -> None:
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


def test_memory_for_remote_files_is_bounded(tmp_path: Path, cache: Cache, far: Far) -> None:
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


def test_the_manifest_is_checked_at_most_every_two_seconds_and_read_when_it_changed(tmp_path: Path, far: Far) -> None:
    def asked(tuning: Tuning) -> Counter[str]:
        with in_front(tmp_path, far, tuning=tuning) as port:
            far.asked.clear()
            for _ in range(10):
                ask(port, f"/image?url={A}&w=300")
                time.sleep(0.01)
        return Counter(what for what, path in far.asked if path == "manifest.json")

    assert asked(Tuning()).total() == 0
    seen = asked(Tuning(remote_manifest_interval=0.01))
    assert (seen["read"], seen["look"] > 5) == (0, True)


# -- on S3 -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(s3: S3, cache: Cache) -> str:
    """Uploads the cache to S3 and returns its URL."""
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
def test_clients_are_redirected_to_large_files_if_configured(tmp_path: Path, cache: Cache, bucket: str) -> None:
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
        saved = ask(port, f"/{tiff}")  # the store would not send the header it needs
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
def test_the_command_reports_errors_before_it_listens(
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
def test_a_server_has_shorter_timeouts_than_a_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreError, match="no answer"):
            connect_bucket("s3://bucket", patience=0.3).metadata("x")
        assert time.monotonic() - began < 3
