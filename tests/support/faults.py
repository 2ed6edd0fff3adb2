"""An origin that misbehaves, one way a path, on raw sockets; `/good` beside them behaves.

It runs in the test's own event loop. `requests` keeps the head of every request as it came, byte for byte.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import email.utils
import gzip
import socket
import ssl
import struct
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
BOMB = gzip.compress(IMAGE + bytes(5_000_000), 1)
Handler = Callable[["Faults", asyncio.StreamWriter, bytes], Awaitable[None]]
HANDLERS: dict[str, Handler] = {}


def fault(path: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS[path] = handler
        return handler

    return register


def response(body: bytes = IMAGE, status: str = "200 OK", *fields: str, length: int | None = None) -> bytes:
    head = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


class Faults:
    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.counts: collections.Counter[str] = collections.Counter()
        self.connections = 0
        self.open_connections = 0
        self.most_at_once = 0
        self.port = 0

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        self.most_at_once = max(self.most_at_once, self.open_connections)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                path = head.split(b" ", 2)[1].decode("ascii").partition("?")[0]
                self.counts[path] += 1
                await HANDLERS.get(path, missing)(self, writer, head)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client hung up, which is what most of these faults are for
        except asyncio.CancelledError:
            pass  # the test is over; asyncio.streams would log it
        finally:
            self.open_connections -= 1
            writer.transport.abort()


@contextlib.asynccontextmanager
async def faults(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Faults]:
    origin = Faults()
    server = await asyncio.start_server(origin.serve, host, 0, ssl=context)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        current = asyncio.current_task()
        for task in asyncio.all_tasks() - {current}:
            if getattr(task.get_coro(), "__qualname__", "") == "Faults.serve":
                task.cancel()
                await task


async def missing(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b"no", "404 Not Found"))


@fault("/good")
async def good(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, "200 OK", 'ETag: "v1"', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"))


@fault("/eight")
async def eight(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE[:8] + bytes(8184)))


@fault("/slow-good")
async def slow_good(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    await asyncio.sleep(0.05)
    writer.write(response())


@fault("/slow-body")
async def slow_body(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, length=1_000_000))
    while True:  # always a byte in time for limits.read
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


@fault("/silent-body")
async def silent_body(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, length=1_000_000))
    await writer.drain()
    await asyncio.sleep(60)


@fault("/slow-headers")
async def slow_headers(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


@fault("/silent")
async def silent(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    await asyncio.sleep(60)


@fault("/endless-headers")
async def endless_headers(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


@fault("/endless-field")
async def endless_field(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b"x" * 1000)
        await writer.drain()


@fault("/many-headers")
async def many_headers(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, "200 OK", *(f"X-{n}: {n}" for n in range(10_000))))


@fault("/interim-flood")
async def interim_flood(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 50)
        await writer.drain()


@fault("/interim")
async def interim(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + response())


@fault("/bad-chunks")
async def bad_chunks(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(start + b"%x\r\n" % len(IMAGE) + IMAGE + b"\r\nzz\r\n")
    await writer.drain()
    await asyncio.sleep(60)


@fault("/late-bad-chunks")
async def late_bad_chunks(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(start + b"%x\r\n" % len(IMAGE) + IMAGE + b"\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(b"zz\r\n")
    await writer.drain()
    await asyncio.sleep(60)


@fault("/cut-chunks")
async def cut_chunks(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(start + b"%x\r\n" % len(IMAGE) + IMAGE + b"\r\n")
    await writer.drain()
    writer.close()


@fault("/chunks")
async def chunks(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for start in range(0, len(IMAGE), 1000):
        piece = IMAGE[start : start + 1000]
        writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
    writer.write(b"0\r\n\r\n")


@fault("/endless-chunks")
async def endless_chunks(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(IMAGE) + IMAGE + b"\r\n")
    while True:
        writer.write(b"2710\r\n" + bytes(10_000) + b"\r\n")
        await writer.drain()


@fault("/too-short")
async def too_short(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, length=len(IMAGE) + 10))
    await writer.drain()
    writer.close()


@fault("/too-long")
async def too_long(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    smuggled = response(b"\x89PNG\r\n\x1a\n smuggled")
    writer.write(response(IMAGE + smuggled, length=len(IMAGE)))


@fault("/two-lengths")
async def two_lengths(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, "200 OK", "Content-Length: 7"))


@fault("/announces-much")
async def announces_much(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, length=10**17))
    await writer.drain()
    await asyncio.sleep(60)


@fault("/until-close")
async def until_close(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + IMAGE)
    await writer.drain()
    writer.close()


@fault("/early-close")
async def early_close(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.close()


@fault("/reset")
async def reset(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@fault("/garbage")
async def garbage(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.9\x1b[31m\r\n" * 10)
    await writer.drain()
    await asyncio.sleep(60)


def _coded(coding: str, body: bytes) -> bytes:
    return response(body, "200 OK", f"Content-Encoding: {coding}")


@fault("/gzip")
async def gzipped(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_coded("gzip", gzip.compress(IMAGE)))


@fault("/deflate")
async def deflated(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_coded("deflate", zlib.compress(IMAGE)))


@fault("/gzip-bomb")
async def gzip_bomb(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_coded("gzip", BOMB))


@fault("/gzip-cut")
async def gzip_cut(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_coded("gzip", gzip.compress(IMAGE)[:-6]))


@fault("/gzip-not")
async def gzip_not(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_coded("gzip", IMAGE))


@fault("/brotli")
async def brotli(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_coded("br", IMAGE))


@fault("/html")
async def html(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    page = b"<!doctype html><title>Not found</title>" + b" " * 2000
    writer.write(response(page, "200 OK", "Content-Type: image/png", length=1_000_000) + page)
    await writer.drain()
    await asyncio.sleep(60)


@fault("/empty")
async def empty(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b""))


@fault("/no-content")
async def no_content(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@fault("/partial")
async def partial(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(IMAGE, "206 Partial Content", f"Content-Range: bytes 0-{len(IMAGE) - 1}/{2 * len(IMAGE)}"))


@fault("/always-304")
async def always_304(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "v2"\r\n\r\n')


@fault("/gone")
async def gone(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b"gone", "410 Gone"))


@fault("/busy-seconds")
async def busy_seconds(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    first = origin.counts["/busy-seconds"] == 1
    writer.write(response(b"later", "429 Too Many Requests", "Retry-After: 7") if first else response())


@fault("/busy-date")
async def busy_date(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    when = email.utils.formatdate(time.time() + 9, usegmt=True)
    first = origin.counts["/busy-date"] == 1
    writer.write(response(b"later", "503 Service Unavailable", f"Retry-After: {when}") if first else response())


@fault("/busy-for-hours")
async def busy_for_hours(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b"later", "429 Too Many Requests", "Retry-After: 7200"))


@fault("/third-time")
async def third_time(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response() if origin.counts["/third-time"] == 3 else response(b"oh", "500 Internal Server Error"))


def _moved(status: str, location: str) -> bytes:
    return response(b"", status, f"Location: {location}")


@fault("/loop-a")
async def loop_a(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_moved("302 Found", "loop-b"))


@fault("/loop-b")
async def loop_b(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_moved("307 Temporary Redirect", "/loop-a"))


@fault("/stairs")
async def stairs(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    step = int(head.split(b" ")[1].partition(b"?")[2] or b"0") + 1
    writer.write(_moved("301 Moved Permanently", "/good") if step > 4 else _moved("308 x", f"?{step}"))


@fault("/more-stairs")
async def more_stairs(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    step = int(head.split(b" ")[1].partition(b"?")[2] or b"0") + 1
    writer.write(_moved("303 See Other", "/good") if step > 5 else _moved("308 x", f"?{step}"))


@fault("/to")
async def to(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(_moved("302 Found", head.split(b" ")[1].partition(b"?")[2].decode()))


@fault("/nowhere")
async def nowhere(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b"", "302 Found"))


@fault("/escape")
async def escape(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b"x", "418 \x9b31m"))
