"""`imgcache serve` as a process: it starts, adds up the counts of its workers, and stops cleanly."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from imgcache.config import load_config
from imgcache.core import ConfigError
from tests.conftest import Command
from tests.support.served import ask, held, serving_process, write_manifest

A = "https://pictures.example/a.jpg"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    cache = tmp_path / "site" / "cache"
    cache.mkdir(parents=True)
    write_manifest(cache, {A: held(cache)})
    return cache.parent


def test_it_serves_logs_and_stops(site: Path) -> None:
    with serving_process(site, "--access-log", "json") as (process, port):
        assert ask(port, f"/image?url={A}&w=1", accept="image/webp").headers["content-type"] == "image/webp"
        with socket.create_connection(("127.0.0.1", port)):  # a silent connection delays nothing
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, logged = process.communicate(timeout=15)
        assert (process.returncode, time.monotonic() - began < 5) == (0, True)
    line = json.loads(logged)
    assert (line["method"], line["status"], line["client"]) == ("GET", 200, "127.0.0.1")
    assert line["target"] == f"/image?url={A}&w=1"


def test_a_response_in_progress_is_completed_at_shutdown(site: Path) -> None:
    config = "serve: {memory: 0, access_log: off}\n"
    (site / "imgcache.yml").write_text(config)
    asset = held(site / "cache", "png", shade=90)
    write_manifest(site / "cache", {A: asset})
    data = (site / "cache" / asset.original).read_bytes() + b"\0" * 8_000_000
    (site / "cache" / asset.original).write_bytes(data)
    with serving_process(site) as (process, port), socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(f"GET /{asset.original} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        found = slow.recv(1000)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        while part := slow.recv(1 << 20):
            found += part
        assert process.wait(15) == 0
    assert found.partition(b"\r\n\r\n")[2] == data


def test_workers_share_the_port_and_add_their_counts(site: Path) -> None:
    with serving_process(site, "--workers", "2") as (process, port):
        for _ in range(20):
            assert ask(port, f"/image?url={A}&w=1&format=webp").status == 200
        time.sleep(0.5)  # workers publish their counts every tenth of a second
        counted = {ask(port, "/metrics").body.decode() for _ in range(6)}
        for text in counted:
            assert 'imgcache_requests_total{route="image",status="200"} 20.0' in text
            assert "imgcache_images_held 1.0" in text
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_a_port_in_use_is_an_error(run: Command, site: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        ended = run("serve", site, "--port", str(taken.getsockname()[1]))
    assert ended.code == 2
    assert "cannot listen at 127.0.0.1 port" in ended.err
    assert "Address already in use" in ended.err


def test_other_servers_are_configured_by_the_environment(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imgcache import server

    monkeypatch.setenv("IMGCACHE_SITE", str(site))
    monkeypatch.setenv("IMGCACHE_SERVE__MEMORY", "1MB")
    server.build.cache_clear()
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/under/healthz", "root_path": "/under", "query_string": b"",
             "headers": []}  # fmt: skip
    asyncio.run(server.app(scope, receive, send))
    server.build.cache_clear()
    assert sent[0]["status"] == 200
    assert json.loads(sent[1]["body"]) == {"status": "ok", "images": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("serve: {memory: some}", "`serve.memory` is 'some'; it must be a size such as 64MB"),
        ("serve: {fallback: cat}", "it must be none or placeholder"),
        ("serve: {access_log: yes}", "it must be text or json or off"),
        ("serve: {port: 1}", "unknown key `serve.port`"),
    ],
)
def test_invalid_settings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "imgcache.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(file, {}, {})


def test_valid_settings_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "imgcache.yml"
    file.write_text("serve: {memory: 1MB, fallback: placeholder, client_hints: true, access_log: off}")
    serve = load_config(file, {"IMGCACHE_SERVE__ACCESS_LOG": "json", "IMGCACHE_SITE": "x"}, {}).serve
    assert (serve.memory, serve.fallback, serve.client_hints, serve.access_log) == (10**6, "placeholder", True, "json")
    assert load_config(file, {}, {}).serve.access_log == "off"
