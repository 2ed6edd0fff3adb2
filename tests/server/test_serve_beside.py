"""Events beside the endpoint: files that vanish during a response, gc, a read-only cache, endless misses."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import Command, system_program
from tests.server.test_serve_connections import resident
from tests.support.exported import A, synced_site
from tests.support.served import ask, held, raw, serving, write_manifest
from tests.support.site_files import manifest

EXTRA = 20_000_000  # bytes; more than the socket buffers hold


def test_a_file_removed_while_it_is_sent_is_sent_whole(tmp_path: Path) -> None:
    asset = held(tmp_path)
    file = tmp_path / asset.original
    with file.open("ab") as more:
        more.write(bytes(EXTRA))
    data = file.read_bytes()
    write_manifest(tmp_path, {A: asset})
    with serving(tmp_path) as port, closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", f"/{asset.original}")
        answer = connection.getresponse()
        begun = answer.read(1000)
        shutil.rmtree(tmp_path / "assets")
        write_manifest(tmp_path, {})
        assert begun + answer.read() == data


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return synced_site(tmp_path / "site")


def test_gc_does_not_cut_off_a_response_in_progress(run: Command, site: Path) -> None:
    original = manifest(site)[A]["original"]
    file = site / "cache" / original
    with file.open("ab") as more:
        more.write(bytes(EXTRA))
    data = file.read_bytes()
    with serving(site / "cache") as port, closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as slow:
        slow.request("GET", f"/{original}")
        answer = slow.getresponse()
        begun = answer.read(1000)
        (site / "a.md").write_text("No image any more.\n")
        ended = run("gc", site, "--yes")
        assert ended.code == 0, ended
        assert not file.exists()
        assert begun + answer.read() == data
        answers = {ask(port, f"/image?url={quote(A, safe='')}").status for _ in range(20)}
        assert answers <= {200, 404}
        assert ask(port, "/healthz").status == 200


def test_a_file_truncated_while_it_is_sent_closes_the_connection(tmp_path: Path) -> None:
    """imgcache itself never does that. The client must notice that the image is incomplete."""
    asset = held(tmp_path)
    file = tmp_path / asset.original
    with file.open("ab") as more:
        more.write(bytes(EXTRA))
    write_manifest(tmp_path, {A: asset})
    with serving(tmp_path) as port, closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", f"/{asset.original}")
        answer = connection.getresponse()
        answer.read(1000)
        os.truncate(file, 5000)
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        assert ask(port, "/healthz").status == 200


def test_a_read_only_cache_is_served(site: Path) -> None:
    """File modes do not stop root, unless its capability is dropped (capabilities(7))."""
    powerless = [system_program("setpriv"), "--bounding-set=-all"] if os.geteuid() == 0 else []
    for path in (site, *site.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(path.relative_to(site) for path in site.rglob("*"))
    command = [*powerless, sys.executable, "-m", "imgcache", "serve", str(site), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = re.search(r":(\d+)\n", process.stderr.readline())
        assert said
        port = int(said[1])
        statuses = {
            path: ask(port, path).status for path in ("/", "/metrics", "/healthz", f"/image?url={quote(A, safe='')}")
        }
        process.terminate()
        assert process.communicate(timeout=20)[1] == ""
    for path in (site, *site.rglob("*")):
        path.chmod(0o755)
    assert set(statuses.values()) == {200}
    assert sorted(path.relative_to(site) for path in site.rglob("*")) == before


def test_endless_misses_do_not_use_up_memory(tmp_path: Path) -> None:
    write_manifest(tmp_path, {A: held(tmp_path)})
    with serving(tmp_path) as port:
        ask(port, "/metrics")
        misses(port, 0, 1000)
        series, before = len(ask(port, "/metrics").body.splitlines()), resident()
        misses(port, 1000, 4000)
        assert len(ask(port, "/metrics").body.splitlines()) == series, "a label for each miss would fill Prometheus"
        assert resident() - before < 3000 * 1000


def misses(port: int, first: int, last: int) -> None:
    """Requests many different targets that do not exist."""
    kinds = ("/image?url=https://x.example/%d.jpg", "/assets/ab/ab%062d/a.jpg", "/no/%d", "/image?w=1&url=%d")
    lines = (f"GET {kinds[number % 4] % number} HTTP/1.1\r\nHost: x\r\n\r\n" for number in range(first, last))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("".join(lines).encode() + b"GET /healthz HTTP/1.0\r\n\r\n")
        found = bytearray()
        while part := connection.recv(1 << 18):
            found += part
    assert found.count(b"HTTP/1.1 404") == last - first


def test_clients_that_disconnect_leave_nothing_on_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asset = held(tmp_path)
    write_manifest(tmp_path, {A: asset})
    sent = f"GET /{asset.original} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 50
    with serving(tmp_path) as port:
        for cut in range(1, len(sent), 300):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(sent[:cut])
        assert raw(port, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert capfd.readouterr().err == ""
