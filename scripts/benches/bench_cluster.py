"""Job `cluster`: two workers on this machine beside a run without them; what the scheduler and a large site cost."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import msgspec
from bench_pictures import WIDTHS, Picture, copies, pictures
from bench_process import ROOT, SCRIPTS, article, configure, fresh, measure, origin, python_versions, sync
from bench_report import Limit, Section, spread

from imgcache.catalogue import Pending
from imgcache.cli.progress import Silent
from imgcache.config import Config
from imgcache.errors import WorkerLost
from imgcache.jobs import Action, Job, Outcome
from imgcache.models import Asset, Copy
from imgcache.runners.budget import Budget
from imgcache.runners.cluster import ClusterRunner
from imgcache.runners.shards import Shards
from imgcache.runners.station import Shop
from imgcache.wiring import syncing
from imgcache.wiring.ground import Ground
from imgcache.wiring.parts import writer

HOSTS = 12
COPIES = 4  # of each picture: what opening a worker costs is shared by as many images as a small site has
PASSED = 20_000  # images that go to a worker and back with nothing done to them
PER_ARTICLE = 50
MANY, FULL = 100_000, 1_000_000


def run(options: argparse.Namespace) -> Section:
    """Sync real photographs with and without workers in turn; then images that nobody does anything to."""
    found = list(copies(pictures(options), COPIES, fresh("cluster/pictures")))
    rates: dict[str, list[float]] = {"one process": [], "two workers": []}
    hosts = [f"h{number}.example" for number in range(HOSTS)]
    with origin("--folder", str(found[0].path.parent), *(word for host in hosts for word in ("--host", host))) as said:
        for _ in range(options.rounds):
            for name, words in (("one process", []), ("two workers", ["--dask", "local:2"])):
                rates[name].append(_rate(said["connect_to"], found, hosts, words))
                print(f"  {name}: {rates[name][-1]:.1f} images/s", flush=True)
    passing = measure([sys.executable, str(Path(__file__)), "passing"])
    each = json.loads(passing.output)["ms"]
    size = FULL if options.full else MANY
    large = measure([sys.executable, str(Path(__file__)), "large", str(size)])
    print(f"  {size:,} references: {large.seconds:.0f} s, {large.peak / 1e6:.0f} MB", flush=True)
    alone, shared = (statistics.median(these) for these in rates.values())
    return Section(
        title="On a cluster",
        text=f"{len(found)} photographs and graphics on {HOSTS} hosts ({COPIES} copies of those of the first section,"
        " told apart by bytes after their end): without --dask, and with two workers of one thread here, whose start is"
        " not counted (it takes some seconds); from the scan to the report."
        f" Then {PASSED:,} images that two workers give back as they got them. Then a site of {size:,}"
        f" references to as many images, {PER_ARTICLE} an article, whose outcomes are made up in place of workers: what"
        " the commanding process, with a scheduler in it, needs to hand them out, record them and write the flags.",
        columns=["", "result"],
        rows=[
            *([name, f"{spread(these, 1)} images/s"] for name, these in rates.items()),
            ["scheduling", f"{each:.2f} ms an image"],
            [f"{size:,} references", f"{large.seconds:.0f} s, {large.peak / 1e6:.0f} MB"],
        ],
        limits=[
            Limit("two workers of one thread against one process", shared / alone, 0.85, "times", at_least=True),
            Limit("the scheduler's part of an image", each, 2, "ms"),
            Limit(f"memory of the commanding process, {size:,} references", large.peak / 1e6, 300, "MB"),
        ],
        notes=[] if options.full else [f"{FULL:,} references are measured by `--full`"],
        versions=python_versions(sys.executable, "dask", "distributed"),
    )


def _rate(connect_to: Sequence[str], found: Sequence[Picture], hosts: Sequence[str], words: Sequence[str]) -> float:
    site = fresh("cluster/site")
    configure(site, WIDTHS)
    for number, one in enumerate(found):
        url = f"http://{hosts[(number + number * COPIES // len(found)) % len(hosts)]}/{quote(one.path.name)}"
        (site / f"{number:03}.md").write_text(article([(url, one.width, one.height)]), encoding="utf-8")
    _, summary = sync(site, connect_to, *words, expect=(0, 1))
    return float(summary["fetched"] / summary["seconds"])


# -- nothing but the scheduler -----------------------------------------------------------------------------------------


@asynccontextmanager
async def open_passing(spec: bytes, cores: int) -> AsyncIterator[Shop]:  # noqa: ARG001 (as workers call it)
    """Parts that give each job back as its result."""

    async def do(order: bytes) -> bytes:
        _, jobs = msgspec.msgpack.decode(order, type=tuple[float | None, list[tuple[str, Outcome]]])
        return msgspec.msgpack.encode({place: outcome for place, (_, outcome) in enumerate(jobs)})

    yield do


class _Passing:
    """Sends each image's outcome there and back."""

    def begin(self, pending: Pending) -> Outcome | None:
        return _outcome(f"https://{pending.host}/{pending.image}.jpg")

    def end(self, pending: Pending, result: Outcome) -> int:  # noqa: ARG002 (as runners call it)
        return result.bytes_fetched

    def give_up(self, pending: Pending, error: WorkerLost) -> None:  # noqa: ARG002
        raise error


