"""The parts that every command on a cache needs, open: to be written, or to be read from a copy."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from imgcache import __version__
from imgcache.atomic import writing
from imgcache.catalogue import Catalogue
from imgcache.errors import ConfigError
from imgcache.index import Held, Index
from imgcache.lock import CacheLock
from imgcache.manifest import NAME, Entry, Manifest
from imgcache.scanner import Scanner
from imgcache.site import Site
from imgcache.store import Store
from imgcache.store.documents import Document, LocalDocument
from imgcache.store.local import LocalStore
from imgcache.wiring.ground import Clock, Ground

if TYPE_CHECKING:  # each command loads what it uses
    from imgcache.flags import FlagWriter
    from imgcache.upkeep import Upkeep

logger = logging.getLogger(__name__)

# What only a look at the whole store can answer.
_THOROUGH = frozenset({"verify", "gc"})
_COPIED = ("cache.db", "catalogue.db", "objects.db")  # SQLite makes its -shm anew
_COPIES = 5  # tries to copy the index whole while another command writes it


class House(msgspec.Struct, frozen=True):
    """The parts that every command on a cache needs, ready for use."""

    site: Site
    scanner: Scanner
    store: Store
    index: Index
    catalogue: Catalogue
    manifest: Manifest

    def flag_writer(self, dimensions: str, *, dry_run: bool = False) -> FlagWriter:
        """The writer of flags over these parts."""
        from imgcache.flags import FlagWriter

        return FlagWriter(
            catalogue=self.catalogue,
            manifest=self.manifest,
            scanner=self.scanner,
            dimensions=dimensions,
            dry_run=dry_run,
        )

    def upkeep(self) -> Upkeep:
        """Verify, gc and forget over these parts."""
        from imgcache.upkeep import Upkeep

        return Upkeep(store=self.store, index=self.index, catalogue=self.catalogue, manifest=self.manifest)


def open_store(ground: Ground, folder: Path) -> Store:
    """The store of a cache; `folder` is where an object store keeps what this process, or machine, knows of it.

    Raises:
        ConfigError: the object store cannot be used as it is named, or its libraries are not installed.
    """
    if ground.place is None:
        return LocalStore(ground.cache)
    from imgcache.store.bucket import connect
    from imgcache.store.objects import ObjectStore

    return ObjectStore(connect(ground.place), folder)


def document(ground: Ground) -> Document:
    """manifest.json of a cache, for a command that needs nothing else of it. Raises ConfigError."""
    if ground.place is None:
        return LocalDocument(ground.cache / NAME)
    from imgcache.store.bucket import connect
    from imgcache.store.object_document import ObjectDocument

    return ObjectDocument(connect(ground.place), NAME)


@contextmanager
def folder_with(ground: Ground, sizes: Mapping[str, int], beside: Path) -> Iterator[Path]:
    """A folder that has these files of the cache: its own, or one that lasts as long as the block.

    Args:
        ground: names the cache.
        sizes: paths relative to the cache, and bytes.
        beside: a folder of earlier copies; what an object store need not send again is taken from there.
    """
    if ground.place is None:
        yield ground.cache
        return
    from imgcache.store.bucket import connect
    from imgcache.store.mirror import mirror

    with writing(beside):
        beside.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".imgcache-", dir=beside.parent)
    with temporary as folder:
        mirror(connect(ground.place), sizes, Path(folder), beside)
        yield Path(folder)


def _manifest(ground: Ground, store: Store, scratch: Path) -> Manifest:
    return Manifest(site=ground.root, cache=ground.cache, scratch=scratch, document=store.document(NAME))


@contextmanager
def writer(ground: Ground, command: str, clock: Clock, *, stores: bool = True) -> Iterator[House]:
    """The parts, for a command that writes: one that `stores` nothing, the index alone. Raises CacheBusy, DiskFull."""
    folder = ground.cache / "index"
    with ExitStack() as stack:
        stack.enter_context(CacheLock(folder, command=command, now=clock()))
        store = open_store(ground, folder)
        stack.callback(store.close)
        if stores:
            store.prepare()
        index = stack.enter_context(closing(Index(folder)))
        manifest = _manifest(ground, store, store.scratch)
        mark = manifest.mark()
        if command in _THOROUGH or not mark or index.exported != mark:  # the first run, or another machine was at work
            store.refresh()
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
        index = stack.enter_context(closing(_index_copy(ground.cache / "index", folder)))
        store = open_store(ground, folder)
        stack.callback(store.close)
        manifest = _manifest(ground, store, folder)
        yield _house(ground, stack, store=store, index=index, manifest=manifest, folder=folder)


def _index_copy(source: Path, folder: Path) -> Index:
    """The index over a copy of its files. Made again where a sync wrote while they were copied, so that it is torn."""
    for _ in range(_COPIES):
        for name in (name + ending for name in _COPIED for ending in ("", "-wal")):
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
    store: Store,
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
