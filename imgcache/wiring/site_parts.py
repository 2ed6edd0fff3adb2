"""Gives each site its own parts, where a command works on several sites as one."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Container, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from imgcache.cache import CacheLock, Index, SiteMember, Store
from imgcache.core import ConfigError, Copy, Dimensions
from imgcache.core.version import __version__
from imgcache.manifest import MANIFEST_NAME, Manifest, ManifestEntry
from imgcache.scanner import Scanner, ScanReport, Site, Sites, path_prefix
from imgcache.wiring.workspace import Workspace, index_home, move_index_home

if TYPE_CHECKING:  # only object stores have markers
    from imgcache.cache import Marker

logger = logging.getLogger(__name__)

_RECORDS = "cache.db"


class SiteParts(msgspec.Struct, frozen=True):
    """The parts that each site has for itself. In the catalogue, the paths of its articles begin with `prefix`."""

    site: Site
    scanner: Scanner
    manifest: Manifest
    dimensions: Dimensions
    prefix: str


def site_parts(workspaces: Sequence[Workspace], store: Store, scratch: Path) -> tuple[SiteParts, ...]:
    """Build the parts of each site. The prefix is "" where there is only one site."""
    parts = []
    for workspace in workspaces:
        site = workspace.site
        prefix = path_prefix(site) if len(workspaces) > 1 else ""
        manifest = manifest_of(workspace, store, scratch)
        parts.append(SiteParts(site, _scanner(workspace, prefix), manifest, workspace.config.dimensions, prefix))
    return tuple(parts)


def _scanner(workspace: Workspace, prefix: str = "") -> Scanner:
    config = workspace.config
    return Scanner(
        workspace.site,
        articles=config.articles,
        exclude=config.exclude,
        flag=config.flag,
        data=config.data,
        cache=workspace.own_cache if workspace.bucket_url else workspace.cache,
        prefix=prefix,
    )


def combine_sites(parts: Sequence[SiteParts]) -> tuple[Site, Scanner]:
    """Returns the sites as one, and a scanner for all of them."""
    first, *others = parts
    if not others:
        return first.site, first.scanner
    return Sites([part.site for part in parts]), first.scanner.with_others(part.scanner for part in others)


def manifest_of(workspace: Workspace, store: Store, scratch: Path) -> Manifest:
    """Returns the manifest: manifest.json of the cache, and the articles of the site."""
    return Manifest(
        site=workspace.root,
        cache=workspace.cache,
        scratch=scratch,
        document=store.document(MANIFEST_NAME),
        rules=workspace.site.rules,
    )


def members(workspaces: Sequence[Workspace]) -> list[SiteMember]:
    """Returns the sites as members of the index of their cache."""
    is_alone = len(workspaces) == 1
    return [
        SiteMember(
            name_of(workspace.root, workspace.cache), "" if is_alone else path_prefix(Site(workspace.root, None))
        )
        for workspace in workspaces
    ]


def names(workspaces: Iterable[Workspace]) -> frozenset[str]:
    """Returns the names that the sites have in the index of their cache."""
    return frozenset(name_of(workspace.root, workspace.cache) for workspace in workspaces)


def name_of(root: Path, cache: Path) -> str:
    """Returns a site's name in the index of a cache: its relative path, so that both can be moved together."""
    return os.path.relpath(os.path.realpath(root), os.path.realpath(cache))


def root_of(name: str, cache: Path) -> str:
    """Returns the folder of the site with this name; it may be gone."""
    return os.path.normpath(os.path.join(os.path.realpath(cache), name))  # noqa: PTH118 (as `name_of` made it)


def leave_markers(workspaces: Sequence[Workspace], store: Store, now: float, *, anew: bool) -> None:
    """Write a marker of each site to their bucket, if it has markers; `anew`: also where one was written before.

    Raises:
        StoreError: the bucket cannot be written.
    """
    if store.markers is None:
        return
    for workspace in workspaces:
        store.markers.put(_marker(workspace, workspaces[0].cache, now), again=anew)


def unknown_sites(markers: Iterable[Marker], workspaces: Sequence[Workspace], known: Container[str]) -> list[Marker]:
    """Returns the markers of sites whose references this command does not know.

    Args:
        markers: all markers of the bucket.
        workspaces: the sites of the command.
        known: the names of the other sites in its index.
    """
    cache = workspaces[0].cache
    index = os.path.realpath(cache / "index")
    return [
        marker
        for marker in markers
        if not is_of(marker, workspaces) and not (marker.index == index and name_of(Path(marker.site), cache) in known)
    ]