def _pass() -> float:
    """Milliseconds an image."""
    import bench_cluster  # by its name, as workers import it

    from imgcache.runners import dask_crew
    from imgcache.runners.dask_worker import Contract

    contract = Contract(bench_cluster.open_passing, b"passing")
    with dask_crew.hired("local:2", contract, results=Outcome, room=64) as crew:

        async def go(images: int) -> float:
            async with crew:
                begin = time.perf_counter()
                shards = Shards(_pending(images, images // 100), 2)
                work = _Passing()
                runner: ClusterRunner[Outcome, Outcome] = ClusterRunner(
                    shards, Budget(), crew, work, per_host=12, clock=time.time
                )
                await runner.run()
                return time.perf_counter() - begin

        return asyncio.run(go(PASSED)) / PASSED * 1000


def _pending(images: int, hosts: int) -> list[Pending]:
    """Images of hosts of which some have far more than others."""
    return [Pending(image, f"host{(image * image + image) % hosts}.example") for image in range(images)]


def _outcome(url: str) -> Outcome:
    digest = f"{hash(url) & (2**64 - 1):064x}"
    copy = Copy(digest, 1.0, 1.0)
    asset = Asset(digest, "image/jpeg", "jpeg", 8, 8, 1, 300, "#808080", "data:,", f"assets/{digest}", (), ())
    return Outcome(url, Action.FETCHED, copy, asset, bytes_fetched=300)


# -- a large site ------------------------------------------------------------------------------------------------------


class _MadeUp:
    """A crew that has done everything already."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def room(self) -> Mapping[str, int]:
        return {f"worker{number}": 64 for number in range(8)}

    async def do(
        self,
        name: str,  # noqa: ARG002 (as `Crew` has it)
        jobs: Sequence[tuple[str, Job]],
        worker: str,  # noqa: ARG002
        seconds: float | None,  # noqa: ARG002
    ) -> Mapping[int, Outcome | None]:
        await asyncio.sleep(0.01)
        return {place: _outcome(job.url) for place, (_, job) in enumerate(jobs)}

    async def cut_short(self) -> None:
        """Nothing goes on."""


def _large(size: int) -> dict[str, Any]:
    site = fresh("cluster/large")
    for number in range(size // PER_ARTICLE):
        folder = site / f"{number // 1000:03}"
        folder.mkdir(exist_ok=True)
        first = number * PER_ARTICLE
        hosts = max(1, size // 100)
        images = [(f"https://h{(n * n) % hosts}.example/{n}.jpg", 8, 8) for n in range(first, first + PER_ARTICLE)]
        (folder / f"{number}.md").write_text(article(images), encoding="utf-8")
    import bench_cluster  # by its name, as workers import it

    from imgcache.runners import dask_crew
    from imgcache.runners.dask_worker import Contract

    ground = Ground(site, site / "cache", Config())
    contract = Contract(bench_cluster.open_passing, b"large")
    # The scheduler and the client that it would talk to are there, and idle.
    with dask_crew.hired("local:1", contract, results=Outcome, room=64), writer(ground, "sync", time.time) as house:
        job = syncing.build_sync(house, ground.config, syncing.SyncRequest(), Silent(), time.time, crew=_MadeUp())
        report = asyncio.run(job.run())
    return {"references": report.references, "flags": report.flags_set, "seconds": report.seconds}


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(SCRIPTS)]
    print(json.dumps({"ms": _pass()} if sys.argv[1] == "passing" else _large(int(sys.argv[2]))))
