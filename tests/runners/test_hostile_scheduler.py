"""`--dask` with the address of something that is no scheduler: one line, and nothing that it sends is run."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.conftest import Command, MakeSite, article


class Leaves:
    """An object whose unpickling makes a folder."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._mark),)


def frames(*parts: bytes) -> bytes:
    """A message as Dask sends it over TCP: the number of frames, their lengths, the frames."""
    return struct.pack(f"<Q{len(parts)}Q", len(parts), *map(len, parts)) + b"".join(parts)


@contextmanager
def answering(first: bytes) -> Iterator[int]:
    """Starts a server that sends `first` to each client and closes; returns its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(2)
                    try:
                        connection.sendall(first)
                        connection.recv(1000)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("kind", ["garbage", "http", "huge", "pickle"])
def test_an_address_without_a_scheduler_is_reported_in_one_line(
    run: Command, make_site: MakeSite, tmp_path: Path, kind: str
) -> None:
    mark = tmp_path / "mark"
    handshake = msgspec.msgpack.encode({"compression": None, "python": (3, 11, 7), "pickle-protocol": 5})
    first = {
        "garbage": bytes(range(1, 251)) * 40,
        "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "huge": struct.pack("<QQ", 2**62, 2**62),
        "pickle": frames(handshake, pickle.dumps(Leaves(mark))),
    }[kind]
    site = make_site({"a.md": article(("https://pics.example/a.jpg", 4, 3))})
    with answering(first) as port:
        ended = run("sync", site, "--dask", f"tcp://127.0.0.1:{port}")
    assert ended.code == 2
    assert f"no scheduler answers at tcp://127.0.0.1:{port}" in ended.err
    assert "Traceback" not in ended.err
    assert not mark.exists()
