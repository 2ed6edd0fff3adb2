"""Opens the parts that every command on a cache needs: for writing, or for reading from a copy of the index."""

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
from imgcache.wiring.factories import open_store
from imgcache.wiring.site_parts import SiteParts
from imgcache.wiring.workspace import BuiltSite, Clock, Workspace

if TYPE_CHECKING:  # each command loads what it uses
    from imgcache.cache import Marker, RemovedImages
    from imgcache.manifest import FlagWriter, FlagWriters
    from imgcache.syncer import Maintenance, Removal

# Commands that need an exact listing of the whole store.
_THOROUGH = frozenset({"verify", "gc"})
_COPIED = (FIRST_CATALOGUE, "objects.db")  # what a reader needs beside the records


class OpenCache(msgspec.Struct, frozen=True):
    """The open parts that every command on a cache needs.

    `site`, `scanner` and `catalogue` cover all sites of the command, `site_parts` has the parts of each. `folder` is
    the index folder or its copy; `names` are the names of the sites in the index.
    """

    site: Site
    scanner: Scanner
    store: Store
    index: Index
    catalogue: Catalogue
    manifest: Manifest
    folder: Path
    names: frozenset[str]
    site_parts: tuple[SiteParts, ...]
    workspaces: tuple[Workspace, ...]

    def flag_writer(
        self, dimensions: Dimensions, *, dry_run: bool = False, article: str | None = None
    ) -> FlagWriter | FlagWriters:
        """Build the writer of flags. With several sites, each has its own setting in place of `dimensions`."""
        from imgcache.manifest import FlagWriter, FlagWriters

        is_alone = len(self.site_parts) == 1
        writers = [
            FlagWriter(
                catalogue=self.catalogue,
                manifest=part.manifest,
                scanner=part.scanner,
                dimensions=dimensions if is_alone else part.dimensions,
                dry_run=dry_run,
                prefix=part.prefix,
                article=article,
            )
            for part in self.site_parts
        ]
        return writers[0] if is_alone else FlagWriters(writers)

    def other_sites(self, without: Iterable[str] = ()) -> OtherSites:
        """Returns the other sites of the cache, except those with these names."""
        return OtherSites(self.folder, self.names, without=without)

    def unknown_sites(self, others: OtherSites) -> list[Marker]:
        """Returns the markers of sites that another index recorded in the same bucket: their references are unknown."""
        markers = self.store.markers.all() if self.store.markers else []
        return sites.unknown_sites(markers, self.workspaces, others.names)

    def owns(self, marker: Marker) -> bool:
        """Whether the marker stands for one of the sites of the command."""
        return sites.is_of(marker, self.workspaces)

    def maintenance(self) -> Maintenance:
        """Build what `verify` needs."""
        from imgcache.syncer import Maintenance

        return Maintenance(store=self.store, index=self.index, catalogue=self.catalogue, manifest=self.manifest)

    @property
    def kept(self) -> RemovedImages:
        """What gc removed and keeps for a day: always that of the cache itself, also where the index is a copy."""
        from imgcache.cache import RemovedImages

        return RemovedImages(self.workspaces[0].cache / "index")

    def removal(self, others: OtherSites | None = None) -> Removal:
        """Build what `gc` and `forget` need; an image that one of the `others` uses is in use for gc."""
        from imgcache.syncer import Removal

        return Removal(
            store=self.store,
            index=self.index,
            catalogue=self.catalogue,
            kept=self.kept,
            used_elsewhere=others.is_used if others else lambda _: False,
        )


def open_manifest(workspace: Workspace) -> Document:
    """Open manifest.json of a cache, for a command that needs nothing else of it. Raises ConfigError."""
    if workspace.bucket_url is None:
        return LocalDocument(workspace.cache / MANIFEST_NAME)
    from imgcache.cache import ObjectDocument, connect_bucket

    return ObjectDocument(connect_bucket(workspace.bucket_url), MANIFEST_NAME)


@contextmanager
def folder_with(workspace: Workspace, sizes: Mapping[str, int], earlier: Path) -> Iterator[Path]:
    """Provide a folder that has these files of the cache: the cache itself, or a temporary copy.

    Args:
        workspace: names the cache.
        sizes: the files' paths relative to the cache, with their sizes in bytes.
        earlier: a folder of earlier copies; files that it has are not read from the object store again.
    """
    if workspace.bucket_url is None:
        yield workspace.cache
        return
    from imgcache.cache import connect_bucket, mirror_files

    with disk_errors(earlier):
        earlier.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".imgcache-", dir=earlier.parent)
    with temporary as folder:
        mirror_files(connect_bucket(workspace.bucket_url), sizes, Path(folder), earlier)
        yield Path(folder)


