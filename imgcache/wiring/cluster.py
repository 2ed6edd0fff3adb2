"""A crew of workers, hired; and what a worker of it opens for a run.

What goes to the workers are settings, never objects: each builds its own downloader, render pool and store, once.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import msgspec

from imgcache.auditor import ProbeResult, probe_image
from imgcache.cache import PendingImage, Store
from imgcache.config import Config
from imgcache.core import Asset, ConfigError, Job, Outcome, raise_limit, remove_tree
from imgcache.downloader import ConnectTo
from imgcache.policy import SyncPolicy
from imgcache.runners import Budget, LocalRunner, Schedule, ShardHandler, WorkerGroup
from imgcache.wiring.open_cache import open_store
from imgcache.wiring.run_marker import RunMarker
from imgcache.wiring.workspace import Workspace

J = TypeVar("J")
R = TypeVar("R")

_KNOWN = 4096  # assets that a worker remembers, for other URLs with the same bytes


class SyncSpec(msgspec.Struct, frozen=True):
    """What a worker needs to know to bring images up to date: `cache` and `place` are as in `Ground`."""

    run: str  # tells one run from another
    cache: str
    place: str | None
    config: Config
    wish: SyncPolicy
    jobs: int | None
    connect_to: tuple[ConnectTo, ...]


class AuditSpec(msgspec.Struct, frozen=True):
    """What a worker needs to know to look at images. `run` tells one run from another."""

    run: str
    config: Config
    connect_to: tuple[ConnectTo, ...]


@contextmanager
def audit_crew(where: str, spec: AuditSpec) -> Iterator[WorkerGroup[str, ProbeResult]]:
    """A crew that looks at images, and keeps none. Raises ConfigError."""
    dask_crew, room = _dask_crew(), spec.config.fetch.concurrency
    contract = dask_crew.RunSpec(open_audit, msgspec.msgpack.encode(spec))
    with dask_crew.connect_workers(where, contract, results=ProbeResult, room=room) as crew:
        yield crew


@contextmanager
def sync_crew(where: str, spec: SyncSpec, store: Store) -> Iterator[WorkerGroup[Job, Outcome | None]]:
    """A crew that brings images up to date, in the cache of `store`. Raises ConfigError, DiskFull."""

    def note(outcome: Outcome | None) -> None:
        for held in (outcome, outcome and outcome.doubtful):
            if held is not None and held.asset is not None:
                store.learn(held.asset)

    dask_crew, room = _dask_crew(), spec.config.fetch.concurrency
    contract = dask_crew.RunSpec(open_sync, msgspec.msgpack.encode(spec), obstacle)
    sign = _sign(spec)
    sign.leave()
    try:
        with dask_crew.connect_workers(where, contract, results=Outcome | None, room=room, note=note) as crew:
            yield crew
    finally:
        sign.remove()


def _sign(spec: SyncSpec) -> RunMarker:
    return RunMarker(spec.run, Path(spec.cache), spec.place)


def run_name() -> str:
    """A name for a run that no other has."""
    return secrets.token_hex(8)


def _dask_crew() -> ModuleType:
    try:
        return import_module("imgcache.runners.dask_group")
    except ImportError as error:
        raise ConfigError(
            f"needs a package that is not installed ({error.name}): pip install 'imgcache[scale]'", where="--dask"
        ) from None


# -- in a worker -------------------------------------------------------------------------------------------------------


def obstacle(spec: bytes) -> str | None:
    """What keeps this worker from the cache of a sync; None where nothing does."""
    return _sign(msgspec.msgpack.decode(spec, type=SyncSpec)).obstacle()


@asynccontextmanager
async def open_sync(spec: bytes, cores: int) -> AsyncIterator[ShardHandler]:
    """The parts of a sync, as `runners.station` opens them. Raises DiskFull."""
    from imgcache.wiring.sync import build_pipeline

    told = msgspec.msgpack.decode(spec, type=SyncSpec)
    raise_limit()
    folder = Path(tempfile.mkdtemp(prefix="imgcache-"))  # of an object store: what this process knows of it
    store = open_store(Workspace(folder, Path(told.cache), told.config, told.place), folder)
    if told.place is None:  # a folder that others write at the same time
        store.scratch = store.scratch / f"worker-{run_name()}"
    store.prepare()
    made = _Made()
    pipeline = build_pipeline(
        store,
        told.config,
        told.connect_to,
        jobs=told.jobs or cores,
        wish=told.wish,
        clock=time.time,
        asset_of=made.get,
        expects_images=True,
    )

    async def bring_up_to_date(job: Job) -> Outcome | None:
        outcome = await pipeline.run(job)
        if outcome is not None and outcome.asset is not None:
            made.add(outcome.asset)
        return outcome

    async def do(order: bytes) -> bytes:
        return await do_order(order, Job, bring_up_to_date, share=2 * told.config.fetch.per_host)

    try:
        async with pipeline:
            yield do
    finally:
        remove_tree(store.scratch)
        store.close()
        remove_tree(folder)


@asynccontextmanager
async def open_audit(spec: bytes, cores: int) -> AsyncIterator[ShardHandler]:  # noqa: ARG001 (looking needs one core)
    """The parts of an audit, as `runners.station` opens them."""
    from imgcache.wiring.audit import build_prober

    told = msgspec.msgpack.decode(spec, type=AuditSpec)
    raise_limit()
    async with build_prober(told.config, told.connect_to, time.time) as prober:

        async def do(order: bytes) -> bytes:
            return await do_order(order, str, lambda url: probe_image(prober, url), share=told.config.fetch.per_host)

        yield do


async def do_order(order: bytes, kind: type[J], work: Callable[[J], Awaitable[R]], *, share: int) -> bytes:
    """The jobs of one shard: as many of a host at once as is its share, none begun when time is up."""
    seconds, jobs = msgspec.msgpack.decode(order, type=tuple[float | None, list[tuple[str, kind]]])  # type: ignore[valid-type]
    results: dict[int, R] = {}

    async def one(pending: PendingImage) -> int:
        results[pending.image] = await work(jobs[pending.image][1])
        return 0

    schedule = Schedule((PendingImage(place, host) for place, (host, _) in enumerate(jobs)), share)
    deadline = None if seconds is None else time.monotonic() + seconds
    with suppress(asyncio.CancelledError):  # the command was cut short: what is finished is kept
        await LocalRunner(schedule, Budget(deadline), at_once=max(1, len(jobs)), clock=time.monotonic).run(one)
    return msgspec.msgpack.encode(results)


class _Made:
    """The assets that a worker made last, by digest."""

    def __init__(self) -> None:
        self._assets: dict[str, Asset] = {}

    def get(self, digest: str) -> Asset | None:
        return self._assets.get(digest)

    def add(self, asset: Asset) -> None:
        self._assets.pop(asset.digest, None)
        self._assets[asset.digest] = asset
        if len(self._assets) > _KNOWN:
            del self._assets[next(iter(self._assets))]
