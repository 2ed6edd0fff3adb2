"""Builds the parts of a command from its configuration: the one file that knows every class."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec

from imgcache import __version__, plan
from imgcache.catalogue import Catalogue
from imgcache.config import Config
from imgcache.downloader import Downloader
from imgcache.errors import ConfigError
from imgcache.flags import FlagWriter
from imgcache.formats import sniff
from imgcache.index import Held, Index
from imgcache.lock import CacheLock
from imgcache.manifest import Entry, Manifest
from imgcache.net.connect_to import ConnectTo
from imgcache.net.guard import Guard
from imgcache.pipeline import Pipeline, Rehearsal
from imgcache.plan import Wish
from imgcache.recorder import Recorder
from imgcache.render_pool import RenderPool
from imgcache.runners.budget import Budget
from imgcache.scanner import Scanner
from imgcache.site import Site
from imgcache.store.local import LocalStore
from imgcache.sync import Progress, Settings, Sync
from imgcache.upkeep import Upkeep

logger = logging.getLogger(__name__)

_COPIES = 5  # tries to copy the index whole while another command writes it

Clock = Callable[[], float]


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


class Ground(msgspec.Struct, frozen=True):
    """Which site and which cache a command works on, and how it was configured."""

    root: Path
    cache: Path
    config: Config


class House(msgspec.Struct, frozen=True):
    """The parts that every command on a cache needs, ready for use."""

    site: Site
    scanner: Scanner
    store: LocalStore
    index: Index
    catalogue: Catalogue
    manifest: Manifest

    def flag_writer(self, dimensions: str, *, dry_run: bool = False) -> FlagWriter:
        """The writer of flags over these parts."""
        return FlagWriter(
            catalogue=self.catalogue,
            manifest=self.manifest,
            scanner=self.scanner,
            dimensions=dimensions,
            dry_run=dry_run,
        )

    def upkeep(self) -> Upkeep:
        """Verify, gc and forget over these parts."""
        return Upkeep(store=self.store, index=self.index, catalogue=self.catalogue, manifest=self.manifest)


@contextmanager
def writer(ground: Ground, command: str, clock: Clock) -> Iterator[House]:
    """The parts, for a command that writes; no other can run meanwhile. Raises CacheBusy, DiskFull."""
    cache, folder = ground.cache, ground.cache / "index"
    with ExitStack() as stack:
        stack.enter_context(CacheLock(folder, command=command, now=clock()))
        store = LocalStore(cache)
        store.prepare()
        stack.callback(store.close)
        index = stack.enter_context(closing(Index(folder)))
        manifest = Manifest(site=ground.root, cache=cache, scratch=store.scratch)
        if index.fresh:
            index.rebuild((Held(url, entry.asset(), entry.robots_tag) for url, entry in _said(manifest)), store)
        yield _house(ground, stack, store=store, index=index, manifest=manifest, folder=folder)


def _said(manifest: Manifest) -> list[tuple[str, Entry]]:
    """What manifest.json says, in order; nothing where it is damaged: then images are fetched, and it is rewritten."""
    try:
        return sorted(manifest.read().items())
    except ConfigError as error:
        logger.warning("%s; it will be written anew", error)
        return []


@contextmanager
def reader(ground: Ground) -> Iterator[House]:
    """The parts over a copy of the index, for a command that touches nothing."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imgcache-")))
        store = LocalStore(ground.cache)
        index = stack.enter_context(closing(_index_copy(ground.cache / "index", folder)))
        manifest = Manifest(site=ground.root, cache=ground.cache, scratch=folder)
        yield _house(ground, stack, store=store, index=index, manifest=manifest, folder=folder)


def _index_copy(source: Path, folder: Path) -> Index:
    """The index over a copy of its files. Made again where a sync wrote while they were copied, so that it is torn."""
    for _ in range(_COPIES):
        for name in ("cache.db", "cache.db-wal", "catalogue.db", "catalogue.db-wal"):  # SQLite makes its -shm anew
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(source / name, folder)
        index = Index(folder)
        if not index.damaged:
            break
        index.close()
        for left in folder.iterdir():
            left.unlink()
    else:
        index = Index(folder)
    return index


def _house(
    ground: Ground,
    stack: ExitStack,
    *,
    store: LocalStore,
    index: Index,
    manifest: Manifest,
    folder: Path,
) -> House:
    config, cache = ground.config, ground.cache
    site = Site(ground.root, config.site_url)
    scanner = Scanner(site, articles=config.articles, exclude=config.exclude, flag=config.flag, cache=cache)
    catalogue = stack.enter_context(closing(Catalogue(folder / "catalogue.db", _scope(ground))))
    return House(site=site, scanner=scanner, store=store, index=index, catalogue=catalogue, manifest=manifest)


def _scope(ground: Ground) -> str:
    """All that an article's references depend on beside its bytes: another scope, and every article is read anew."""
    config = ground.config
    parts = (__version__, str(ground.root), config.site_url, config.articles, config.exclude, config.flag)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


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
