"""Mutated requests over raw sockets: the endpoint answers in HTTP or closes, writes no traceback, and goes on.

For longer than a test: python -m tests.server.test_serve_fuzz SECONDS [SEED]
"""

from __future__ import annotations

import random
import re
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from imgcache.server.protocol import MAX_HEAD
from tests.server.test_serve_security import A
from tests.support.served import ask, held, serving_process, write_manifest

CHUNKED = (
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nRange: bytes=0-1\r\n\r\n"
)
SEEDS = (
    b"GET PATH HTTP/1.1\r\nHost: x\r\nAccept: image/webp\r\n\r\n",
    b'GET PATH HTTP/1.1\r\nHost: x\r\nRange: bytes=0-99\r\nIf-Range: "x"\r\n\r\n',
    b'HEAD PATH HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/"a", "b"\r\n\r\n',
    b"GET /image?w=300&format=webp&url=" + A.encode() + b" HTTP/1.1\r\nHost: x\r\nAccept: image/*;q=0.5\r\n\r\n",
    b"GET /manifest.json HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /gallery/image?url=x HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n",
    b"GET /?q=a&page=2&sort=newest HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    CHUNKED,
)
PARTS = (
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"%", b"%00", b"%ff", b"\xff", b"\x1b[2J"),
    *(b'"', b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"Host: y\r\n", b"Content-Length: 3\r\n", b"Content-Length: -1\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: h2c\r\n"),
    *(b"Expect: 100-continue\r\n", b"Range: bytes=-1\r\n", b"Range: bytes=0-,1-\r\n", b"Accept: *\r\n"),
    *(b"*", b"/../", b"//", b"?", b"&", b"#", b"=", b"w=0&", b"page=9999999999&", b"http://x", b"/assets/"),
    *(b"ffffffffffffffff\r\n", b"a" * 3000),
)


class Tally(NamedTuple):
    """Counts: `requests` sent, `answers` by status, `ends` of connections, and unacceptable responses (`wrong`)."""

    requests: Counter[str]
    answers: Counter[str]
    ends: Counter[str]
    wrong: list[bytes]


def mutated(draw: random.Random, path: bytes) -> bytes:
    """Returns one to four requests, changed in a few places."""
    data = bytearray(b"".join(draw.choices(SEEDS, k=draw.choice((1, 1, 2, 4)))).replace(b"PATH", path))
    for _ in range(draw.choice((0, 1, 1, 2, 5))):
        at, other = sorted(draw.choices(range(len(data) + 1), k=2))
        match draw.randrange(5):
            case 0:
                data[at:at] = draw.choice(PARTS)
            case 1:
                del data[at : min(other, at + 40)]
            case 2:
                data[at : at + 1] = bytes([draw.randrange(256)])
            case 3:
                data[at:at] = data[at : min(other, at + 200)]
            case _:
                data[at : at + draw.randrange(8)] = draw.choice(PARTS)
    return bytes(data)


_LEAST = 100  # requests, on the slowest of machines


def tell(port: int, data: bytes, draw: random.Random) -> tuple[bytes, str]:
    """Returns what is received within a tenth of a second, and how the connection ended: some clients leave at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        cut = draw.randrange(len(data) + 1) if draw.random() < 0.3 else len(data)
        found = bytearray()
        try:
            connection.sendall(data[:cut])
            if draw.random() < 0.15:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return b"", "left"
            connection.sendall(data[cut:])
            connection.shutdown(socket.SHUT_WR) if draw.random() < 0.2 else connection.settimeout(0.03)
            while part := connection.recv(1 << 18):
                found += part
        except TimeoutError:
            return bytes(found), "open"
        except OSError:
            return bytes(found), "reset"
        return bytes(found), "closed"


def fuzz(port: int, path: bytes, seconds: float, draw: random.Random) -> Tally:
    """Sends mutated requests for `seconds`, and at least `_LEAST` of them, each on a new connection."""
    tally, until = Tally(Counter(), Counter(), Counter(), []), time.monotonic() + seconds
    while time.monotonic() < until or tally.requests["sent"] < _LEAST:
        data = mutated(draw, path)
        answer, end = tell(port, data, draw)
        tally.requests["sent"] += 1
        tally.ends[end] += 1
        statuses = re.findall(rb"(?:^|(?<=[\n}>\xff]))HTTP/1\.1 (\d{3})", answer)
        tally.answers.update(status.decode() for status in statuses)
        if (answer and not answer.startswith(b"HTTP/1.1 ")) or b"500" in statuses or len(data) > MAX_HEAD:
            tally.wrong.append(data)
    return tally


def run(folder: Path, seconds: float, seed: int) -> tuple[Tally, str]:
    """Fuzzes `imgcache serve`; returns the counts and its standard error."""
    cache = folder / "site" / "cache"
    asset = held(cache)
    write_manifest(cache, {A: asset})
    path = asset.variants[1].path
    with serving_process(folder / "site") as (process, port):
        tally = fuzz(port, f"/{path}".encode(), seconds, random.Random(seed))
        if ask(port, f"/{path}").body != (cache / path).read_bytes() or ask(port, "/healthz").status != 200:
            tally.wrong.append(b"the endpoint does not go on")
        process.terminate()
        _, said = process.communicate(timeout=20)
    return tally, said


def test_mutated_requests_are_answered_or_refused(tmp_path: Path) -> None:
    tally, said = run(tmp_path, 2.0, 7)
    assert tally.wrong == []
    assert tally.answers["200"] > 0
    assert tally.answers["400"] > 0
    assert said == ""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        found, log = run(Path(temporary), float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(found.requests, found.answers, found.ends, f"{len(found.wrong)} wrong", *found.wrong[:5], sep="\n")
    print(Counter(log.splitlines()).most_common(20))
