"""`imgcache gc`: make room."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgcache.cache import OtherSites, built_name, forget_site, is_built
from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import NO_PREFIX, common, logger, now
from imgcache.cli.output import print_json, print_line
from imgcache.cli.sites import open_workspaces, path_as_given, sites_argument
from imgcache.core import ConfigError, clean_text, format_bytes, plural
from imgcache.policy import format_day
from imgcache.syncer import Removed, Unused, tell_foreign
from imgcache.wiring import name_of, root_of
from imgcache.wiring import open_cache as parts

if TYPE_CHECKING:
    from imgcache.cache import Marker

_UNREAD = "its articles were not read by this version: sync"


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
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask before more than half of the images go.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def gc(sites: tuple[Path, ...], *, is_sure: bool, as_json: bool, **options: Any) -> None:
    """Remove images that no article names any more, and variants that no recipe asks for.

    An image that another site of the same cache used at its last sync stays, and so does one that a built folder used
    at its last rewrite. Nothing is removed while an article cannot
    be read, or a site has images in the same bucket of which this index does not know: it may name any of them.

    Before it removes more than half of the images it asks; without a terminal it refuses, unless --yes is given. What
    it removes is kept for a day in index/removed/ of the cache: an image that an article names again comes back with
    the next sync, without being fetched. The first gc after that day frees the space. In an object store nothing is
    kept.

    Exit status: 1 where nothing was removed for one of these reasons.
    """
    ground, *beside = open_workspaces(sites, options)
    dry_run: bool = options["dry_run"]
    opened = (
        parts.open_for_reading(ground, beside=beside, with_neighbours=True)
        if dry_run
        else parts.open_for_writing(ground, "gc", now, beside=beside)
    )
    with opened as house:
        gone = _Gone(house, options["gone"], ground.cache)
        house.scanner.scan(house.catalogue)
        with house.neighbours(without=gone.names) as neighbours:
            _check_uses(house, neighbours, gone, sites, ground.cache)
            clearing = house.clearing(neighbours)
            found = clearing.unused(now())
            if not dry_run:
                _ask(found, is_sure=is_sure, keeps=house.store.keeps)
                clearing.remove(found, now())
        if not dry_run:
            gone.forget(house)
            house.manifest.export(house.index)
        keeps = house.store.keeps
    if as_json:
        print_json(found.removed)
    else:
        _print(found.removed, dry_run=dry_run, keeps=keeps, is_verbose=options["verbose"])


def _ask(found: Unused, *, is_sure: bool, keeps: bool) -> None:
    """Go on only if somebody wants more than half of the images removed."""
    if is_sure or not found.is_most:
        return
    what = f"{found.removed.assets:,} of {plural(found.held, 'image')} would be removed: no article names them"
    if not sys.stdin.isatty():
        logger.error("%s. Nothing was removed; if that is right, give --yes (--dry-run -v lists them)", what)
        sys.exit(EXIT_PROBLEMS)
    undo = "they are kept for a day" if keeps else "they cannot be brought back"
    if not click.confirm(f"{what}; {undo}. Remove them?", err=True):
        logger.error("nothing was removed")
        sys.exit(EXIT_PROBLEMS)


def _print(removed: Removed, *, dry_run: bool, keeps: bool, is_verbose: bool) -> None:
    if is_verbose:
        for url in removed.subjects:
            print_line(clean_text(url, 300))
    counts = [plural(removed.copies, "copy", "copies"), plural(removed.files, "file"), format_bytes(removed.bytes)]
    print_line(f"{', '.join(counts)} {'would be removed' if dry_run else 'removed'}")
    if removed.freed:
        print_line(f"{format_bytes(removed.freed)} of an earlier gc {'would be freed' if dry_run else 'freed'}")
    if removed.files and not keeps:
        print_line("an object store keeps nothing of it, unless its versioning is on", dim=True)
    elif removed.files and not dry_run:
        print_line(
            "kept for a day in index/removed/ of the cache: what an article names again, `imgcache sync` takes back"
            " from there",
            dim=True,
        )
    if removed.foreign:
        print_line(tell_foreign(removed.foreign), dim=True)


class _Gone:
    """The sites that --forget-site names: their images are used no more. Forgotten when the images are removed."""

    def __init__(self, house: parts.OpenCache, folders: Iterable[Path], cache: Path) -> None:
        """Raises ConfigError: the cache does not know one of them."""
        self.names: list[str] = []
        self.markers: list[Marker] = []
        for folder in folders:
            name = name_of(folder, cache)
            self.markers += _markers(house, folder, name, cache)
            self.names += [name, built_name(name)]

    def forget(self, house: parts.OpenCache) -> None:
        """Let the index and the bucket forget them."""
        if self.markers and house.store.markers:
            house.store.markers.remove(self.markers)
        for name in self.names:
            if name not in house.names:
                forget_site(house.folder, name)


def _markers(house: parts.OpenCache, folder: Path, name: str, cache: Path) -> list[Marker]:
    """The markers that stand for a site in a bucket. Raises ConfigError where nothing knows the site."""
    others = [marker for marker in (house.store.markers.all() if house.store.markers else []) if not house.owns(marker)]
    found = [marker for marker in others if marker.site == os.path.realpath(folder)]
    if name in house.names:
        if not found:
            raise ConfigError(f"{folder} is the SITE of this command", where="--forget-site")
        return found
    with house.neighbours() as neighbours:
        if not {name, built_name(name)} & {*neighbours.names} and not found:
            known = {root_of(name, cache) for name in neighbours.names} | {marker.site for marker in others}
            listed = ", ".join(clean_text(root, 300) for root in sorted(known)) or "no other than SITE"
            raise ConfigError(f"the cache knows no site {folder}; it knows {listed}", where="--forget-site")
    return found


def _check_uses(
    house: parts.OpenCache, neighbours: OtherSites, gone: _Gone, sites: Sequence[Path], cache: Path
) -> None:
    """End the command where it is not known which images are used."""
    strangers = [marker for marker in house.strangers(neighbours) if marker not in gone.markers]
    unread = [*_unread(house, sites), *_unknown(neighbours, cache)]
    for obstacle in (*unread, *_elsewhere(strangers)):
        logger.error("%s", obstacle, extra=NO_PREFIX)
    if unread or strangers:
        reason = "an article cannot be read" if unread else "it is not known what another site uses"
        logger.error("nothing is removed while %s", reason)
        sys.exit(EXIT_PROBLEMS)
    _warn_of_gone(neighbours, cache)


def _unread(house: parts.OpenCache, sites: Sequence[Path]) -> Iterator[str]:
    for problem in house.catalogue.articles.unreadable():
        for place in problem.references:
            yield f"{clean_text(path_as_given(place.article, sites), 300)}:{place.line}:{place.column}: {problem.message}"


def _unknown(neighbours: OtherSites, cache: Path) -> Iterator[str]:
    """What keeps the use that other sites make of the cache from being known."""
    for file in neighbours.damaged:
        yield f"{file}: damaged: sync every other site of this cache, and remove the file if it is still there"
    for name in neighbours.unknown:
        root = clean_text(root_of(name, cache), 300)
        again = "its pages were not read by this version: rewrite" if is_built(name) else _UNREAD
        yield f"{root}: {again} it, or give --forget-site {root}"
    for one in neighbours.unreadable():
        yield f"{clean_text(f'{root_of(one.name, cache)}/{one.path}', 300)}:{one.line}:{one.column}: {one.message}"


def _elsewhere(strangers: Iterable[Marker]) -> Iterator[str]:
    """What keeps the use from being known that sites make of a bucket by another index."""
    for marker in strangers:
        root = clean_text(marker.site, 300)
        which = f"{root} ({clean_text(marker.site_url, 300)})" if marker.site_url else root
        yield (
            f"{which}: has images here since {format_day(marker.since)}, known to another index: name it beside SITE, or give"
            f" --forget-site {root}"
        )


def _warn_of_gone(neighbours: OtherSites, cache: Path) -> None:
    for root in (root_of(name, cache) for name in neighbours.names):
        if not Path(root).is_dir():
            shown = clean_text(root, 300)
            logger.warning("%s is gone, and what it used stays: give --forget-site %s to let it go", shown, shown)
