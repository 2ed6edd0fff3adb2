"""Origins that cost next to nothing, each a process of its own, for measuring what a client costs.

`python bench_origin.py tiny`: the same small JPEG for every URL, made different by a comment that holds the path. With
`--busy SHARE` the first request for that share of the paths is refused with `--status`, and with `--retry-after`.
`python bench_origin.py photos`: real photographs by number, a page that names them all, and what was sent of each.
Prints its port, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import hashlib
import io
import re
import struct
import sys
from collections import Counter
from collections.abc import Callable
from typing import cast

import uvloop
from bench_pictures import displayed
from bench_process import shared
from PIL import Image

IMAGES, HOSTS = 5_000, 50  # of `photos`
LEAST, MOST = 20_000, 200_000  # bytes of a photograph
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)
_TYPES = {".jpg": b"image/jpeg", ".png": b"image/png", ".webp": b"image/webp"}

_Answer = Callable[[bytes, bytes], bytes]  # from a request's path and head


class _Server(asyncio.Protocol):
    """HTTP/1.1 as far as clients of images use it: GET, HEAD, one range, connections that stay open."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            self._transport.write(self._answer(head.split(b" ", 2)[1], head + b"\r\n"))


def _response(body: bytes, media_type: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    fields = b'Content-Type: %b\r\nETag: "1"\r\nContent-Length: %d\r\n%b' % (media_type, len(body), more)
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, fields, body)


_NOT_FOUND = _response(b"", b"text/plain", b"404 Not Found")


def tiny(options: argparse.Namespace) -> Callable[[int], _Answer]:
    """Answers every path with 8 × 8 pixels; there is no robots.txt."""
    field = b"" if options.retry_after is None else b"Retry-After: %b\r\n" % options.retry_after.encode()
    refusal = b"HTTP/1.1 %d Busy\r\n%bContent-Length: 0\r\n\r\n" % (options.status, field)
    refused = set[bytes]()

    def is_busy(path: bytes) -> bool:
        number = int.from_bytes(hashlib.sha256(path).digest()[:4], "big")
        if number >= options.busy * 2**32 or path in refused:
            return False
        refused.add(path)
        return True

    made = io.BytesIO()
    Image.linear_gradient("L").resize((8, 8)).convert("RGB").save(made, "JPEG")
    start, rest = made.getvalue()[:2], made.getvalue()[2:]

    def answer(path: bytes, _: bytes) -> bytes:
        if path == b"/robots.txt":
            return _NOT_FOUND
        if is_busy(path):
            return refusal
        comment = b"\xff\xfe" + struct.pack(">H", len(path) + 2) + path  # ITU-T T.81, section B.2.4.5
        return _response(start + comment + rest, b"image/jpeg")

    return lambda _: answer


@functools.cache
def _photographs() -> list[tuple[str, bytes, tuple[int, int]]]:
    """Suffix, bytes, size: real photographs, of which the end is cut off where they are larger than MOST."""
    files = sorted((shared() / "images" / "photos").iterdir())
    found = [displayed(path) for path in files if path.suffix in _TYPES and path.stat().st_size >= LEAST]
    return [(one.path.suffix, one.path.read_bytes()[:MOST], (one.width, one.height)) for one in found]


def photo_urls(port: int) -> list[tuple[str, int, int]]:
    """The URL and the true size of every image of `photos`."""
    known = _photographs()
    return [
        (f"http://127.0.1.{number % HOSTS + 1}:{port}/{number}{suffix}", *size)
        for number in range(IMAGES)
        for suffix, _, size in [known[number % len(known)]]
    ]


def photos(_: argparse.Namespace) -> Callable[[int], _Answer]:
    """Photographs as `/NUMBER.SUFFIX`; `/page.html`; `/most`: the most bytes sent of one since it was asked last."""
    known, sent = _photographs(), Counter[bytes]()

    def image(path: bytes, head: bytes) -> bytes:
        name, _, suffix = path[1:].partition(b".")
        if not name.isdigit():
            return _NOT_FOUND
        body, media_type = known[int(name) % len(known)][1], _TYPES["." + suffix.decode()]
        if head.startswith(b"HEAD"):
            return _response(body, media_type)[: -len(body)]
        found = _RANGE.search(head)
        start, last = (int(found[1]), min(int(found[2]), len(body) - 1)) if found else (0, len(body) - 1)
        sent[path] += last + 1 - start
        if not found:
            return _response(body, media_type)
        where = b"Content-Range: bytes %d-%d/%d\r\n" % (start, last, len(body))
        return _response(body[start : last + 1], media_type, b"206 Partial Content", where)

    def listening(port: int) -> _Answer:
        page = "".join(f'<img src="{url}">\n' for url, _, _ in photo_urls(port)).encode()

        def answer(path: bytes, head: bytes) -> bytes:
            if path == b"/page.html":
                return _response(page, b"text/html")
            if path == b"/most":
                most = max(sent.values(), default=0)
                sent.clear()
                return _response(str(most).encode(), b"text/plain")
            return image(path, head)

        return answer

    return listening


async def _serve() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["tiny", "photos"])
    parser.add_argument("--busy", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--status", type=int, default=503)
    parser.add_argument("--retry-after")
    options = parser.parse_args()
    answers: list[_Answer] = []
    loop, made = asyncio.get_running_loop(), {"tiny": tiny, "photos": photos}[options.kind](options)
    server = await loop.create_server(lambda: _Server(answers[0]), "0.0.0.0", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    answers.append(made(port))
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
