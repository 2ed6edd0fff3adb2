"""The memory that large downloads take, all under way at once: `python -m tests.support.large_downloads --help`.

The server holds every body back until the last request is in, then sends them all together. The downloads run in a
process of their own, whose high-water mark (VmHWM, proc(5)) is read at its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pathlib
import re
import sys
import tempfile
import time

from imgcache.core import Fetched, FetchPolicy, Limits, sniff
from imgcache.downloader import Downloader, Guard

_START = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_PIECE = bytes(65_536)
_ROOT = pathlib.Path(__file__).parents[2]


async def measured(downloads: int, size: int) -> dict[str, float]:
    """Serve one process that downloads; gives what it printed: bytes of memory before and at most, seconds, bytes."""
    arrived, everybody = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        arrived += 1
        if arrived == downloads:
            everybody.set()
        await everybody.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + _START)
        left = size - len(_START)
        while left > 0:
            writer.write(_PIECE[:left])
            left -= len(_PIECE)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=downloads)
    port = server.sockets[0].getsockname()[1]
    command = [sys.executable, "-m", __spec__.name, "--port", str(port), "--downloads", str(downloads)]
    process = await asyncio.create_subprocess_exec(
        *command, "--size", str(size), cwd=_ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    server.close()
    assert process.returncode == 0
    told: dict[str, float] = json.loads(output)
    return told


async def _download(port: int, downloads: int, size: int) -> dict[str, float]:
    """The child process: fetches everything at once into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="large-downloads-") as folder:
        fetching = Downloader(
            folder=folder,
            sniff=sniff,
            limits=Limits(bytes=size, read=600, total=600),
            policy=FetchPolicy(concurrency=downloads, per_host=downloads, retries=0),
            guard=Guard(["127.0.0.0/8"]),
        )
        async with fetching:
            before, begin = _peak(), time.perf_counter()

            async def one(number: int) -> int:
                got = await fetching.fetch(f"http://127.0.0.1:{port}/{number}.jpg")
                assert isinstance(got, Fetched)
                pathlib.Path(got.path).unlink()  # noqa: ASYNC240 (one system call, no wait)
                return got.bytes

            sizes = await asyncio.gather(*(one(number) for number in range(downloads)))
            seconds = time.perf_counter() - begin
    return {"before": before, "peak": _peak(), "seconds": seconds, "bytes": sum(sizes)}


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    mark = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert mark, "the kernel does not say the peak of a process"
    return int(mark[1]) * 1024


def main() -> None:
    """Print one round as JSON."""
    parser = argparse.ArgumentParser(description="The memory that large downloads take, all under way at once.")
    parser.add_argument("--downloads", type=int, default=64)
    parser.add_argument("--size", type=int, default=50_000_000, help="bytes of each (%(default)s)")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = _download(options.port, options.downloads, options.size) if options.port else None
    print(json.dumps(asyncio.run(work or measured(options.downloads, options.size))))


if __name__ == "__main__":
    main()