@contextmanager
def open_for_writing(
    workspace: Workspace,
    command: str,
    clock: Clock,
    *,
    stores: bool = True,
    others: Sequence[Workspace] = (),
    built: BuiltSite | None = None,
) -> Iterator[OpenCache]:
    """Open the parts for a command that writes, under the cache's lock.

    Args:
        workspace: the site and its cache.
        command: the name of the command, for those who find the cache locked.
        clock: the current time.
        stores: whether the command writes images; otherwise only the index is written.
        others: further sites with the same cache, to be treated as one with the first.
        built: given if the workspace is a built folder.

    Raises:
        CacheBusy: another command holds the lock.
        DiskFull: the cache cannot be written.
    """
    folder, workspaces = workspace.cache / "index", (workspace, *others)
    announced = (built.site,) if built else workspaces
    with ExitStack() as stack:
        stack.enter_context(CacheLock(folder, command=command, now=clock()))
        file = _catalogue_of(folder, workspaces, built)
        store = open_store(workspace, folder)
        stack.callback(store.close)
        if stores:
            store.prepare()
        index = stack.enter_context(closing(Index(folder)))
        manifest = sites.manifest_of(workspace, store, store.scratch)
        mark = manifest.mark()
        is_behind = not mark or index.exported != mark  # the first run, or another machine wrote in the meantime
        if command in _THOROUGH or is_behind:
            store.refresh()
        _follow_manifest(index, manifest, store, adopts=bool(stores and mark and is_behind), command=command)
        if stores:
            sites.share_index(workspaces, index, store, clock())
            sites.leave_markers(announced, store, clock(), anew=is_behind)
        cache = _open_parts(workspaces, stack, store=store, index=index, manifest=manifest, folder=folder, built=built)
        if stores and store.keeps:
            cache.kept.resume(index, store)
        if is_behind or not is_latest_catalogue(folder, file):
            _unsettle_changed(cache)
        _record_sites(cache, file, clock(), built)
        yield cache
        if stores and index.exported != mark:  # the markers may have been removed during the command
            sites.leave_markers(announced, store, clock(), anew=True)


def _follow_manifest(index: Index, manifest: Manifest, store: Store, *, adopts: bool, command: str) -> None:
    """Build a new index from manifest.json, or take over what other machines wrote to it (if it `adopts`)."""
    if index.fresh:
        entries = sites.read_entries(manifest)
        index.rebuild((HeldEntry(url, entry.asset(), entry.robots_tag) for url, entry in entries), store)
    elif adopts:
        sites.adopt_manifest(index, manifest, store, drops_missing=command != "verify")


def _record_sites(cache: OpenCache, file: Path, now: float, built: BuiltSite | None) -> None:
    """Record in the catalogue which sites it covers and when their articles are read."""
    members = [SiteMember(name) for name in cache.names] if built else sites.members(cache.workspaces)
    is_only = catalogue_files(cache.folder) == [file]
    cache.catalogue.sites.record(members, scan_time(cache.folder, now), is_only=is_only)


def _unsettle_changed(cache: OpenCache) -> None:
    """Have images checked again whose copy another command may have dropped or replaced."""
    held = ((image, cache.index.copy(url), digest) for image, url, digest in cache.catalogue.images.held())
    cache.catalogue.images.recheck([image for image, copy, digest in held if copy is None or copy.digest != digest])


@contextmanager
def open_for_reading(
    workspace: Workspace,
    *,
    others: Sequence[Workspace] = (),
    with_other_sites: bool = False,
    built: BuiltSite | None = None,
) -> Iterator[OpenCache]:
    """Open the parts over a copy of the index, for a command that changes nothing.

    Args:
        workspace: the site and its cache.
        others: further sites with the same cache, to be treated as one with the first.
        with_other_sites: whether what is recorded of all other sites of the cache is needed too.
        built: given if the workspace is a built folder.
    """
    workspaces = (workspace, *others)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imgcache-")))
        source = workspace.cache / "index"
        index = stack.enter_context(closing(Index.open_copy(source, folder, _COPIED)))
        further = further_file(source, _names(workspaces, built))
        copy_databases(source, folder, catalogue_files(source) if with_other_sites else [further])
        store = open_store(workspace, folder)
        stack.callback(store.close)
        manifest = sites.manifest_of(workspace, store, folder)
        yield _open_parts(
            workspaces,
            stack,
            store=store,
            index=index,
            manifest=manifest,
            folder=folder,
            scratch=folder,
            built=built,
        )


def _names(workspaces: Sequence[Workspace], built: BuiltSite | None) -> frozenset[str]:
    names = sites.names(workspaces)
    return frozenset(map(built_name, names)) if built else names


def _catalogue_of(folder: Path, workspaces: Sequence[Workspace], built: BuiltSite | None) -> Path:
    names = _names(workspaces, built)
    return further_file(folder, names) if built else catalogue_file(folder, names)


def _open_parts(
    workspaces: Sequence[Workspace],
    stack: ExitStack,
    *,
    store: Store,
    index: Index,
    manifest: Manifest,
    folder: Path,
    scratch: Path | None = None,
    built: BuiltSite | None = None,
) -> OpenCache:
    parts, names = sites.site_parts(workspaces, store, scratch or store.scratch), _names(workspaces, built)
    site, scanner = sites.combine_sites(parts)
    scope = built.scope if built else sites.scope(workspaces)
    catalogue = stack.enter_context(closing(Catalogue(_catalogue_of(folder, workspaces, built), scope)))
    return OpenCache(
        site=site,
        scanner=scanner,
        store=store,
        index=index,
        catalogue=catalogue,
        manifest=manifest,
        folder=folder,
        names=names,
        site_parts=parts,
        workspaces=tuple(workspaces),
    )
