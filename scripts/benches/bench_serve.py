"""Job `serve`: the endpoint beside nginx, with a thousand connections held, and from start to first answer."""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from bench_process import fresh, in_turn, peak_of
from bench_report import Limit, Section, Skipped, spread

from imgcache.core import Asset, Variant
from tests.publisher.test_export_fronts import free_port, nginx
from tests.support.cache_samples import unreal_asset
from tests.support.served import serving_process, write_manifest

URL = "https://pictures.example/{name}.jpg"
SIZES = {"8 KB": (8_000, 0.5), "200 KB": (200_000, 0.8)}  # the share of nginx's rate that is promised
IMAGES = 100_000
HELD = 1_000
SECONDS = 4
FIRST_CORE = ("taskset", "-c", "0")
_SERVER = """
sendfile on; tcp_nopush on; keepalive_requests 100000000;
types {{ image/jpeg jpg; }}
server {{ listen 127.0.0.1:{port}; root {cache}; }}
"""


def run(options: argparse.Namespace) -> Section:
    """Each server has one core, and wrk another; nginx may be missing."""
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise Skipped(f"{tool} is not installed: apt-get install wrk util-linux")
    site = fresh("serve/site")
    paths = _cache(site / "cache")
    with serving_process(site, under=FIRST_CORE) as (_, port), contextlib.ExitStack() as stack:
        try:
            other, notes = stack.enter_context(_nginx(site / "cache")), []
        except Skipped as reason:
            other, notes = None, [f"nginx took no part: {reason}"]
        urllib.request.urlopen(f"http://127.0.0.1:{port}/{paths['8 KB']}").close()  # it has loaded what it needs
        rows, limits = _rates(port, other, paths, options.rounds)
        slowest = _beside_held_connections(port, paths)
    rows.append([f"`/assets/…` beside {HELD:,} connections held", "8 KB", "", f"{slowest:.1f} ms"])
    limits.append(Limit(f"99th percentile beside {HELD:,} connections held", slowest, 50, "ms"))
    seconds, memory = _starts(options.rounds)
    limits += [
        Limit(f"start to first answer, {IMAGES:,} images", statistics.median(seconds), 1, "s"),
        Limit(f"peak of memory, {IMAGES:,} images", max(memory), 150, "MB"),
    ]
    return Section(
        columns=["", "body", "requests/s", "99th percentile"],
        rows=rows,
        limits=limits,
        notes=notes,
        versions=[_version("wrk", "-v")] if notes else [_version("nginx", "-v"), _version("wrk", "-v")],
    )


def _rates(port: int, other: int | None, paths: Mapping[str, str], rounds: int) -> tuple[list[list[str]], list[Limit]]:
    """Rows and limits for each size: requests a second, and the share of nginx's where it listens at `other`."""
    rows, limits = [], []
    for name, (_, share) in SIZES.items():
        targets = {"nginx": f"http://127.0.0.1:{other}/{paths[name]}"} if other else {}
        targets["`/assets/…`"] = f"http://127.0.0.1:{port}/{paths[name]}"
        targets["`/image?url=…`"] = f"http://127.0.0.1:{port}/image?w=100&url={asked(name)}"
        found = in_turn({key: functools.partial(wrk, target) for key, target in targets.items()}, rounds)
        rates = {key: [rate for rate, _ in these] for key, these in found.items()}
        rows += [[key, name, spread(values, 0), ""] for key, values in rates.items()]
        middle = {key: statistics.median(values) for key, values in rates.items()}
        if base := middle.pop("nginx", 0.0):
            what = "{}, {}, share of nginx"
            limits += [Limit(what.format(key, name), one / base, share, at_least=True) for key, one in middle.items()]
    return rows, limits


def asked(name: str) -> str:
    """An image's URL as a query has it."""
    return quote(URL.format(name=name), safe="")


