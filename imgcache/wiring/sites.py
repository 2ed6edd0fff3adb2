"""What of a command's parts belongs to each site, where it works on several as one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from imgcache import __version__
from imgcache.catalogue.sites import Member
from imgcache.config import Config
from imgcache.manifest import NAME, Manifest
from imgcache.models import FetchPolicy, Limits
from imgcache.scanner import Scanner
from imgcache.site import Site, Sites, prefix_of
from imgcache.store import Store
from imgcache.wiring.ground import Ground


class Room(msgspec.Struct, frozen=True):
    """What belongs to one site alone. In the catalogue the paths of its articles begin with `prefix`."""

    site: Site
    scanner: Scanner
    manifest: Manifest
    dimensions: str
    prefix: str


def rooms_of(grounds: Sequence[Ground], store: Store, scratch: Path) -> tuple[Room, ...]:
    """One for each site; the prefix is "" where there is but one."""
    rooms = []
    for ground in grounds:
        config, site = ground.config, Site(ground.root, ground.config.site_url)
        prefix = prefix_of(site) if len(grounds) > 1 else ""
        scanner = Scanner(
            site,
            articles=config.articles,
            exclude=config.exclude,
            flag=config.flag,
            cache=ground.cache,
            prefix=prefix,
        )
        rooms.append(Room(site, scanner, manifest_of(ground, store, scratch), config.dimensions, prefix))
    return tuple(rooms)


def as_one(rooms: Sequence[Room]) -> tuple[Site, Scanner]:
    """The sites as one, and what scans all of them."""
    first, *others = rooms
    if not others:
        return first.site, first.scanner
    return Sites([room.site for room in rooms]), first.scanner.with_others(room.scanner for room in others)


def manifest_of(ground: Ground, store: Store, scratch: Path) -> Manifest:
    """manifest.json of the cache, and the articles of the site."""
    return Manifest(site=ground.root, cache=ground.cache, scratch=scratch, document=store.document(NAME))


def members(grounds: Sequence[Ground]) -> list[Member]:
    """The sites as the index of their cache knows them."""
    is_alone = len(grounds) == 1
    return [
        Member(name_of(ground.root, ground.cache), "" if is_alone else prefix_of(Site(ground.root, None)))
        for ground in grounds
    ]


def names(grounds: Iterable[Ground]) -> frozenset[str]:
    """The names of the sites in the index of their cache."""
    return frozenset(name_of(ground.root, ground.cache) for ground in grounds)


def name_of(root: Path, cache: Path) -> str:
    """The name of a site in the index of a cache: the way to it from there, so that both may be moved together."""
    return os.path.relpath(os.path.realpath(root), os.path.realpath(cache))


def root_of(name: str, cache: Path) -> str:
    """Where the site of that name is, or was."""
    return os.path.normpath(os.path.join(os.path.realpath(cache), name))  # noqa: PTH118 (as `name_of` made it)


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


def scope(grounds: Iterable[Ground]) -> str:
    """All that the references of articles depend on beside their bytes: another scope, and every one is read anew."""
    first, *others = sorted(_scope(ground) for ground in grounds)
    return hashlib.sha256("".join((first, *others)).encode()).hexdigest() if others else first


def _scope(ground: Ground) -> str:
    config = ground.config
    parts = (__version__, str(ground.root), config.site_url, config.articles, config.exclude, config.flag)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
