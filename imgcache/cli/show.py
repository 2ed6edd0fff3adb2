"""`imgcache show URL`: all that is known of one image."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache import wiring
from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import common, open_ground, url_and_site
from imgcache.cli.output import places_lines, say
from imgcache.models import Asset, Copy, Failure, Place
from imgcache.quantities import format_bytes
from imgcache.urls import clean


class Shown(msgspec.Struct, frozen=True):
    """The record of one URL."""

    url: str
    copy: Copy | None
    asset: Asset | None
    failure: Failure | None
    is_forgotten: bool
    references: tuple[Place, ...]


@click.command(short_help="Show the record of one image and where it is used.")
@url_and_site
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def show(url: str, site: Path, *, as_json: bool, **options: Any) -> None:
    """Show what is held of the image at URL, what went wrong with it, and where it is used.

    Exit status: 1 where neither cache nor articles know the URL.
    """
    with wiring.reader(open_ground(site, options)) as house:
        house.scanner.scan(house.catalogue)
        copy = house.index.copy(url)
        shown = Shown(
            url=url,
            copy=copy,
            asset=house.index.asset(copy.digest) if copy else None,
            failure=house.index.failure(url),
            is_forgotten=house.index.forgotten(url),
            references=house.catalogue.places(url),
        )
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")
    else:
        _print(shown)
    sys.exit(0 if shown.copy or shown.failure or shown.is_forgotten or shown.references else EXIT_PROBLEMS)


def _print(shown: Shown) -> None:
    say(clean(shown.url, 500), bold=True)
    if shown.asset and shown.copy:
        asset, copy = shown.asset, shown.copy
        say(f"  {asset.media_type}, {asset.size}, {format_bytes(asset.bytes)}, colour {asset.color}")
        say(f"  fetched {_day(copy.fetched_at)}, last confirmed {_day(copy.checked_at)}")
        say(f"  {asset.original}")
        for variant in asset.variants:
            say(f"  {variant.path}  {variant.width}×{variant.height}  {format_bytes(variant.bytes)}")
    else:
        say("  not held")
    if shown.is_forgotten:
        say("  forgotten: never fetched; take it back with `imgcache forget --undo`")
    if failure := shown.failure:
        say(f"  {failure.code}: {failure.message}", color="red")
        say(f"  failing since {_day(failure.first_at)}, {failure.count} times, last {_day(failure.last_at)}")
    say(f"  used in {len(shown.references):,} places" + (":" if shown.references else ""))
    for line in places_lines(shown.references, 20):
        say(f"    {line}")


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
