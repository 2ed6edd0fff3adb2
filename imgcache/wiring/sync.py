"""A sync, built."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from imgcache.cache import Store
from imgcache.config import Config
from imgcache.core import Asset, Job, Outcome, raise_limit
from imgcache.downloader import ConnectTo
from imgcache.policy import SyncPolicy, plan
from imgcache.runners import Budget, Progress, WorkerGroup
from imgcache.syncer import Recorder, ReferenceScanner, Sync, SyncOptions
from imgcache.wiring.ignoring import keep_out_of_git
from imgcache.wiring.open_cache import OpenCache, open_for_reading, open_for_writing
from imgcache.wiring.workspace import Clock, Workspace

if TYPE_CHECKING:  # a run with nothing to fetch ends before these are loaded
    from imgcache.syncer import DryRun, Pipeline


class SyncRequest(msgspec.Struct, frozen=True):
    """What the flags of `imgcache sync` ask for. Times in seconds, sizes in bytes."""

    refresh: bool = False
    only_failed: bool = False
    offline: bool = False
    dry_run: bool = False
    jobs: int | None = None
    max_time: float | None = None
    max_bytes: int | None = None
    connect_to: tuple[ConnectTo, ...] = ()
    dask: str | None = None


@contextmanager
def prepare_sync(
    grounds: Sequence[Workspace], request: SyncRequest, progress: Progress, clock: Clock
) -> Iterator[Sync]:
    """A sync of one site, or of several with one cache as one, ready to run.

    Raises:
        CacheBusy: another run holds the cache.
    """
    ground, *beside = grounds
    raise_limit()
    opened = (
        open_for_reading(ground, beside=beside)
        if request.dry_run
        else open_for_writing(ground, "sync", clock, beside=beside)
    )
    with opened as house, _hands(house, ground, request) as crew:
        if not request.dry_run:
            keep_out_of_git(ground)
        yield build_sync(house, ground.config, request, progress, clock, crew=crew)


@contextmanager
def _hands(
    house: OpenCache, ground: Workspace, request: SyncRequest
) -> Iterator[WorkerGroup[Job, Outcome | None] | None]:
    """The workers that --dask names; none for a dry run, which asks nobody."""
    if request.dask is None or request.dry_run:
        yield None
        return
    from imgcache.wiring.cluster import SyncSpec, run_name, sync_crew

    spec = SyncSpec(
        run=run_name(),
        cache=str(ground.cache),
        place=ground.place,
        config=ground.config,
        wish=_wish(ground.config, request),
        jobs=request.jobs,
        connect_to=request.connect_to,
    )
    with sync_crew(request.dask, spec, house.store) as crew:
        yield crew


def _wish(config: Config, request: SyncRequest) -> SyncPolicy:
    return SyncPolicy(
        recipes=plan.fingerprints(config.variants),
        variants=config.variants,
        refresh=request.refresh,
        refresh_after=config.fetch.refresh_after,
        offline=request.offline,
    )


def build_sync(
    house: OpenCache,
    config: Config,
    request: SyncRequest,
    progress: Progress,
    clock: Clock,
    *,
    crew: WorkerGroup[Job, Outcome | None] | None = None,
    scanner: ReferenceScanner | None = None,
) -> Sync:
    """A sync over parts that are open; with a crew, its workers do what is to be done for each image.

    `scanner` stands in place of that of the site.
    """
    wish = _wish(config, request)
    recorder = Recorder(index=house.index, catalogue=house.catalogue, store=house.store, wish=wish, clock=clock)
    deadline = time.monotonic() + request.max_time if request.max_time else None
    return Sync(
        site=house.site,
        scanner=scanner or house.scanner,
        catalogue=house.catalogue,
        index=house.index,
        manifest=house.manifest,
        flags=house.flag_writer(config.dimensions, dry_run=request.dry_run),
        recorder=recorder,
        pipeline=partial(_pipeline, house, config, request, recorder=recorder, wish=wish, clock=clock),
        crew=crew,
        budget=Budget(deadline=deadline, max_bytes=request.max_bytes),
        settings=SyncOptions(
            wish=wish,
            only_failed=request.only_failed,
            dry_run=request.dry_run,
            per_host=2 * config.fetch.per_host,  # while one image of a host is rendered, its next is on its way
            at_once=2 * config.fetch.concurrency,
            limits=config.limits,
        ),
        progress=progress,
        clock=clock,
        take_back=partial(_take_back, house, is_dry=request.dry_run),
    )


def _take_back(house: OpenCache, *, is_dry: bool) -> None:
    if not is_dry:
        house.kept.bring_back(house.index, house.catalogue, house.store)


def _pipeline(
    house: OpenCache,
    config: Config,
    request: SyncRequest,
    expects_images: bool,
    *,
    recorder: Recorder,
    wish: SyncPolicy,
    clock: Clock,
) -> Pipeline | DryRun:
    if request.dry_run:
        from imgcache.syncer import DryRun

        return DryRun(store=house.store, wish=wish, clock=clock, kept=house.kept.assets())
    return build_pipeline(
        house.store,
        config,
        request.connect_to,
        jobs=request.jobs,
        wish=wish,
        clock=clock,
        asset_of=recorder.asset_of,
        expects_images=expects_images,
    )


def build_pipeline(
    store: Store,
    config: Config,
    connect_to: Iterable[ConnectTo],
    *,
    jobs: int | None,
    wish: SyncPolicy,
    clock: Clock,
    asset_of: Callable[[str], Asset | None],
    expects_images: bool,
) -> Pipeline:
    """What brings one URL up to date: here, and in every worker of a cluster."""
    from imgcache.processor import RenderPool

    pool = RenderPool(jobs, config.limits)
    if expects_images:
        pool.preload()  # beside the imports that follow

    from imgcache.core import sniff
    from imgcache.downloader import Downloader, Guard
    from imgcache.syncer import Pipeline

    downloader = Downloader(
        folder=store.scratch,
        sniff=sniff,
        limits=config.limits,
        policy=msgspec.structs.replace(config.fetch, user_agent=config.user_agent),
        guard=Guard(config.allow_networks),
        connect_to=connect_to,
        respect_robots=config.respect_robots,
        respect_robots_tag=config.respect_robots_tag,
        clock=clock,
    )
    return Pipeline(
        downloader=downloader,
        pool=pool,
        store=store,
        wish=wish,
        clock=clock,
        asset_of=asset_of,
    )
