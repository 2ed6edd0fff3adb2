"""`imgcache show URL`: all that is known of one image."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache import health
from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import common, now, open_ground, url_and_site
from imgcache.cli.output import places_lines, print_json, say
from imgcache.health import Health, day
from imgcache.likeness import Doubt
from imgcache.models import Asset, Copy, Failure, Place, Reference, State
from imgcache.quantities import format_bytes, plural
from imgcache.urls import clean
from imgcache.wiring import parts


class Shown(msgspec.Struct, frozen=True):
    """The record of one URL. Times in seconds since the epoch; `first_failure` is the first that is remembered.

    `missing` are the paths, of those in `asset`, that are not on disk in full length.
    """

    url: str
    copy: Copy | None
    asset: Asset | None
    failure: Failure | None
    state: State
    first_failure: float | None
    last_good: float | None
    doubt: Doubt
    is_forgotten: bool
    references: tuple[Place, ...]
    missing: tuple[str, ...] = ()


@click.command(short_help="Show the record of one image and where it is used.")
@url_and_site
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def show(url: str, site: Path, *, as_json: bool, **options: Any) -> None:
    """Show what is held of the image at URL, what went wrong with it, and where it is used.

    Exit status: 1 where neither cache nor articles know the URL.
    """
    ground = open_ground(site, options)
    with parts.reader(ground) as house:
        house.scanner.scan(house.catalogue)
        copy, failure, past = house.index.copy(url), house.index.failure(url), house.index.health(url)
        asset = house.index.asset(copy.digest) if copy else None
        shown = Shown(
            url=url,
            copy=copy,
            asset=asset,
            failure=failure,
            state=health.state(failure, past, now()),
            first_failure=past.first_failure if past else failure.first_at if failure else None,
            last_good=_last_good(copy, failure, past),
            doubt=house.index.doubt(url),
            is_forgotten=house.index.forgotten(url),
            references=house.catalogue.places(url),
            missing=house.store.missing(asset) if asset else (),
        )
        barred = list(house.catalogue.unflaggable(ground.config.flag, url)) if copy else []
    if as_json:
        print_json(shown)
    else:
        _print(shown, barred)
    sys.exit(0 if shown.copy or shown.failure or shown.is_forgotten or shown.references else EXIT_PROBLEMS)


def _print(shown: Shown, barred: Iterable[Reference]) -> None:
    """`barred` are its references in the lists that carry flags which have no room for one."""
    say(clean(shown.url, 500), bold=True)
    if shown.asset and shown.copy:
        asset, copy = shown.asset, shown.copy
        say(f"  {asset.media_type}, {asset.size}, {format_bytes(asset.bytes)}, colour {asset.color}")
        say(f"  fetched {day(copy.fetched_at)}, last confirmed {day(copy.checked_at)}")
        _print_files(asset, shown.missing)
    else:
        say("  not held")
    if shown.is_forgotten:
        say("  forgotten: never fetched; take it back with `imgcache forget --undo`")
    if failure := shown.failure:
        say(f"  {failure.code}: {failure.message}", color="red")
        say(f"  failing since {day(failure.first_at)}, {plural(failure.count, 'time')}, last {day(failure.last_at)}")
        if due := health.next_ask(failure):
            say(f"  asked again from {day(due)}")
    if shown.state is not State.OK:
        good = f", last good {day(shown.last_good)}" if shown.last_good is not None else ", never good"
        say(f"  {shown.state}{good}")
    if shown.doubt.candidate:
        say(f"  quarantined since {day(shown.doubt.since)}: {clean(shown.doubt.reason)}", color="yellow")
    say(f"  used in {plural(len(shown.references), 'place')}" + (":" if shown.references else ""))
    unflaggable = {where for reference in barred for where in places_lines((reference.place,))}
    for line in places_lines(shown.references, 20):
        say(f"    {line}{'  can take no flag' if line in unflaggable else ''}")


def _print_files(asset: Asset, missing: tuple[str, ...]) -> None:
    sizes = {asset.original: ""}  # a variant may be the original itself
    for variant in asset.variants:
        sizes[variant.path] = f"  {variant.width}×{variant.height}  {format_bytes(variant.bytes)}"
    for path, size in sizes.items():
        say(f"  {path}{size}{'  missing' if path in missing else ''}", color="red" if path in missing else None)
    if missing:
        gone = len(set(missing))
        say(f"  files missing: {gone} of {len(sizes)}; the next sync brings them back", color="red")


def _last_good(copy: Copy | None, failure: Failure | None, past: Health | None) -> float | None:
    """When the URL last answered well, as far as that is remembered."""
    times = [failure.last_good if failure else None, past.last_good if past else None]
    times.append(copy.checked_at if copy else None)
    return max((time for time in times if time is not None), default=None)
