"""Connects the workers of a cluster, and opens in each worker what a run needs there.

Workers receive settings, never objects: each builds its own downloader, render pool and store, once a run.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from imgcache.auditor import ProbeResult, probe_image
from imgcache.cache import PendingImage, Store
from imgcache.config import Config
from imgcache.core import Asset, ConfigError, Job, Outcome, raise_descriptor_limit, remove_tree
from imgcache.downloader import ConnectTo
from imgcache.policy import SyncPolicy
from imgcache.runners import Budget, LocalRunner, Schedule, ShardHandler, WorkerGroup
from imgcache.wiring.factories import build_pipeline, build_prober, open_store
from imgcache.wiring.run_marker import RunMarker
from imgcache.wiring.workspace import Workspace

J = TypeVar("J")
R = TypeVar("R")

_REMEMBERED = 4096  # assets that a worker remembers, for other URLs with the same bytes


class SyncSpec(msgspec.Struct, frozen=True):
    """What a worker needs to know for a sync. `run` is unique; `cache` and `bucket_url` are those of the workspace."""

    run: str
    cache: str
    bucket_url: str | None
    config: Config
    policy: SyncPolicy
    jobs: int | None
    connect_to: tuple[ConnectTo, ...]


class AuditSpec(msgspec.Struct, frozen=True):
    """What a worker needs to know for an audit. `run` is unique."""

    run: str
    config: Config
    connect_to: tuple[ConnectTo, ...]


@contextmanager
def audit_workers(where: str, spec: AuditSpec) -> Iterator[WorkerGroup[str, ProbeResult]]:
    """Connect the workers of an audit. Raises ConfigError."""
    with _connect(where, spec, open_audit, results=ProbeResult) as workers:
        yield workers


@contextmanager
def sync_workers(where: str, spec: SyncSpec, store: Store) -> Iterator[WorkerGroup[Job, Outcome]]:
    """Connect the workers of a sync, which write into `store`. Raises ConfigError, DiskFull."""

    def learn(outcome: Outcome) -> None:
        for held in (outcome, outcome.doubtful):
            if held is not None and held.asset is not None:
                store.note_committed(held.asset)

    marker = _marker(spec)
    marker.leave()
    try:
        with _connect(where, spec, open_sync, obstacle, results=Outcome, on_result=learn) as workers:
            yield workers
    finally:
        marker.remove()


def run_name() -> str:
    """Returns a unique name for a run."""
    return secrets.token_hex(8)


def _marker(spec: SyncSpec) -> RunMarker:
    return RunMarker(spec.run, Path(spec.cache), spec.bucket_url)


def _connect(
    where: str,
    spec: SyncSpec | AuditSpec,
    open_parts: Callable[[bytes, int], Any],
    check: Callable[[bytes], str | None] | None = None,
    **options: Any,
) -> AbstractContextManager[WorkerGroup[Any, Any]]:
    try:
        from imgcache.runners.dask_group import connect_workers
        from imgcache.runners.dask_worker import RunSpec
    except ImportError as error:
        raise ConfigError(
            f"needs a package that is not installed ({error.name}): pip install 'imgcache[scale]'", where="--dask"
        ) from None
    contract = RunSpec(open_parts, msgspec.msgpack.encode(spec), check)
    return connect_workers(where, contract, capacity=spec.config.fetch.concurrency, **options)


# -- in a worker -------------------------------------------------------------------------------------------------------


def obstacle(spec: bytes) -> str | None:
    """Returns why this worker cannot use the cache of a sync; None where it can."""
    return _marker(msgspec.msgpack.decode(spec, type=SyncSpec)).obstacle()


@asynccontextmanager
async def open_sync(data: bytes, cores: int) -> AsyncIterator[ShardHandler]:
    """Open the parts of a sync in a worker. `data` is an encoded SyncSpec. Raises DiskFull."""
    spec = msgspec.msgpack.decode(data, type=SyncSpec)
    raise_descriptor_limit()
    folder = Path(tempfile.mkdtemp(prefix="imgcache-"))  # for what this process knows of an object store
    store = open_store(Workspace(folder, Path(spec.cache), spec.config, spec.bucket_url), folder)
    if spec.bucket_url is None:  # other workers write to the same folder at the same time
        store.scratch = store.scratch / f"worker-{run_name()}"
    store.prepare()
    recent = _RecentAssets()
    pipeline = build_pipeline(
        store,
        spec.config,
        spec.connect_to,
        jobs=spec.jobs or cores,
        policy=spec.policy,
        clock=time.time,
        asset_of=recent.get,
        expects_images=True,
    )

    async def bring_up_to_date(job: Job) -> Outcome:
        outcome = await pipeline.run(job)
        if outcome.asset is not None:
            recent.add(outcome.asset)
        return outcome

    async def handle(shard: bytes) -> bytes:
        return await run_shard(shard, Job, bring_up_to_date, per_host=2 * spec.config.fetch.per_host)

    try:
        async with pipeline:
            yield handle
    finally:
        remove_tree(store.scratch)
        store.close()
        remove_tree(folder)


@asynccontextmanager
async def open_audit(data: bytes, cores: int) -> AsyncIterator[ShardHandler]:  # noqa: ARG001 (probing needs one core)
    """Open the parts of an audit in a worker. `data` is an encoded AuditSpec."""
    spec = msgspec.msgpack.decode(data, type=AuditSpec)
    raise_descriptor_limit()
    async with build_prober(spec.config, spec.connect_to, time.time) as prober:

        async def handle(shard: bytes) -> bytes:
            return await run_shard(
                shard, str, lambda url: probe_image(prober, url), per_host=spec.config.fetch.per_host
            )

        yield handle


async def run_shard(shard: bytes, kind: type[J], work: Callable[[J], Awaitable[R]], *, per_host: int) -> bytes:
    """Run the jobs of one shard.

    Args:
        shard: encoded: the seconds that are left, and the jobs, each with its host.
        kind: the type of a job.
        work: does one job.
        per_host: how many jobs of one host may be under way.

    Returns:
        Encoded results by the position of their jobs. A job that time did not allow to start has none.
    """
    seconds, jobs = msgspec.msgpack.decode(shard, type=tuple[float | None, list[tuple[str, kind]]])  # type: ignore[valid-type]
    results: dict[int, R] = {}

    async def one(pending: PendingImage) -> int:
        results[pending.image] = await work(jobs[pending.image][1])
        return 0

    schedule = Schedule((PendingImage(place, host) for place, (host, _) in enumerate(jobs)), per_host)
    deadline = None if seconds is None else time.monotonic() + seconds
    with suppress(asyncio.CancelledError):  # the command was interrupted: finished results are kept
        await LocalRunner(schedule, Budget(deadline), concurrency=max(1, len(jobs)), clock=time.monotonic).run(one)
    return msgspec.msgpack.encode(results)


class _RecentAssets:
    """The assets that a worker made last, by digest."""

    def __init__(self) -> None:
        self._assets: dict[str, Asset] = {}

    def get(self, digest: str) -> Asset | None:
        return self._assets.get(digest)

    def add(self, asset: Asset) -> None:
        self._assets.pop(asset.digest, None)
        self._assets[asset.digest] = asset
        if len(self._assets) > _REMEMBERED:
            del self._assets[next(iter(self._assets))]
