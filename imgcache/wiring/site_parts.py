"""What of a command's parts belongs to each site, where it works on several as one."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Container, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from imgcache import __version__
from imgcache.cache import CacheLock, Index, SiteMember, Store
from imgcache.config import Config
from imgcache.core import ConfigError, Copy, Dimensions, FetchPolicy, Limits
from imgcache.manifest import MANIFEST_NAME, Manifest, ManifestEntry
from imgcache.scanner import Scanner, ScanReport, Site, Sites, path_prefix
from imgcache.wiring.workspace import Workspace, index_home, move_index_home

if TYPE_CHECKING:  # a folder needs none of it
    from imgcache.cache import Marker

logger = logging.getLogger(__name__)

_RECORDS = "cache.db"


class SiteParts(msgspec.Struct, frozen=True):
    """What belongs to one site alone. In the catalogue the paths of its articles begin with `prefix`."""

    site: Site
    scanner: Scanner
    manifest: Manifest
    dimensions: Dimensions
    prefix: str


def site_parts(grounds: Sequence[Workspace], store: Store, scratch: Path) -> tuple[SiteParts, ...]:
    """One for each site; the prefix is "" where there is but one."""
    rooms = []
    for ground in grounds:
        config, site = ground.config, Site(ground.root, ground.config.site_url)
        prefix = path_prefix(site) if len(grounds) > 1 else ""
        scanner = Scanner(
            site,
            articles=config.articles,
            exclude=config.exclude,
            flag=config.flag,
            cache=ground.own_cache if ground.place else ground.cache,
            prefix=prefix,
        )
        rooms.append(SiteParts(site, scanner, manifest_of(ground, store, scratch), config.dimensions, prefix))
    return tuple(rooms)


def combine_sites(rooms: Sequence[SiteParts]) -> tuple[Site, Scanner]:
    """The sites as one, and what scans all of them."""
    first, *others = rooms
    if not others:
        return first.site, first.scanner
    return Sites([room.site for room in rooms]), first.scanner.with_others(room.scanner for room in others)


def manifest_of(ground: Workspace, store: Store, scratch: Path) -> Manifest:
    """manifest.json of the cache, and the articles of the site."""
    return Manifest(site=ground.root, cache=ground.cache, scratch=scratch, document=store.document(MANIFEST_NAME))


def members(grounds: Sequence[Workspace]) -> list[SiteMember]:
    """The sites as the index of their cache knows them."""
    is_alone = len(grounds) == 1
    return [
        SiteMember(name_of(ground.root, ground.cache), "" if is_alone else path_prefix(Site(ground.root, None)))
        for ground in grounds
    ]


def names(grounds: Iterable[Workspace]) -> frozenset[str]:
    """The names of the sites in the index of their cache."""
    return frozenset(name_of(ground.root, ground.cache) for ground in grounds)


def name_of(root: Path, cache: Path) -> str:
    """The name of a site in the index of a cache: the way to it from there, so that both may be moved together."""
    return os.path.relpath(os.path.realpath(root), os.path.realpath(cache))


def root_of(name: str, cache: Path) -> str:
    """Where the site of that name is, or was."""
    return os.path.normpath(os.path.join(os.path.realpath(cache), name))  # noqa: PTH118 (as `name_of` made it)


def leave_markers(grounds: Sequence[Workspace], store: Store, now: float, *, again: bool) -> None:
    """Sees to it that their bucket has a marker of each site; `again`: even if it had one before. Raises StoreError."""
    if store.markers is None:
        return
    for ground in grounds:
        store.markers.leave(_marker(ground, grounds[0].cache, now), again=again)


def unknown_sites(markers: Iterable[Marker], grounds: Sequence[Workspace], known: Container[str]) -> list[Marker]:
    """Those of sites of whose uses this command knows nothing.

    Args:
        markers: all that are in the bucket.
        grounds: the sites of the command, which it has scanned.
        known: the names of the other sites in its index.
    """
    cache = grounds[0].cache
    index = os.path.realpath(cache / "index")
    return [
        marker
        for marker in markers
        if not is_of(marker, grounds) and not (marker.index == index and name_of(Path(marker.site), cache) in known)
    ]


def is_of(marker: Marker, grounds: Iterable[Workspace]) -> bool:
    """Whether it stands for one of these sites, whichever index left it."""
    return any(
        (marker.site, marker.site_url) == (os.path.realpath(ground.root), ground.config.site_url) for ground in grounds
    )


def share_index(grounds: Sequence[Workspace], index: Index, store: Store, now: float) -> None:
    """Lets the sites of a command have one index for their bucket from now on, also where one of them is named alone.

    What the index that a site had until now was to forget stays forgotten; the rest is learned anew. Raises CacheBusy
    where another command works with that index, and DiskFull.
    """
    place, home = grounds[0].place, grounds[0].cache
    for ground in grounds[1:]:
        if place is None or store.markers is None or index_home(ground.own_cache, place) == home:
            continue
        former = ground.own_cache / "index"
        with CacheLock(former, command="sync", now=now):
            if (former / _RECORDS).is_file():
                with closing(Index(former)) as other:
                    for url in list(other.forgotten_urls()):
                        index.forget(url, now)
            move_index_home(ground.own_cache, place, home)
        store.markers.remove([_marker(ground, ground.own_cache, now)])


def adopt_manifest(index: Index, manifest: Manifest, store: Store, *, lets_go: bool) -> None:
    """In a bucket, takes over what another index wrote to manifest.json since this one did: what is there, and whole.

    `lets_go`: drops the copies of which nothing is there any more, for another machine removed them.
    """
    if store.markers is None:
        return
    is_behind = not index.changed  # else it has news of its own, and keeps what it says of a URL
    for url, entry in read_entries(manifest):
        copy = index.copy(url)
        if index.forgotten(url) or (copy is not None and (copy.digest == entry.digest or not is_behind)):
            continue
        if (found := store.salvage(entry.asset())) is not None:
            asset, time = found
            with index.batch(durable=False):  # what a power cut takes is taken over again
                if index.asset(asset.digest) is None:
                    index.put_asset(asset)
                index.put_copy(url, Copy(asset.digest, fetched_at=time, checked_at=time, robots_tag=entry.robots_tag))
    if lets_go:
        from imgcache.cache import unused_assets

        gone = {asset.digest for asset in index.assets() if store.stamp(asset.digest) is None}
        with index.batch():
            for url in [url for url, copy in index.copies() if copy.digest in gone]:
                index.drop_copy(url)
        with index.batch():
            for digest in unused_assets(gone, index):
                index.drop_asset(digest)


def read_entries(manifest: Manifest) -> list[tuple[str, ManifestEntry]]:
    """What manifest.json says, in order; nothing where it is damaged: then images are fetched, and it is rewritten."""
    try:
        return sorted(manifest.read().items())
    except ConfigError as error:
        logger.warning("%s; it will be written anew", error)
        return []


def _marker(ground: Workspace, cache: Path, now: float) -> Marker:
    from imgcache.cache import Marker

    return Marker(os.path.realpath(ground.root), os.path.realpath(cache / "index"), ground.config.site_url, now)


# What decides how an image is fetched, and what is made of it.
_COMMON = ("variants", "limits", "fetch", "respect_robots", "respect_robots_tag", "svg", "allow_networks")


def difference(first: Config, other: Config) -> str | None:
    """The first key that two sites which share a cache need to have alike, and have not."""
    for key in _COMMON:
        one, two = getattr(first, key), getattr(other, key)
        if one != two and isinstance(one, Limits | FetchPolicy):
            return next(f"{key}.{name}" for name in one.__struct_fields__ if getattr(one, name) != getattr(two, name))
        if one != two:
            return key
    return None


def scope(grounds: Iterable[Workspace]) -> str:
    """All that the references of articles depend on beside their bytes: another scope, and every one is read anew."""
    first, *others = sorted(_scope(ground) for ground in grounds)
    return hashlib.sha256("".join((first, *others)).encode()).hexdigest() if others else first


def _scope(ground: Workspace) -> str:
    config = ground.config
    parts = (__version__, str(ground.root), config.site_url, config.articles, config.exclude, config.flag)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def scan_site(workspace: Workspace) -> ScanReport:
    """Lists the image references of one site; reads its articles alone, and neither cache nor index.

    Raises:
        ConfigError: a folder of the site cannot be read, or it has no article.
    """
    config, site = workspace.config, Site(workspace.root, workspace.config.site_url)
    scanner = Scanner(
        site,
        articles=config.articles,
        exclude=config.exclude,
        flag=config.flag,
        cache=workspace.own_cache if workspace.place else workspace.cache,
    )
    report = ScanReport()
    for article in scanner.read_all():
        report.add(site, article)
    scanner.require_articles(report.articles or len(report.references))
    return report
