"""Job `faults`: the memory that large downloads take, all under way at once: `scripts/benches/bench_faults.py --help`.

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

from bench_process import ROOT
from bench_report import Limit, Section, Skipped, spread

DOWNLOADS, MEGABYTES, LIMIT = 64, 50, 300
_START = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_PIECE = bytes(65_536)


def run(options: argparse.Namespace) -> Section:
    """64 downloads of 50 MB."""
    rounds = [asyncio.run(_round(DOWNLOADS, MEGABYTES * 1_000_000)) for _ in range(options.rounds)]
    peaks = [one["peak"] / 1e6 for one in rounds]
    return Section(
        title="Memory of large downloads",
        text=f"{DOWNLOADS} downloads of {MEGABYTES} MB, all under way at once, written to disk and hashed.",
        columns=["downloads", "MB each", "MB before", "MB, peak", "seconds"],
        rows=[
            (
                str(DOWNLOADS),
                str(MEGABYTES),
                spread([one["before"] / 1e6 for one in rounds], 1),
                spread(peaks, 1),
                spread([one["seconds"] for one in rounds], 1),
            )
        ],
        limits=[Limit("peak of the process that downloads", max(peaks), LIMIT, "MB")],
    )


async def _round(downloads: int, size: int) -> dict[str, float]:
    """Serve one process that downloads; gives what it printed."""
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
    command = [sys.executable, __file__, "--port", str(port), "--downloads", str(downloads), "--size", str(size)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    server.close()
    if process.returncode:
        raise Skipped(f"the process that downloads ended with {process.returncode}")
    told: dict[str, float] = json.loads(output)
    return told


async def _download(port: int, downloads: int, size: int) -> dict[str, float]:
    """The other process: fetch everything at once into a folder that goes away."""
    sys.path.insert(0, str(ROOT))
    from imgcache.downloader import Downloader
    from imgcache.formats import sniff
    from imgcache.models import Fetched, FetchPolicy, Limits
    from imgcache.net.guard import Guard

    with tempfile.TemporaryDirectory(prefix="bench-faults-") as folder:
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
    mark = re.search(r"^VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if mark is None:
        raise Skipped("the kernel does not tell the peak of a process")
    return int(mark[1]) * 1024


def main() -> int:
    """Print one round as JSON; 1 where the limit is not kept."""
    parser = argparse.ArgumentParser(description="The memory that large downloads take, all under way at once.")
    parser.add_argument("--downloads", type=int, default=DOWNLOADS)
    parser.add_argument("--size", type=int, default=MEGABYTES * 1_000_000, help="bytes of each (%(default)s)")
    parser.add_argument("--limit", type=int, default=LIMIT * 1_000_000, help="bytes of memory (%(default)s)")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.port:
        told = asyncio.run(_download(options.port, options.downloads, options.size))
    else:
        told = asyncio.run(_round(options.downloads, options.size))
    print(json.dumps(told))
    return int(told["peak"] > options.limit)


if __name__ == "__main__":
    sys.exit(main())
