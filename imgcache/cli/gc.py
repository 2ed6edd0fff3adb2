"""`imgcache gc`: removes images that no article uses."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgcache.cache import OtherSites, built_name, forget_site, is_built
from imgcache.cli.exit_codes import EXIT_PROBLEMS
from imgcache.cli.options import NO_PREFIX, common, examples, logger, now
from imgcache.cli.output import print_json, print_line
from imgcache.cli.sites import open_workspaces, sites_argument
from imgcache.core import ConfigError, clean_text, format_bytes, plural
from imgcache.policy import format_day
from imgcache.syncer import Removed, Unused, describe_foreign_files
from imgcache.wiring import OpenCache, name_of, open_for_reading, open_for_writing, path_as_given, root_of

if TYPE_CHECKING:
    from imgcache.cache import Marker

_UNREAD = "its articles were not read by this version: sync"


@click.command(
    short_help="Remove images that no article uses any more.",
    epilog=examples("imgcache gc --dry-run", "imgcache gc --yes"),
)
@sites_argument
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option(
    "--forget-site",
    "gone",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="A site that shared the cache and no longer needs its images; repeatable.",
)
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask before removing more than half of the images.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def gc(sites: tuple[Path, ...], *, is_sure: bool, as_json: bool, **options: Any) -> None:
    """Remove images that no article uses any more, and variants that are not configured any more.

    An image that another site of the same cache used at its last sync stays. Nothing is removed while an article cannot
    be read, or another index has recorded a site in the same bucket: either may use any of the images.

    Before removing more than half of the images, gc asks; without a terminal it refuses, unless --yes is given. Removed
    images are kept for a day in index/removed/ of the cache: if an article uses one again, the next sync restores it
    without fetching it. The first gc after that day frees the space. In an object store nothing is kept.

    Exit status: 1 where nothing was removed for one of these reasons.
    """
    workspace, *others = open_workspaces(sites, options)
    dry_run: bool = options["dry_run"]
    opening = (
        open_for_reading(workspace, others=others, with_other_sites=True)
        if dry_run
        else open_for_writing(workspace, "gc", now, others=others)
    )
    with opening as cache:
        forgotten = _ForgottenSites(cache, options["gone"], workspace.cache)
        cache.scanner.scan(cache.catalogue)
        with cache.other_sites(without=forgotten.names) as known:
            _check_uses(cache, known, forgotten, sites, workspace.cache)
            removal = cache.removal(known)
            found = removal.unused(now())
            if not dry_run:
                _confirm(found, is_sure=is_sure, keeps=cache.store.keeps)
                removal.remove(found, now())
        if not dry_run:
            forgotten.forget(cache)
            cache.manifest.export(cache.index)
        keeps = cache.store.keeps
    if as_json:
        print_json(found.removed)
    else:
        _print(found.removed, dry_run=dry_run, keeps=keeps, is_verbose=options["verbose"])


def _confirm(found: Unused, *, is_sure: bool, keeps: bool) -> None:
    """End the command unless the user agrees to remove more than half of the images."""
    if is_sure or not found.is_most:
        return
    what = f"{found.removed.assets:,} of {plural(found.held, 'image')} would be removed: no article uses them"
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
        print_line("an object store does not keep them, unless its versioning is on", dim=True)
    elif removed.files and not dry_run:
        print_line(
            "kept for a day in index/removed/ of the cache: if an article uses an image again, `imgcache sync` restores"
            " it from there",
            dim=True,
        )
    if removed.foreign:
        print_line(describe_foreign_files(removed.foreign), dim=True)


class _ForgottenSites:
    """The sites that --forget-site names: they no longer use any image."""

    def __init__(self, cache: OpenCache, folders: Iterable[Path], cache_folder: Path) -> None:
        """Raises ConfigError where the cache has no such site."""
        self.names: list[str] = []
        self.markers: list[Marker] = []
        for folder in folders:
            name = name_of(folder, cache_folder)
            self.markers += _markers(cache, folder, name, cache_folder)
            self.names += [name, built_name(name)]

    def forget(self, cache: OpenCache) -> None:
        """Remove the sites from the index and from the bucket."""
        if self.markers and cache.store.markers:
            cache.store.markers.remove(self.markers)
        for name in self.names:
            if name not in cache.names:
                forget_site(cache.folder, name)


def _markers(cache: OpenCache, folder: Path, name: str, cache_folder: Path) -> list[Marker]:
    """Returns the markers of a site in a bucket. Raises ConfigError where the site is not recorded anywhere."""
    others = [marker for marker in (cache.store.markers.all() if cache.store.markers else []) if not cache.owns(marker)]
    found = [marker for marker in others if marker.site == os.path.realpath(folder)]
    if name in cache.names:
        if not found:
            raise ConfigError(f"{folder} is the SITE of this command", where="--forget-site")
        return found
    with cache.other_sites() as recorded:
        if not {name, built_name(name)} & {*recorded.names} and not found:
            known = {root_of(name, cache_folder) for name in recorded.names} | {marker.site for marker in others}
            listed = ", ".join(clean_text(root, 300) for root in sorted(known)) or "no site but SITE"
            raise ConfigError(
                f"the cache has no record of the site {folder}; it has of {listed}", where="--forget-site"
            )
    return found


def _check_uses(
    cache: OpenCache, known: OtherSites, forgotten: _ForgottenSites, sites: Sequence[Path], cache_folder: Path
) -> None:
    """End the command where it cannot be known which images are used."""
    unknown = [marker for marker in cache.unknown_sites(known) if marker not in forgotten.markers]
    unread = [*_unreadable_articles(cache, sites), *_unreadable_sites(known, cache_folder)]
    for obstacle in (*unread, *_unknown_sites(unknown)):
        logger.error("%s", obstacle, extra=NO_PREFIX)
    if unread or unknown:
        reason = "an article cannot be read" if unread else "it is not known what another site uses"
        logger.error("nothing is removed while %s", reason)
        sys.exit(EXIT_PROBLEMS)
    _warn_of_missing(known, cache_folder)


def _unreadable_articles(cache: OpenCache, sites: Sequence[Path]) -> Iterator[str]:
    for problem in cache.catalogue.articles.unreadable():
        for place in problem.references:
            article = clean_text(path_as_given(place.article, sites), 300)
            yield f"{article}:{place.line}:{place.column}: {problem.message}"


def _unreadable_sites(known: OtherSites, cache_folder: Path) -> Iterator[str]:
    """Yield why the images that other sites of the cache use are not known."""
    for file in known.damaged:
        yield f"{file}: damaged: sync every other site of this cache, and remove the file if it is still there"
    for name in known.unknown:
        root = clean_text(root_of(name, cache_folder), 300)
        again = "its pages were not read by this version: rewrite" if is_built(name) else _UNREAD
        yield f"{root}: {again} it, or give --forget-site {root}"
    for article in known.unreadable():
        path = clean_text(f"{root_of(article.name, cache_folder)}/{article.path}", 300)
        yield f"{path}:{article.line}:{article.column}: {article.message}"


def _unknown_sites(markers: Iterable[Marker]) -> Iterator[str]:
    """Yield a message for each site that another index has recorded in the bucket."""
    for marker in markers:
        root = clean_text(marker.site, 300)
        which = f"{root} ({clean_text(marker.site_url, 300)})" if marker.site_url else root
        yield (
            f"{which}: has images here since {format_day(marker.since)}, recorded by another index: give it as another"
            f" SITE, or give --forget-site {root}"
        )


def _warn_of_missing(known: OtherSites, cache_folder: Path) -> None:
    for root in (root_of(name, cache_folder) for name in known.names):
        if not Path(root).is_dir():
            shown = clean_text(root, 300)
            logger.warning(
                "the site %s is missing, and its images are kept: to remove them, give --forget-site %s", shown, shown
            )
