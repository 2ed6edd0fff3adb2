"""`imgcache gc`: make room."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgcache.catalogue.sites import Neighbours, forget_site
from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import NO_PREFIX, common, logger, now
from imgcache.cli.output import print_json, say
from imgcache.cli.sites import open_grounds, path_as_given, sites_argument
from imgcache.errors import ConfigError
from imgcache.health import day
from imgcache.quantities import format_bytes
from imgcache.urls import clean
from imgcache.wiring import parts
from imgcache.wiring.sites import name_of, root_of

if TYPE_CHECKING:
    from imgcache.store.markers import Marker


@click.command(short_help="Remove what no article uses any more.")
@sites_argument
@click.option("--dry-run", is_flag=True, help="Say what would be removed, remove nothing.")
@click.option(
    "--forget-site",
    "gone",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="A site that shared the cache and needs no image any more; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def gc(sites: tuple[Path, ...], gone: tuple[Path, ...], *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Remove images that no article names any more, and variants that no recipe asks for.

    An image that another site of the same cache used at its last sync stays. Nothing is removed while an article cannot
    be read, or a site has images in the same bucket of which this index does not know: it may name any of them.
    """
    ground, *beside = open_grounds(sites, options)
    opened = (
        parts.reader(ground, beside=beside, with_neighbours=True)
        if dry_run
        else parts.writer(ground, "gc", now, beside=beside)
    )
    with opened as house:
        forgotten = [marker for folder in gone for marker in _forget(house, folder, ground.cache)]
        if forgotten and house.store.markers and not dry_run:
            house.store.markers.remove(forgotten)
        house.scanner.scan(house.catalogue)
        with house.neighbours() as neighbours:
            strangers = [marker for marker in house.strangers(neighbours) if marker not in forgotten]
            unread = [*_unread(house, sites), *_unknown(neighbours, ground.cache)]
            for obstacle in (*unread, *_elsewhere(strangers)):
                logger.error("%s", obstacle, extra=NO_PREFIX)
            if unread or strangers:
                reason = "an article cannot be read" if unread else "it is not known what another site uses"
                logger.error("nothing is removed while %s", reason)
                sys.exit(EXIT_PROBLEMS)
            _warn_of_gone(neighbours, ground.cache)
            removed = house.upkeep(neighbours).collect(dry_run=dry_run)
        if not dry_run:
            house.manifest.export(house.index)
    if as_json:
        print_json(removed)
        return
    if options["verbose"]:
        for url in removed.subjects:
            say(clean(url, 300))
    verb = "would be removed" if dry_run else "removed"
    say(f"{removed.copies:,} copies, {removed.files:,} files, {format_bytes(removed.bytes)} {verb}")


def _forget(house: parts.House, folder: Path, cache: Path) -> list[Marker]:
    """Lets the index forget a site. Returns the markers that stand for it in a bucket."""
    name = name_of(folder, cache)
    others = [marker for marker in (house.store.markers.all() if house.store.markers else []) if not house.owns(marker)]
    found = [marker for marker in others if marker.site == os.path.realpath(folder)]
    if name in house.names:
        if not found:
            raise ConfigError(f"{folder} is the SITE of this command", where="--forget-site")
    elif not forget_site(house.folder, name) and not found:
        with house.neighbours() as neighbours:
            known = {root_of(name, cache) for name in neighbours.names} | {marker.site for marker in others}
        listed = ", ".join(clean(root, 300) for root in sorted(known))
        raise ConfigError(
            f"the cache knows no site {folder}; it knows {listed or 'no other than SITE'}", where="--forget-site"
        )
    return found


def _unread(house: parts.House, sites: Sequence[Path]) -> Iterator[str]:
    for problem in house.catalogue.unreadable():
        for place in problem.references:
            yield f"{clean(path_as_given(place.article, sites), 300)}:{place.line}:{place.column}: {problem.message}"


def _unknown(neighbours: Neighbours, cache: Path) -> Iterator[str]:
    """What keeps the use that other sites make of the cache from being known."""
    for file in neighbours.damaged:
        yield f"{file}: damaged: sync every other site of this cache, and remove the file if it is still there"
    for name in neighbours.unknown:
        root = clean(root_of(name, cache), 300)
        yield f"{root}: its articles were not read by this version: sync it, or give --forget-site {root}"
    for one in neighbours.unreadable():
        yield f"{clean(f'{root_of(one.name, cache)}/{one.path}', 300)}:{one.line}:{one.column}: {one.message}"


def _elsewhere(strangers: Iterable[Marker]) -> Iterator[str]:
    """What keeps the use from being known that sites make of a bucket by another index."""
    for marker in strangers:
        root = clean(marker.site, 300)
        which = f"{root} ({clean(marker.site_url, 300)})" if marker.site_url else root
        yield (
            f"{which}: has images here since {day(marker.since)}, known to another index: name it beside SITE, or give"
            f" --forget-site {root}"
        )


def _warn_of_gone(neighbours: Neighbours, cache: Path) -> None:
    for root in (root_of(name, cache) for name in neighbours.names):
        if not Path(root).is_dir():
            shown = clean(root, 300)
            logger.warning("%s is gone, and what it used stays: give --forget-site %s to let it go", shown, shown)