def _cache(cache: Path) -> dict[str, str]:
    """Files that begin as JPEG does, of random bytes, and a manifest that names them. Gives the paths."""
    images, paths = {}, {}
    for name, (size, _) in SIZES.items():
        data = b"\xff\xd8\xff" + random.Random(size).randbytes(size - 3)
        digest = hashlib.sha256(data).hexdigest()
        path = paths[name] = f"assets/{digest[:2]}/{digest}/original.jpg"
        (cache / path).parent.mkdir(parents=True)
        (cache / path).write_bytes(data)
        images[URL.format(name=name)] = _asset(digest, path, size)
    write_manifest(cache, images)
    return paths


def _asset(digest: str, path: str, size: int) -> Asset:
    variants = tuple(Variant(f"w{one}", one, one, "webp", size, path, "0" * 12, "0" * 64) for one in (320, 640, 1280))
    return unreal_asset(digest, bytes=size, placeholder="data:," + "A" * 380, original=path, variants=variants)


@contextlib.contextmanager
def _nginx(cache: Path) -> Iterator[int]:
    """Its port; it has the first core. Raises Skipped where it is not there."""
    folder, port = fresh("serve/nginx"), free_port()
    (folder / "server.conf").write_text(_SERVER.format(cache=cache, port=port), encoding="utf-8")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(nginx(folder / "server.conf", folder, port, "worker_cpu_affinity 01; "))
        except pytest.skip.Exception as reason:
            raise Skipped(str(reason)) from reason
        yield port


def wrk(target: str, connections: int = 32, seconds: int = SECONDS) -> tuple[float, float]:
    """Requests a second, and the 99th percentile of the latency in ms. Raises Skipped where any answer is not 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", target]
    last = max(os.sched_getaffinity(0))
    said = subprocess.run(["taskset", "-c", str(last), *command], capture_output=True, text=True, check=True).stdout
    rate, late = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if rate is None or late is None or "Non-2xx" in said or "Socket errors" in said:
        raise Skipped(f"wrk could not measure {target}: {said[-300:]}")
    return float(rate[1]), float(late[1]) * {"us": 0.001, "ms": 1, "s": 1000}[late[2]]


def _beside_held_connections(port: int, paths: dict[str, str]) -> float:
    ask = f"GET /{paths['200 KB']} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for number in range(HELD):
            connection = socket.socket()
            stack.enter_context(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", port))
            connection.sendall(ask if number % 2 else ask[:20])
        time.sleep(2)  # they are held, not coming: wrk counts one pause against all requests that it would have sent
        return wrk(f"http://127.0.0.1:{port}/{paths['8 KB']}", 16)[1]


def _starts(rounds: int) -> tuple[Sequence[float], Sequence[float]]:
    """Seconds from the start of the process to its first answer, and the peak of its memory in MB."""
    site = fresh("serve/large")
    (site / "cache").mkdir()
    numbers = (f"{number:064x}" for number in range(IMAGES))
    write_manifest(site / "cache", {
        URL.format(name=f"2026/01/the-title-of-an-article/{digest[-8:]}"):
        _asset(digest, f"assets/{digest[:2]}/{digest}/original.jpg", 100_000) for digest in numbers
    })  # fmt: skip
    seconds, memory = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        with serving_process(site, under=FIRST_CORE) as (process, port):
            name = "2026/01/the-title-of-an-article/00000007"
            with contextlib.suppress(urllib.error.HTTPError):  # the file is not there; the answer is
                urllib.request.urlopen(f"http://127.0.0.1:{port}/image?w=320&url={asked(name)}")
            seconds.append(time.perf_counter() - began)
            memory.append(peak_of(process.pid) / 1e6)
    return seconds, memory


def _version(tool: str, option: str) -> str:
    said = subprocess.run([tool, option], capture_output=True, text=True, check=False)
    found = re.search(r"(?:nginx/|wrk )(?:debian/)?([\w.-]+)", said.stdout + said.stderr)
    return f"{tool} {found[1] if found else ''}".strip()
