"""`imgcache gc`: make room."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache.catalogue.sites import Neighbours, forget_site
from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import common, now
from imgcache.cli.output import say
from imgcache.cli.sites import open_grounds, path_as_given, sites_argument
from imgcache.errors import ConfigError
from imgcache.quantities import format_bytes
from imgcache.urls import clean
from imgcache.wiring import parts
from imgcache.wiring.sites import name_of, root_of


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
    be read: it may name any of them.
    """
    ground, *beside = open_grounds(sites, options)
    opened = (
        parts.reader(ground, beside=beside, with_neighbours=True)
        if dry_run
        else parts.writer(ground, "gc", now, beside=beside)
    )
    with opened as house:
        for folder in gone:
            _forget(house, folder, ground.cache)
        house.scanner.scan(house.catalogue)
        with house.neighbours() as neighbours:
            obstacles = [*_unread(house, sites), *_unknown(neighbours, ground.cache)]
            for obstacle in obstacles:
                click.echo(obstacle, err=True)
            if obstacles:
                click.echo("imgcache: nothing is removed while an article cannot be read", err=True)
                sys.exit(EXIT_PROBLEMS)
            _warn_of_gone(neighbours, ground.cache)
            removed = house.upkeep(neighbours).collect(dry_run=dry_run)
        if not dry_run:
            house.manifest.export(house.index)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(removed) + b"\n")
        return
    if options["verbose"]:
        for url in removed.subjects:
            say(clean(url, 300))
    verb = "would be removed" if dry_run else "removed"
    say(f"{removed.copies:,} copies, {removed.files:,} files, {format_bytes(removed.bytes)} {verb}")


def _forget(house: parts.House, folder: Path, cache: Path) -> None:
    name = name_of(folder, cache)
    if name in house.names:
        raise ConfigError(f"{folder} is the SITE of this command", where="--forget-site")
    if not forget_site(house.folder, name):
        with house.neighbours() as neighbours:
            known = ", ".join(clean(root_of(name, cache), 300) for name in neighbours.names)
        raise ConfigError(
            f"the cache knows no site {folder}; it knows {known or 'no other than SITE'}", where="--forget-site"
        )


def _unread(house: parts.House, sites: Sequence[Path]) -> Iterator[str]:
    for path, _, message, line, column in house.catalogue.unreadable():
        yield f"{clean(path_as_given(path, sites), 300)}:{line}:{column}: {message}"


def _unknown(neighbours: Neighbours, cache: Path) -> Iterator[str]:
    """What keeps the use that other sites make of the cache from being known."""
    for file in neighbours.damaged:
        yield f"{file}: damaged: sync every other site of this cache, and remove the file if it is still there"
    for name in neighbours.unknown:
        root = clean(root_of(name, cache), 300)
        yield f"{root}: its articles were not read by this version: sync it, or give --forget-site {root}"
    for one in neighbours.unreadable():
        yield f"{clean(f'{root_of(one.name, cache)}/{one.path}', 300)}:{one.line}:{one.column}: {one.message}"


def _warn_of_gone(neighbours: Neighbours, cache: Path) -> None:
    for root in (root_of(name, cache) for name in neighbours.names):
        if not Path(root).is_dir():
            shown = clean(root, 300)
            click.echo(
                f"imgcache: {shown} is gone, and what it used stays: give --forget-site {shown} to let it go", err=True
            )
