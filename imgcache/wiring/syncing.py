"""A sync, built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from imgcache import plan
from imgcache.config import Config
from imgcache.downloader import Downloader
from imgcache.formats import sniff
from imgcache.net.connect_to import ConnectTo
from imgcache.net.guard import Guard
from imgcache.pipeline import Pipeline, Rehearsal
from imgcache.plan import Wish
from imgcache.recorder import Recorder
from imgcache.render_pool import RenderPool
from imgcache.runners.budget import Budget
from imgcache.runners.progress import Progress
from imgcache.sync import Settings, Sync
from imgcache.wiring.ground import Clock, Ground
from imgcache.wiring.parts import House, reader, writer


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


@contextmanager
def sync(ground: Ground, request: SyncRequest, progress: Progress, clock: Clock) -> Iterator[Sync]:
    """A sync, ready to run. Raises CacheBusy where another run holds the cache."""
    opened = reader(ground) if request.dry_run else writer(ground, "sync", clock)
    with opened as house:
        yield build_sync(house, ground.config, request, progress, clock)


def build_sync(house: House, config: Config, request: SyncRequest, progress: Progress, clock: Clock) -> Sync:
    """A sync over parts that are open."""
    wish = Wish(
        recipes=plan.fingerprints(config.variants),
        refresh=request.refresh,
        refresh_after=config.fetch.refresh_after,
        offline=request.offline,
    )
    recorder = Recorder(index=house.index, catalogue=house.catalogue, store=house.store, wish=wish, clock=clock)
    deadline = clock() + request.max_time if request.max_time else None
    return Sync(
        site=house.site,
        scanner=house.scanner,
        catalogue=house.catalogue,
        index=house.index,
        manifest=house.manifest,
        flags=house.flag_writer(config.dimensions, dry_run=request.dry_run),
        recorder=recorder,
        pipeline=_pipeline(house, config, request, recorder=recorder, wish=wish, clock=clock),
        budget=Budget(deadline=deadline, max_bytes=request.max_bytes),
        settings=Settings(
            wish=wish,
            only_failed=request.only_failed,
            dry_run=request.dry_run,
            per_host=2 * config.fetch.per_host,  # while one image of a host is rendered, its next is on its way
            at_once=2 * config.fetch.concurrency,
            limits=config.limits,
        ),
        progress=progress,
        clock=clock,
    )


def _pipeline(
    house: House, config: Config, request: SyncRequest, *, recorder: Recorder, wish: Wish, clock: Clock
) -> Pipeline | Rehearsal:
    if request.dry_run:
        return Rehearsal(store=house.store, wish=wish, clock=clock)
    downloader = Downloader(
        folder=house.store.scratch,
        sniff=sniff,
        limits=config.limits,
        policy=msgspec.structs.replace(config.fetch, user_agent=config.user_agent),
        guard=Guard(config.allow_networks),
        connect_to=request.connect_to,
        respect_robots=config.respect_robots,
        respect_robots_tag=config.respect_robots_tag,
        clock=clock,
    )
    return Pipeline(
        downloader=downloader,
        pool=RenderPool(request.jobs, config.limits),
        store=house.store,
        recipes=config.variants,
        wish=wish,
        clock=clock,
        asset_of=recorder.asset_of,
    )
