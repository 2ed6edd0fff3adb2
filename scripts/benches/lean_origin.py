"""An origin that costs next to nothing: the same tiny JPEG for every URL, told apart by a comment that holds the path.

Prints its port, and ends with its standard input. For measuring what a client costs, not what images cost. With
`--address 0.0.0.0` every address of 127.0.0.0/8 is a host of its own. Of `--busy SHARE` of the paths, told by their
hash, the first request is answered with `--status`, and with `--retry-after` where that is given.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import struct
import sys
from typing import cast

import uvloop
from PIL import Image


def _tiny() -> bytes:
    made = io.BytesIO()
    Image.linear_gradient("L").resize((8, 8)).convert("RGB").save(made, "JPEG")
    return made.getvalue()


_JPEG = _tiny()


class Busy:
    """Which paths are answered with a refusal at their first request."""

    def __init__(self, share: float, status: int, retry_after: str | None) -> None:
        field = b"" if retry_after is None else b"Retry-After: %b\r\n" % retry_after.encode()
        self.answer = b"HTTP/1.1 %d Busy\r\n%bContent-Length: 0\r\n\r\n" % (status, field)
        self._share = share
        self._refused: set[bytes] = set()

    def refuses(self, path: bytes) -> bool:
        """Whether this request is refused; the next one for the path is not."""
        number = int.from_bytes(hashlib.sha256(path).digest()[:4], "big")
        if number >= self._share * 2**32 or path in self._refused:
            return False
        self._refused.add(path)
        return True


class Server(asyncio.Protocol):
    """HTTP/1.1 as far as a client of images uses it: GET, connections that stay; no robots.txt."""

    def __init__(self, busy: Busy) -> None:
        self._busy = busy

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path == b"/robots.txt":
                self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                continue
            if self._busy.refuses(path):
                self._transport.write(self._busy.answer)
                continue
            comment = b"\xff\xfe" + struct.pack(">H", len(path) + 2) + path  # ITU-T T.81, section B.2.4.5
            body = _JPEG[:2] + comment + _JPEG[2:]
            fields = b'Content-Type: image/jpeg\r\nETag: "%b"\r\nContent-Length: %d\r\n' % (path, len(body))
            self._transport.write(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + body)


async def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--busy", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--status", type=int, default=503)
    parser.add_argument("--retry-after")
    options = parser.parse_args()
    busy = Busy(options.busy, options.status, options.retry_after)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(busy), options.address, 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
