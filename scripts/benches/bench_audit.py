"""Job `audit`: an audit of 5,000 images on 50 hosts over loopback, beside linkinator on the same images.

`--origin` is the server of both, in a process of its own; `--prober` runs the prober alone, without articles or index.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, cast

import uvloop
from bench_process import ROOT, WORK, Ran, article, fresh, measure, shared
from bench_report import Limit, Section, Skipped, spread
from PIL import Image

IMAGES = 5_000
HOSTS = 50
PER_ARTICLE = 10
CLIENT, SERVER = "0", "1"  # the cores that they are pinned to
PEER = "linkinator"
PEER_VERSION = "7.6.1"  # the last one that runs on Node.js 20
LEAST, MOST = 20_000, 200_000  # bytes of an image
AT_ONCE = 100  # requests under way, of either

_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)
_TYPES = {".jpg": b"image/jpeg", ".png": b"image/png", ".webp": b"image/webp"}


def run(options: argparse.Namespace) -> Section:
    """Run both `--rounds` times in turn, on one core, the origin on the other."""
    runs: dict[str, list[Ran]] = {"imgcache audit": [], PEER: []}
    most: list[float] = []
    with _origin() as port:
        note = _installed()
        for _ in range(options.rounds):
            runs["imgcache audit"].append(_audit(port))
            most.append(_asked(port, "most"))
            if not note:
                runs[PEER].append(_linkinator(port))
            print(
                "  images/s:",
                {name: round(IMAGES / these[-1].seconds) for name, these in runs.items() if these},
                flush=True,
            )
    rates = {name: [IMAGES / ran.seconds for ran in these] for name, these in runs.items() if these}
    memory = {name: spread([ran.peak / 1e6 for ran in these], 0) for name, these in runs.items() if these}
    ours = statistics.median(rates["imgcache audit"])
    limits = [Limit("images/s", ours, 1_200, at_least=True), Limit("bytes read of any image", max(most), 40_960)]
    if PEER in rates:
        limits.append(Limit(f"times {PEER}", ours / statistics.median(rates[PEER]), 1, at_least=True))
    return Section(
        title="An audit over the network",
        text=f"{IMAGES:,} images (JPEG, PNG, WebP of 20 to 200 KB) on {HOSTS} hosts over loopback, HTTP; types and true"
        f" sizes checked, nothing known before. The whole process, on one core, and the peak of its resident memory;"
        f" the origin has the other core. {PEER} asks for the status alone, of the same images on one page.",
        columns=["", "images/s", "most bytes read of an image", "MB of memory"],
        rows=[
            [name, spread(found, 0), f"{max(most):,.0f}" if name != PEER else "–", memory[name]]
            for name, found in rates.items()
        ],
        limits=limits,
        notes=[note] if note else [],
        versions=[] if note else [f"{PEER} {PEER_VERSION}"],
    )


@functools.cache
def _pictures() -> list[tuple[str, bytes, tuple[int, int]]]:
    """Suffix, bytes, size: real photographs, of which the end is cut off where they are larger than MOST."""
    found = []
    for path in sorted((shared() / "images" / "photos").iterdir()):
        if path.suffix in _TYPES and path.stat().st_size >= LEAST:
            with Image.open(path) as image:
                is_turned = image.getexif().get(0x0112, 1) >= 5
                size = image.size[::-1] if is_turned else image.size
            found.append((path.suffix, path.read_bytes()[:MOST], size))
    return found


def _urls(port: int) -> list[tuple[str, int, int]]:
    pictures = _pictures()
    listed = []
    for number in range(IMAGES):
        suffix, _, (width, height) = pictures[number % len(pictures)]
        listed.append((f"http://127.0.1.{number % HOSTS + 1}:{port}/{number}{suffix}", width, height))
    return listed


# -- the two ---------------------------------------------------------------------------------------------------------


def _audit(port: int) -> Ran:
    site = fresh("audit/site")
    (site / "imgcache.yml").write_text(
        f"allow_networks: [127.0.0.0/8]\nfetch: {{concurrency: {AT_ONCE}, per_host: {AT_ONCE}}}\n", encoding="utf-8"
    )
    urls = _urls(port)
    for number in range(0, IMAGES, PER_ARTICLE):
        path = site / f"2026-01-01-{number:05}.md"
        path.write_text(article(urls[number : number + PER_ARTICLE]), encoding="utf-8")
    ran = measure(_pinned(sys.executable, "-m", "imgcache", "audit", str(site), "--json", "-q"), expect=(0, 1))
    summary = json.loads(ran.output)["summary"]
    if (summary["images"], summary["ok"]) != (IMAGES, IMAGES):
        raise Skipped(f"the audit does not find all images well: {summary}")
    return ran


def _linkinator(port: int) -> Ran:
    page = f"http://127.0.0.1:{port}/page.html"
    program = WORK / PEER / "node_modules" / ".bin" / PEER
    report = WORK / PEER / "report.json"  # into a file: it ends before a pipe has taken all
    command = ("node", str(program), page, "--concurrency", str(AT_ONCE), "--format", "json")
    ran = measure(_pinned("sh", "-c", 'exec "$@" >"$0"', str(report), *command))
    good = sum(link["status"] == 200 for link in json.loads(report.read_text(encoding="utf-8"))["links"])
    if good != IMAGES + 1:
        raise Skipped(f"{PEER} finds {good:,} links well, and there are {IMAGES + 1:,}")
    return ran


def _pinned(*command: str) -> list[str]:
    return ["taskset", "-c", CLIENT, *command]


def _installed() -> str:
    """Install linkinator; why not, where that cannot be."""
    folder = WORK / PEER
    if not (folder / "node_modules" / PEER).is_dir():
        if not shutil.which("npm"):
            return f"{PEER} took no part: npm is not here"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        try:
            measure(["npm", "install", "--no-audit", "--no-fund", "--save-exact", f"{PEER}@{PEER_VERSION}"], cwd=folder)
        except Skipped as reason:
            return f"{PEER} {PEER_VERSION} took no part: {reason}"
    return ""


# -- the origin ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _origin() -> Iterator[int]:
    command = ["taskset", "-c", SERVER, sys.executable, __file__, "--origin"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _asked(port: int, what: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}") as answer:
        return float(answer.read())


class _Server(asyncio.Protocol):
    """HTTP/1.1 as far as both clients use it: GET, HEAD, one range, connections that stay."""

    sent: ClassVar[Counter[bytes]] = Counter()
    page = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            self._transport.write(self._answer(head + b"\r\n"))

    def _answer(self, head: bytes) -> bytes:
        method, path, _ = head.split(b" ", 2)
        if path == b"/most":
            most = max(self.sent.values(), default=0)
            self.sent.clear()
            return _response(b"200 OK", str(most).encode(), b"text/plain")
        if path == b"/page.html":
            return _response(b"200 OK", self.page, b"text/html")
        name, _, suffix = path[1:].partition(b".")
        if not name.isdigit():
            return _response(b"404 Not Found", b"", b"text/plain")
        pictures = _pictures()
        body, media_type = pictures[int(name) % len(pictures)][1], _TYPES["." + suffix.decode()]
        if method == b"HEAD":
            return _response(b"200 OK", body, media_type)[: -len(body)]
        found = _RANGE.search(head)
        if not found:
            self.sent[path] += len(body)
            return _response(b"200 OK", body, media_type)
        start, last = int(found[1]), min(int(found[2]), len(body) - 1)
        part = body[start : last + 1]
        self.sent[path] += len(part)
        where = b"Content-Range: bytes %d-%d/%d\r\n" % (start, last, len(body))
        return _response(b"206 Partial Content", part, media_type, where)


def _response(status: bytes, body: bytes, media_type: bytes, more: bytes = b"") -> bytes:
    fields = b'Content-Type: %b\r\nETag: "1"\r\nContent-Length: %d\r\n%b' % (media_type, len(body), more)
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, fields, body)


async def _serve() -> None:
    """Until standard input ends: with the process that asked for it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Server, "0.0.0.0", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    _Server.page = "".join(f'<img src="{url}">\n' for url, _, _ in _urls(port)).encode()
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


