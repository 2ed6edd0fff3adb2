"""Builds a sync, from the options of the command line or of the Python API."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

import msgspec

from imgcache.config import Config
from imgcache.core import Job, Outcome, parse_bytes, parse_seconds
from imgcache.downloader import ConnectTo
from imgcache.policy import SyncPolicy, plan
from imgcache.runners import Budget, Progress, WorkerGroup
from imgcache.syncer import Recorder, ReferenceScanner, Sync, SyncOptions
from imgcache.wiring.factories import build_pipeline
from imgcache.wiring.ignoring import keep_out_of_git
from imgcache.wiring.open_cache import OpenCache, open_for_reading, open_for_writing
from imgcache.wiring.option_values import parse_connect_to, parse_jobs, parse_quantity
from imgcache.wiring.workspace import Clock, Workspace

if TYPE_CHECKING:  # a run with nothing to fetch ends before these are loaded
    from imgcache.syncer import DryRun, Pipeline


class SyncRequest(msgspec.Struct, frozen=True):
    """The options of one sync. `max_time` is in seconds, `max_bytes` in bytes."""

    refresh: bool = False
    only_failed: bool = False
    offline: bool = False
    dry_run: bool = False
    jobs: int | None = None
    max_time: float | None = None
    max_bytes: int | None = None
    connect_to: tuple[ConnectTo, ...] = ()
    dask: str | None = None
    article: str | None = None  # relative to the site

    @classmethod
    def from_options(
        cls,
        *,
        refresh: bool = False,
        only_failed: bool = False,
        offline: bool = False,
        dry_run: bool = False,
        jobs: int | None = None,
        max_time: float | str | None = None,
        max_bytes: int | str | None = None,
        connect_to: str | Iterable[str] = (),
        dask: str | None = None,
        article: str | None = None,
    ) -> Self:
        """Parse options as people write them, such as "10m" and "1GB". Raises ConfigError."""
        size = parse_quantity(max_bytes, parse_bytes, where="max_bytes", example="1GB")
        return cls(
            refresh=refresh,
            only_failed=only_failed,
            offline=offline,
            dry_run=dry_run,
            jobs=parse_jobs(jobs),
            max_time=parse_quantity(max_time, parse_seconds, where="max_time", example="10m"),
            max_bytes=None if size is None else int(size),
            connect_to=parse_connect_to(connect_to),
            dask=dask,
            article=article,
        )


@contextmanager
def prepare_sync(
    workspaces: Sequence[Workspace], request: SyncRequest, progress: Progress, clock: Clock
) -> Iterator[Sync]:
    """Open the cache and build a sync of one site, or of several sites that share the cache.

    Raises:
        CacheBusy: another run holds the cache.
        ConfigError: the cache or the workers cannot be used.
        DiskFull: the cache cannot be written.
    """
    workspace, *others = workspaces
    opening = (
        open_for_reading(workspace, others=others)
        if request.dry_run
        else open_for_writing(workspace, "sync", clock, others=others)
    )
    with opening as cache, _connect_workers(cache, workspace, request) as workers:
        if not request.dry_run:
            keep_out_of_git(workspace)
        yield build_sync(cache, workspace.config, request, progress, clock, workers=workers)


@contextmanager
def _connect_workers(
    cache: OpenCache, workspace: Workspace, request: SyncRequest
) -> Iterator[WorkerGroup[Job, Outcome] | None]:
    """Connect the workers that --dask names; a dry run has none, for it contacts nobody."""
    if request.dask is None or request.dry_run:
        yield None
        return
    from imgcache.wiring import cluster

    spec = cluster.SyncSpec(
        run=cluster.run_name(),
        cache=str(workspace.cache),
        bucket_url=workspace.bucket_url,
        config=workspace.config,
        policy=_policy(workspace.config, request),
        jobs=request.jobs,
        connect_to=request.connect_to,
    )
    with cluster.sync_workers(request.dask, spec, cache.store) as workers:
        yield workers


def _policy(config: Config, request: SyncRequest) -> SyncPolicy:
    return SyncPolicy(
        recipes=plan.fingerprints(config.variants),
        variants=config.variants,
        refresh=request.refresh,
        refresh_after=config.fetch.refresh_after,
        offline=request.offline,
    )


def build_sync(
    cache: OpenCache,
    config: Config,
    request: SyncRequest,
    progress: Progress,
    clock: Clock,
    *,
    workers: WorkerGroup[Job, Outcome] | None = None,
    scanner: ReferenceScanner | None = None,
) -> Sync:
    """Build a sync over an open cache.

    With `workers`, these fetch and render the images. `scanner` replaces that of the site.
    """
    policy = _policy(config, request)
    recorder = Recorder(index=cache.index, catalogue=cache.catalogue, store=cache.store, policy=policy, clock=clock)
    deadline = time.monotonic() + request.max_time if request.max_time else None
    return Sync(
        site=cache.site,
        scanner=scanner or cache.scanner,
        catalogue=cache.catalogue,
        index=cache.index,
        manifest=cache.manifest,
        flags=cache.flag_writer(config.dimensions, dry_run=request.dry_run, article=request.article),
        recorder=recorder,
        pipeline=partial(_build_pipeline, cache, config, request, recorder=recorder, policy=policy, clock=clock),
        workers=workers,
        budget=Budget(deadline=deadline, max_bytes=request.max_bytes),
        options=SyncOptions(
            policy=policy,
            only_failed=request.only_failed,
            dry_run=request.dry_run,
            per_host=2 * config.fetch.per_host,  # while one image of a host is rendered, its next is fetched
            at_once=2 * config.fetch.concurrency,
            limits=config.limits,
            article=request.article,
        ),
        progress=progress,
        clock=clock,
        restore_removed=partial(_restore_removed, cache, is_dry=request.dry_run),
    )


def _restore_removed(cache: OpenCache, *, is_dry: bool) -> None:
    if not is_dry:
        cache.kept.restore(cache.index, cache.catalogue, cache.store)


def _build_pipeline(
    cache: OpenCache,
    config: Config,
    request: SyncRequest,
    expects_images: bool,
    *,
    recorder: Recorder,
    policy: SyncPolicy,
    clock: Clock,
) -> Pipeline | DryRun:
    if request.dry_run:
        from imgcache.syncer import DryRun

        return DryRun(store=cache.store, policy=policy, clock=clock, kept=cache.kept.assets())
    return build_pipeline(
        cache.store,
        config,
        request.connect_to,
        jobs=request.jobs,
        policy=policy,
        clock=clock,
        asset_of=recorder.asset_of,
        expects_images=expects_images,
    )
