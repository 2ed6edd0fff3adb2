"""Job `cluster`: two workers on this machine beside a run without them; what commanding a large site costs."""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from bench_pictures import WIDTHS, Picture, copies, pictures
from bench_process import configure, fresh, in_turn, measure, origin, python_versions, sync, write_articles
from bench_report import Limit, Section, Skipped, spread

from imgcache.cli.progress import NoProgress
from imgcache.config import Config
from imgcache.core import Action, Asset, Copy, Job, Outcome
from imgcache.runners import ShardHandler
from imgcache.wiring import SyncRequest, Workspace, build_sync, open_for_writing

HOSTS = 12
COPIES = 4  # of each picture: what opening a worker costs is shared by as many images as a small site has
PER_ARTICLE = 50
MANY, FULL = 100_000, 1_000_000


def run(options: argparse.Namespace) -> Section:
    """Sync real photographs with and without workers in turn; then a large site whose images nobody fetches."""
    found = list(copies(pictures(options), COPIES, fresh("cluster/pictures")))
    words = {"one process": (), "two workers": ("--dask", "local:2")}
    hosts = [f"h{number}.example" for number in range(HOSTS)]
    with origin("--folder", str(found[0].path.parent), *(word for host in hosts for word in ("--host", host))) as said:
        ways = {name: functools.partial(_rate, said["connect_to"], found, hosts, more) for name, more in words.items()}
        rates = in_turn(ways, options.rounds)
    size = FULL if options.full else MANY
    large = measure([sys.executable, str(Path(__file__)), str(size)])
    said = json.loads(large.output)
    if said["flags"] != size:
        raise Skipped(f"{said['flags']:,} of {size:,} flags were written")
    each = said["seconds"] / size * 1000
    alone, shared = (statistics.median(these) for these in rates.values())
    return Section(
        columns=["", "result"],
        rows=[
            *([name, f"{spread(these, 1)} images/s"] for name, these in rates.items()),
            [f"{size:,} references", f"{said['seconds']:.0f} s, {each:.2f} ms each, {large.peak / 1e6:.0f} MB"],
        ],
        limits=[
            Limit("two workers of one thread against one process", shared / alone, 0.85, "times", at_least=True),
            Limit("the commanding process, an image", each, 2, "ms"),
            Limit(f"memory of the commanding process, {size:,} references", large.peak / 1e6, 300, "MB"),
        ],
        notes=[] if options.full else [f"{FULL:,} references are measured by `--full`"],
        versions=python_versions(sys.executable, "dask", "distributed"),
    )


def _rate(connect_to: Sequence[str], found: Sequence[Picture], hosts: Sequence[str], words: Sequence[str]) -> float:
    site = fresh("cluster/site")
    configure(site, WIDTHS)
    images = []
    for number, one in enumerate(found):
        host = hosts[(number + number * COPIES // len(found)) % len(hosts)]
        images.append((f"http://{host}/{quote(one.path.name)}", one.width, one.height))
    write_articles(site, images)
    _, summary = sync(site, connect_to, *words, expect=(0, 1))
    return round(summary["fetched"] / summary["seconds"], 2)


# -- a large site whose images nobody fetches --------------------------------------------------------------------------


@asynccontextmanager
async def open_made_up(spec: bytes, cores: int) -> AsyncIterator[ShardHandler]:  # noqa: ARG001 (as workers call it)
    """Parts that say at once that each job is done."""

    async def do(order: bytes) -> bytes:
        _, jobs = msgspec.msgpack.decode(order, type=tuple[float | None, list[tuple[str, Job]]])
        return msgspec.msgpack.encode({place: _outcome(job.url) for place, (_, job) in enumerate(jobs)})

    yield do


def _outcome(url: str) -> Outcome:
    digest = f"{hash(url) & (2**64 - 1):064x}"
    copy = Copy(digest, 1.0, 1.0)
    asset = Asset(digest, "image/jpeg", "jpeg", 8, 8, 1, 300, "#808080", "data:,", f"assets/{digest}", (), ())
    return Outcome(url, Action.FETCHED, copy, asset, bytes_fetched=300)


def _large(size: int) -> dict[str, Any]:
    """What the commanding process needs, with a scheduler in it and two workers beside it."""
    site, hosts = fresh("cluster/large"), max(1, size // 100)
    images = ((f"https://h{(one * one) % hosts}.example/{one}.jpg", 8, 8) for one in range(size))
    write_articles(site, images, PER_ARTICLE)
    import bench_cluster  # by its name, as workers import it

    from imgcache.runners.dask_group import connect_workers
    from imgcache.runners.dask_worker import RunSpec

    workspace = Workspace(site, site / "cache", Config())
    contract = RunSpec(bench_cluster.open_made_up, b"large")
    with (
        connect_workers("local:2", contract, results=Outcome, capacity=64) as workers,
        open_for_writing(workspace, "sync", time.time) as cache,
    ):
        job = build_sync(cache, workspace.config, SyncRequest(), NoProgress(), time.time, workers=workers)
        report = asyncio.run(job.run())
    return {"flags": report.flags_set, "seconds": report.seconds}


if __name__ == "__main__":
    print(json.dumps(_large(int(sys.argv[1]))))
