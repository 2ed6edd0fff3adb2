"""The parts that every command on a cache needs, open: to be written, or to be read from a copy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from imgcache.cache import (
    FIRST_CATALOGUE,
    CacheLock,
    Catalogue,
    Document,
    HeldEntry,
    Index,
    LocalDocument,
    LocalStore,
    OtherSites,
    SiteMember,
    Store,
    built_name,
    catalogue_file,
    catalogue_files,
    copy_databases,
    further_file,
    is_latest_catalogue,
    scan_time,
)
from imgcache.core import Dimensions, disk_errors
from imgcache.manifest import MANIFEST_NAME, Manifest
from imgcache.scanner import Scanner, Site
from imgcache.wiring import site_parts as sites
from imgcache.wiring.site_parts import SiteParts
from imgcache.wiring.workspace import BuiltSite, Clock, Workspace

if TYPE_CHECKING:  # each command loads what it uses
    from imgcache.cache import Kept, Marker
    from imgcache.manifest import FlagWriter, FlagWriters
    from imgcache.syncer import Maintenance, Removal

# What only a look at the whole store can answer.
_THOROUGH = frozenset({"verify", "gc"})
_COPIED = (FIRST_CATALOGUE, "objects.db")  # for a reader, beside the records


class OpenCache(msgspec.Struct, frozen=True):
    """The parts that every command on a cache needs, ready for use.

    `site`, `scanner` and `catalogue` are for all sites of the command, `rooms` are what each has alone. `folder` is
    the index, or its copy; `names` are those by which it knows the sites.
    """

    site: Site
    scanner: Scanner
    store: Store
    index: Index
    catalogue: Catalogue
    manifest: Manifest
    folder: Path
    names: frozenset[str]
    rooms: tuple[SiteParts, ...]
    grounds: tuple[Workspace, ...]

    def flag_writer(self, dimensions: Dimensions, *, dry_run: bool = False) -> FlagWriter | FlagWriters:
        """The writer of flags over these parts. Where there are several sites each has its own `dimensions`."""
        from imgcache.manifest import FlagWriter, FlagWriters

        is_alone = len(self.rooms) == 1
        writers = [
            FlagWriter(
                catalogue=self.catalogue,
                manifest=room.manifest,
                scanner=room.scanner,
                dimensions=dimensions if is_alone else room.dimensions,
                dry_run=dry_run,
                prefix=room.prefix,
            )
            for room in self.rooms
        ]
        return writers[0] if is_alone else FlagWriters(writers)

    def neighbours(self, without: Iterable[str] = ()) -> OtherSites:
        """The other sites of the cache, but for those of these names."""
        return OtherSites(self.folder, self.names, without=without)

    def strangers(self, neighbours: OtherSites) -> list[Marker]:
        """The sites that another index let into the same bucket: what they use is not known here."""
        markers = self.store.markers.all() if self.store.markers else []
        return sites.unknown_sites(markers, self.grounds, neighbours.names)

    def owns(self, marker: Marker) -> bool:
        """Whether it stands for one of the sites of the command."""
        return sites.is_of(marker, self.grounds)

    def upkeep(self) -> Maintenance:
        """Verify over these parts."""
        from imgcache.syncer import Maintenance

        return Maintenance(store=self.store, index=self.index, catalogue=self.catalogue, manifest=self.manifest)

    @property
    def kept(self) -> Kept:
        """What gc removed and keeps for a day; also for a reader it is that of the cache itself, not of a copy."""
        from imgcache.cache import Kept

        return Kept(self.grounds[0].cache / "index")

    def clearing(self, neighbours: OtherSites | None = None) -> Removal:
        """Gc and forget over these parts; for gc, what these neighbours use is used."""
        from imgcache.syncer import Removal

        return Removal(
            store=self.store,
            index=self.index,
            catalogue=self.catalogue,
            kept=self.kept,
            used_elsewhere=neighbours.is_used if neighbours else lambda _: False,
        )


def open_store(ground: Workspace, folder: Path) -> Store:
    """The store of a cache; `folder` is where an object store keeps what this process, or machine, knows of it.

    Raises:
        ConfigError: the object store cannot be used as it is named, or its libraries are not installed.
    """
    if ground.place is None:
        return LocalStore(ground.cache)
    from imgcache.cache import ObjectStore, connect_bucket

    return ObjectStore(connect_bucket(ground.place), folder)


def open_manifest(ground: Workspace) -> Document:
    """manifest.json of a cache, for a command that needs nothing else of it. Raises ConfigError."""
    if ground.place is None:
        return LocalDocument(ground.cache / MANIFEST_NAME)
    from imgcache.cache import ObjectDocument, connect_bucket

    return ObjectDocument(connect_bucket(ground.place), MANIFEST_NAME)


@contextmanager
def folder_with(ground: Workspace, sizes: Mapping[str, int], beside: Path) -> Iterator[Path]:
    """A folder that has these files of the cache: its own, or one that lasts as long as the block.

    Args:
        ground: names the cache.
        sizes: paths relative to the cache, and bytes.
        beside: a folder of earlier copies; what an object store need not send again is taken from there.
    """
    if ground.place is None:
        yield ground.cache
        return
    from imgcache.cache import connect_bucket, mirror_files

    with disk_errors(beside):
        beside.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".imgcache-", dir=beside.parent)
    with temporary as folder:
        mirror_files(connect_bucket(ground.place), sizes, Path(folder), beside)
        yield Path(folder)


@contextmanager
def open_for_writing(
    ground: Workspace,
    command: str,
    clock: Clock,
    *,
    stores: bool = True,
    beside: Sequence[Workspace] = (),
    built: BuiltSite | None = None,
) -> Iterator[OpenCache]:
    """The parts, for a command that writes: one that `stores` nothing, the index alone. Raises CacheBusy, DiskFull.

    `beside` are other sites with the same cache, to be worked on as one with the first. With `built`, `ground` is a
    built folder.
    """
    folder, grounds = ground.cache / "index", (ground, *beside)
    announced = (built.site,) if built else grounds
    with ExitStack() as stack:
        stack.enter_context(CacheLock(folder, command=command, now=clock()))
        file = _catalogue_of(folder, grounds, built)
        store = open_store(ground, folder)
        stack.callback(store.close)
        if stores:
            store.prepare()
        index = stack.enter_context(closing(Index(folder)))
        manifest = sites.manifest_of(ground, store, store.scratch)
        mark = manifest.mark()
        is_behind = not mark or index.exported != mark  # the first run, or another machine was at work
        if command in _THOROUGH or is_behind:
            store.refresh()
        if index.fresh:
            index.rebuild(
                (HeldEntry(url, entry.asset(), entry.robots_tag) for url, entry in sites.read_entries(manifest)), store
            )
        elif stores and mark and is_behind:
            sites.adopt_manifest(index, manifest, store, lets_go=command != "verify")
        if stores:
            sites.share_index(grounds, index, store, clock())
            sites.leave_markers(announced, store, clock(), again=is_behind)
        house = _house(grounds, stack, store=store, index=index, manifest=manifest, folder=folder, built=built)
        if stores and store.keeps:
            house.kept.resume(index, store)
        if is_behind or not is_latest_catalogue(folder, file):
            _doubt_what_changed(house)
        scanned = scan_time(folder, clock())
        members = [SiteMember(name) for name in house.names] if built else sites.members(grounds)
        house.catalogue.sites.record(members, scanned, is_only=catalogue_files(folder) == [file])
        yield house
        if stores and index.exported != mark:  # somebody may have forgotten the sites since they were announced
            sites.leave_markers(announced, store, clock(), again=True)


def _doubt_what_changed(house: OpenCache) -> None:
    """A command elsewhere may have let go of an image since, or have put another in its place."""
    held = ((image, house.index.copy(url), digest) for image, url, digest in house.catalogue.images.held())
    house.catalogue.images.recheck([image for image, copy, digest in held if copy is None or copy.digest != digest])


@contextmanager
def open_for_reading(
    ground: Workspace,
    *,
    beside: Sequence[Workspace] = (),
    with_neighbours: bool = False,
    built: BuiltSite | None = None,
) -> Iterator[OpenCache]:
    """The parts over a copy of the index, for a command that touches nothing. `beside`, `built`: as for `writer`."""
    grounds = (ground, *beside)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imgcache-")))
        source = ground.cache / "index"
        index = stack.enter_context(closing(Index.open_copy(source, folder, _COPIED)))
        further = further_file(source, _names(grounds, built))
        copy_databases(source, folder, catalogue_files(source) if with_neighbours else [further])
        store = open_store(ground, folder)
        stack.callback(store.close)
        manifest = sites.manifest_of(ground, store, folder)
        yield _house(
            grounds, stack, store=store, index=index, manifest=manifest, folder=folder, scratch=folder, built=built
        )


def _names(grounds: Sequence[Workspace], built: BuiltSite | None) -> frozenset[str]:
    names = sites.names(grounds)
    return frozenset(map(built_name, names)) if built else names


def _catalogue_of(folder: Path, grounds: Sequence[Workspace], built: BuiltSite | None) -> Path:
    names = _names(grounds, built)
    return further_file(folder, names) if built else catalogue_file(folder, names)


def _house(
    grounds: Sequence[Workspace],
    stack: ExitStack,
    *,
    store: Store,
    index: Index,
    manifest: Manifest,
    folder: Path,
    scratch: Path | None = None,
    built: BuiltSite | None = None,
) -> OpenCache:
    rooms, names = sites.site_parts(grounds, store, scratch or store.scratch), _names(grounds, built)
    site, scanner = sites.combine_sites(rooms)
    scope = built.scope if built else sites.scope(grounds)
    catalogue = stack.enter_context(closing(Catalogue(_catalogue_of(folder, grounds, built), scope)))
    return OpenCache(
        site=site,
        scanner=scanner,
        store=store,
        index=index,
        catalogue=catalogue,
        manifest=manifest,
        folder=folder,
        names=names,
        rooms=rooms,
        grounds=tuple(grounds),
    )
