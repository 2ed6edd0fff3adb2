"""Pipelined requests: responses keep their order, and the queue stays small."""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from imgcache.core import Asset
from imgcache.server import protocol
from tests.server.test_serve_connections import resident
from tests.server.test_serve_security import A
from tests.support.served import ask, held, raw, serving, write_manifest

SMALL = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
EXTRA = 30_000_000  # bytes; more than the socket buffers hold


def enlarged(cache: Path, extra: int = EXTRA) -> Asset:
    """Returns an image with a large original."""
    asset = held(cache)
    with (cache / asset.original).open("ab") as file:
        file.write(bytes(extra))
    write_manifest(cache, {A: asset})
    return asset


def get(path: str, *fields: bytes) -> bytes:
    return b"\r\n".join((f"GET /{path} HTTP/1.1".encode(), b"Host: x", *fields)) + b"\r\n\r\n"


def test_thousands_of_pipelined_requests_queue_only_a_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = enlarged(tmp_path)
    longest, queued = 0, protocol.BoundedProtocol.on_headers_complete

    def counted(self: protocol.BoundedProtocol) -> None:
        nonlocal longest
        queued(self)
        longest = max(longest, len(self.pipeline))

    monkeypatch.setattr(protocol.BoundedProtocol, "on_headers_complete", counted)
    with serving(tmp_path) as port, ExitStack() as stack:
        before = resident()
        for _ in range(30):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.settimeout(0.1)
            connection.sendall(get(asset.original))
            try:
                for _ in range(30):  # 9,000 requests, if they are all accepted
                    connection.sendall(SMALL * 300)
            except TimeoutError:
                pass
        assert ask(port, "/healthz").status == 200
        assert longest <= 16
        assert resident() - before < 30 * 3_000_000


def test_responses_keep_their_order(tmp_path: Path) -> None:
    asset = enlarged(tmp_path, 2_000_000)
    small, large = f"{asset.variants[1].path}", asset.original
    sizes = [(tmp_path / path).stat().st_size for path in (small, large)]
    with serving(tmp_path) as port:
        ask(port, f"/{small}")
        sent = b"".join([get(small), get(large), get(small), get(small), get(large), SMALL, get(small), LAST])
        answer = raw(port, sent)
    found = [int(size) for size in re.findall(rb"HTTP/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)*?content-length: (\d+)", answer)]
    assert [size for size in found if size > 1000] == [sizes[at] for at in (0, 1, 0, 0, 1, 0)]
    assert len(found) == 8


def test_thousands_of_pipelined_small_requests_are_all_answered(tmp_path: Path) -> None:
    asset = held(tmp_path)
    write_manifest(tmp_path, {A: asset})
    with serving(tmp_path) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(SMALL * 3000 + LAST)
        found = bytearray()
        while part := connection.recv(1 << 20):
            found += part
    assert found.count(b"HTTP/1.1 200 OK") == 3001


@pytest.mark.parametrize(
    "bad", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nx y: z\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 140_000]
)
def test_an_error_response_follows_the_earlier_responses(tmp_path: Path, bad: bytes) -> None:
    """RFC 9112, section 9.3.2. Otherwise the error would be written into the middle of the image."""
    asset = enlarged(tmp_path)
    data = (tmp_path / asset.original).read_bytes()
    with serving(tmp_path) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(get(asset.original) + bad[:1000])
        time.sleep(0.1)
        found = bytearray(connection.recv(1000))
        connection.settimeout(0.3)
        with suppress(TimeoutError):
            connection.sendall(bad[1000:])
        connection.settimeout(10)
        with suppress(ConnectionResetError):  # the server did not read all of the endless head
            while part := connection.recv(1 << 20):
                found += part
    _, _, rest = bytes(found).partition(b"\r\n\r\n")
    assert rest.startswith(data)
    assert re.match(rb"HTTP/1\.1 4(00|31) ", rest[len(data) :])


def test_a_malformed_body_gets_one_response(tmp_path: Path) -> None:
    asset = held(tmp_path)
    write_manifest(tmp_path, {A: asset})
    with serving(tmp_path) as port:
        head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert re.findall(rb"HTTP/1\.1 (\d+)", raw(port, SMALL + head + b"xyz\r\n" + SMALL)) == [b"200", b"400"]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(head + b"1\r\na\r\n")
            assert connection.recv(10_000).startswith(b"HTTP/1.1 405 ")
            connection.sendall(b"xyz\r\n" + SMALL)
            assert connection.recv(10_000) == b""


@pytest.mark.parametrize("target", [b"http://[", b"http://x:99999/", b"http:///a", b"/\xff%s"])
def test_an_invalid_target_is_refused_in_its_turn(
    tmp_path: Path, target: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """The parser accepts the head, but the target cannot be split afterwards."""
    write_manifest(tmp_path, {A: held(tmp_path)})
    odd = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(tmp_path) as port:
        for before in (b"", SMALL, SMALL * 3):
            found = re.findall(rb"HTTP/1\.1 (\d+)", raw(port, before + odd + LAST))
            assert found[: before.count(b"GET")] == [b"200"] * before.count(b"GET")
            assert found[before.count(b"GET")] in {b"400", b"404"}
    assert "Traceback" not in capfd.readouterr().err