# -- the prober alone ------------------------------------------------------------------------------------------------


async def _look(urls: Sequence[tuple[str, int, int]]) -> float:
    from imgcache.models import FetchPolicy
    from imgcache.net.guard import Guard
    from imgcache.prober import Prober

    policy = FetchPolicy(concurrency=AT_ONCE, per_host=AT_ONCE)
    async with Prober(policy=policy, guard=Guard(["127.0.0.0/8"]), respect_robots=True) as prober:
        left = iter(urls)

        async def work() -> None:
            for url, width, height in left:
                size = (await prober.look(url)).size
                assert (size.width, size.height) == (width, height), url

        begin = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return time.perf_counter() - begin


def _alone(port: int, *, loop: str) -> None:
    begin = time.process_time()
    seconds = (uvloop.run if loop == "uvloop" else asyncio.run)(_look(_urls(port)))
    cpu = time.process_time() - begin
    print(f"{loop}: {IMAGES / seconds:,.0f} images/s, {cpu / IMAGES * 1e6:,.0f} µs of CPU an image")


def main() -> None:
    """What the other processes of this job are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--origin", action="store_true")
    parser.add_argument("--prober", action="store_true")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.origin:
        uvloop.run(_serve())
    elif options.loop:
        _alone(options.port, loop=options.loop)
    elif options.prober:
        with _origin() as port:
            for loop in ("asyncio", "uvloop") * 2:
                subprocess.run(
                    _pinned(sys.executable, __file__, "--loop", loop, "--port", str(port)), cwd=ROOT, check=True
                )
            print(f"at most {_asked(port, 'most') / 4:,.0f} bytes of an image")


if __name__ == "__main__":
    main()