def is_of(marker: Marker, workspaces: Iterable[Workspace]) -> bool:
    """Whether the marker stands for one of these sites, whichever index wrote it."""
    return any(
        (marker.site, marker.site_url) == (os.path.realpath(workspace.root), workspace.config.site_url)
        for workspace in workspaces
    )


def share_index(workspaces: Sequence[Workspace], index: Index, store: Store, now: float) -> None:
    """Make the sites of a command share one index for their bucket from now on, also when one is named alone.

    URLs that were forgotten in a site's former index stay forgotten; everything else is learned again.

    Raises:
        CacheBusy: another command uses the former index.
        DiskFull: the index cannot be written.
    """
    bucket_url, home = workspaces[0].bucket_url, workspaces[0].cache
    for workspace in workspaces[1:]:
        if bucket_url is None or store.markers is None or index_home(workspace.own_cache, bucket_url) == home:
            continue
        former = workspace.own_cache / "index"
        with CacheLock(former, command="sync", now=now):
            if (former / _RECORDS).is_file():
                with closing(Index(former)) as other:
                    for url in list(other.forgotten_urls()):
                        index.forget(url, now)
            move_index_home(workspace.own_cache, bucket_url, home)
        store.markers.remove([_marker(workspace, workspace.own_cache, now)])


def adopt_manifest(index: Index, manifest: Manifest, store: Store, *, drops_missing: bool) -> None:
    """Take over the images that another machine added to manifest.json of a bucket, as far as their files are there.

    Args:
        index: records what is taken over.
        manifest: names the images.
        store: the bucket.
        drops_missing: whether to drop copies whose files are gone, because another machine removed them.
    """
    if store.markers is None:
        return
    is_behind = not index.changed  # otherwise it has changes of its own, which win
    for url, entry in read_entries(manifest):
        copy = index.copy(url)
        if index.forgotten(url) or (copy is not None and (copy.digest == entry.digest or not is_behind)):
            continue
        if (found := store.salvage(entry.asset())) is not None:
            asset, time = found
            with index.batch(durable=False):  # after a power cut it is taken over again
                if index.asset(asset.digest) is None:
                    index.put_asset(asset)
                index.put_copy(url, Copy(asset.digest, fetched_at=time, checked_at=time, robots_tag=entry.robots_tag))
    if drops_missing:
        from imgcache.cache import unused_assets

        gone = {asset.digest for asset in index.assets() if store.stamp(asset.digest) is None}
        with index.batch():
            for url in [url for url, copy in index.copies() if copy.digest in gone]:
                index.drop_copy(url)
        with index.batch():
            for digest in unused_assets(gone, index):
                index.drop_asset(digest)


def read_entries(manifest: Manifest) -> list[tuple[str, ManifestEntry]]:
    """Returns the entries of manifest.json, sorted by URL. A damaged one counts as empty, and will be rewritten."""
    try:
        return sorted(manifest.read().items())
    except ConfigError as error:
        logger.warning("%s; it will be written again", error)
        return []


def _marker(workspace: Workspace, cache: Path, now: float) -> Marker:
    from imgcache.cache import Marker

    return Marker(os.path.realpath(workspace.root), os.path.realpath(cache / "index"), workspace.config.site_url, now)


def scope(workspaces: Iterable[Workspace]) -> str:
    """Returns a hash of everything but the articles that references depend on. When it changes, all are read again."""
    first, *others = sorted(_scope(workspace) for workspace in workspaces)
    return hashlib.sha256("".join((first, *others)).encode()).hexdigest() if others else first


def _scope(workspace: Workspace) -> str:
    config = workspace.config
    settings = (config.site_url, config.articles, config.exclude, config.flag, config.fields, config.data)
    parts = (__version__, str(workspace.root), settings, workspace.layout)
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def scan_site(workspace: Workspace) -> ScanReport:
    """Lists the image references of one site; reads its articles alone, and neither cache nor index.

    Raises:
        ConfigError: a folder of the site cannot be read, or it has no article.
    """
    site, scanner = workspace.site, _scanner(workspace)
    report = ScanReport()
    for article in scanner.read_all():
        report.add(site, article)
    scanner.require_found(report.articles or len(report.references))
    return report
