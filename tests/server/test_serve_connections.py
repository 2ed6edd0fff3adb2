"""Malicious connections: ambiguous ends of requests, slow requests, excessive requests."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from imgcache.server import protocol
from tests.server.test_serve_security import IMAGE, A, Place, one_image
from tests.support.served import ask, held, raw, serving, write_manifest


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with one_image(tmp_path_factory.mktemp("site")) as found:
        yield found


# -- two readers of one request ----------------------------------------------------------------------------------------

INNER = b"GET /image?url=smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
FRAMES = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Content-Length: 0\r\nContent-Length: %d" % len(INNER),
    b"Content-Length: 0, %d" % len(INNER),
    b"Content-Length: +0",
    b"Content-Length: 0x0",
    b"Content-Length: -1",
    b"Content-Length : 0",
    b"Content-Length:\r\n 0",
    b"Content-Length: 99999999999999999999999",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"X: y\n Transfer-Encoding: chunked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nContent-Length: 0",
    b"X\0: y",
]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_request_with_an_ambiguous_length_is_refused(place: Place, method: bytes, frame: bytes) -> None:
    """RFC 9112, sections 6.1, 6.3 and 11.2. Both paths refuse it and read nothing after it."""
    for target in (place.path.encode(), b"/healthz"):
        ask(place.port, place.path)  # in memory, so that the fast path would be taken
        head = method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n" + frame + b"\r\n\r\n"
        answer = raw(place.port, head + b"0\r\n\r\n" + INNER)
        assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"400"]
        assert b"smuggled" not in answer


def test_a_body_is_not_parsed_as_a_request(place: Place) -> None:
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for method in (b"GET", b"POST"):
        for frame, body in (
            (b"Content-Length: %d" % len(INNER), INNER),
            (b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)),
        ):
            head = method + b" " + place.path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + frame + b"\r\n\r\n"
            answer = raw(place.port, head + body + last)
            assert len(re.findall(rb"HTTP/1\.1 \d+ ", answer)) == 2
            assert b"smuggled" not in answer
            assert answer.endswith(b'{"status":"ok","images":1}\n')


# -- who takes time, or asks for too much ------------------------------------------------------------------------------


def test_slow_heads_time_out_and_delay_no_other_client(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert protocol.HEAD_TIMEOUT == 30
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 1.0)
    kinds = [(b"", b""), (b"GET / HT", b""), (b"GET / HTTP/1.1\r\nHost: x\r\nx-slow: ", b"a")]
    with ExitStack() as stack:
        slow = []
        for begun, drip in kinds * 20:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", place.port)))
            connection.sendall(begun)
            connection.settimeout(0)
            slow.append((connection, drip))
        assert ask(place.port, place.path).body == place.data
        for connection, _ in slow[-len(kinds) :]:
            with pytest.raises(BlockingIOError):  # it is still open
                connection.recv(1)
        until = time.monotonic() + 5
        for connection, drip in slow:
            connection.settimeout(0.05)
            assert is_closed(connection, drip, until)


def test_a_connection_in_use_is_kept_open(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    original = protocol.BoundedProtocol.connection_made

    def hurried(self: protocol.BoundedProtocol, transport: asyncio.Transport) -> None:
        original(self, transport)
        self.timeout_keep_alive = 2.0  # type: ignore[assignment]  # uvicorn hands it to the event loop

    monkeypatch.setattr(protocol.BoundedProtocol, "connection_made", hurried)
    ask(place.port, place.path)  # in memory from now on
    with socket.create_connection(("127.0.0.1", place.port)) as connection:
        connection.settimeout(9)
        for path in (place.path, "/healthz", place.path, place.path):  # longer in total, never idle that long
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert connection.recv(1_000_000).startswith(b"HTTP/1.1 200")
            time.sleep(0.6)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nx: ")
        time.sleep(2.4)  # an unfinished head has a timeout of its own
        connection.sendall(b"y\r\n\r\n")
        while b"</html>" not in (got := connection.recv(1_000_000)):
            assert got
        last = time.monotonic()
        assert connection.recv(1) == b""
        assert 1.0 < time.monotonic() - last < 7


def is_closed(connection: socket.socket, drip: bytes, until: float) -> bool:
    """Whether the server closes it, although more is sent."""
    while time.monotonic() < until:
        try:
            connection.sendall(drip)
            if connection.recv(1000) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_client_that_does_not_read_delays_no_other(tmp_path: Path) -> None:
    asset = held(tmp_path)
    large = tmp_path / asset.original
    large.write_bytes(large.read_bytes() + bytes(30_000_000))
    write_manifest(tmp_path, {A: asset})
    with serving(tmp_path) as port, ExitStack() as stack:
        before = resident()
        for _ in range(100):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", port))
            connection.sendall(f"GET /{asset.original} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        began = time.monotonic()
        for _ in range(20):
            assert ask(port, f"/{asset.variants[1].path}").status == 200
        assert time.monotonic() - began < 10
        assert resident() - before < 100 * 2_000_000, "a piece or two each, and never 30 MB"


def test_a_file_is_not_read_on_for_a_client_that_has_left(tmp_path: Path) -> None:
    asset = held(tmp_path)
    large = tmp_path / asset.original
    large.write_bytes(large.read_bytes() + bytes(30_000_000))
    write_manifest(tmp_path, {A: asset})
    with serving(tmp_path) as port:
        before = bytes_read()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"GET /{asset.original} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                connection.recv(100)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset at once
        assert ask(port, f"/{asset.variants[1].path}").status == 200
    assert bytes_read() - before < 20 * 8_000_000, "what the sockets took, and not 20 times 30 MB"


def bytes_read() -> int:
    """Returns the bytes that this process has read from files and sockets."""
    return int(Path("/proc/self/io").read_text().split()[1])


def resident() -> int:
    """Returns the resident bytes of this process, in which the endpoint runs."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_a_thousand_ranges_get_the_whole_file(place: Place) -> None:
    """RFC 9110, section 14.2; section 17.15 warns of what many small parts would cost."""
    for many in ("0-," * 1000 + "0-", ",".join(f"{at}-{at}" for at in range(1000)), "0-0," * 1000 + "9" * 4000 + "-"):
        for target in (place.path, IMAGE + "&format=webp"):
            found = ask(place.port, target, range=f"bytes={many}")
            assert (found.status, found.body) == (200, place.data)
            assert "content-range" not in found.headers


@pytest.mark.parametrize(
    "upgrade",
    [
        "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYQ==",
        "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ",
    ],
)
def test_no_connection_is_upgraded(place: Place, upgrade: str) -> None:
    answer = raw(place.port, f"GET /healthz HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n\r\n".encode())
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200"]
