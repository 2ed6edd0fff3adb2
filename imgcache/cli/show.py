"""`imgcache show URL`: prints all that is known of one image."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache.cache import is_built
from imgcache.cli.console import console_for
from imgcache.cli.exit_codes import EXIT_PROBLEMS
from imgcache.cli.nearest_url import nearest_url, unknown_url
from imgcache.cli.options import common, examples, logger, now, open_workspace, url_and_site
from imgcache.cli.output import print_json, print_line
from imgcache.core import Asset, Console, Copy, Failure, Place, Reference, UrlState, clean_text, format_bytes, plural
from imgcache.policy import Health, QuarantineRecord, format_day, health
from imgcache.wiring import OpenCache, Workspace, open_for_reading, root_of

_PLACES_SHOWN = 20


class ImageRecord(msgspec.Struct, frozen=True):
    """The record of one URL. Times are in seconds since the epoch; `first_failure` is the first on record.

    `missing` are those paths of `asset` that are not on disk in full length.
    """

    url: str
    copy: Copy | None
    asset: Asset | None
    failure: Failure | None
    state: UrlState
    first_failure: float | None
    last_good: float | None
    doubt: QuarantineRecord
    is_forgotten: bool
    references: tuple[Place, ...]
    missing: tuple[str, ...] = ()


@click.command(
    short_help="Show the record of one image and where it is used.",
    epilog=examples("imgcache show https://images.example/clock.jpg"),
)
@url_and_site
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def show(url: str, site: Path, *, as_json: bool, **options: Any) -> None:
    """Show the copy of the image at URL, its failures, and where it is used.

    Exit status: 1 where neither the cache nor an article has the URL.
    """
    workspace = open_workspace(site, options)
    with open_for_reading(workspace, with_other_sites=True) as cache:
        cache.scanner.scan(cache.catalogue)
        copy, failure, past = cache.index.copy(url), cache.index.failure(url), cache.index.health(url)
        asset = cache.index.asset(copy.digest) if copy else None
        shown = ImageRecord(
            url=url,
            copy=copy,
            asset=asset,
            failure=failure,
            state=health.url_state(failure, past, now()),
            first_failure=past.first_failure if past else failure.first_at if failure else None,
            last_good=_last_good(copy, failure, past),
            doubt=cache.index.quarantine_record(url),
            is_forgotten=cache.index.forgotten(url),
            references=(*cache.catalogue.references.places(url), *_in_built_pages(cache, url, workspace)),
            missing=cache.store.missing(asset) if asset else (),
        )
        blocked = list(cache.catalogue.references.unflaggable(url)) if copy else []
        is_known = bool(shown.copy or shown.failure or shown.is_forgotten or shown.references)
        if not is_known:
            with cache.other_sites() as others:
                nearest = nearest_url(url, cache.removal(others).known())
    if as_json:
        print_json(shown)
    else:
        _print(shown, blocked, console_for(workspace.root))
    if not is_known:
        logger.error("%s", unknown_url(url, nearest))
        sys.exit(EXIT_PROBLEMS)


def _in_built_pages(cache: OpenCache, url: str, workspace: Workspace) -> Iterator[Place]:
    """Yields the places in built folders that share the cache, with paths relative to the site if they lie in it."""
    root = f"{os.path.realpath(workspace.root)}/"
    with cache.other_sites() as others:
        for name, place in others.places(url):
            if is_built(name):
                path = f"{root_of(name, workspace.cache)}/{place.article}".removeprefix(root)
                yield msgspec.structs.replace(place, article=path)


def _print(shown: ImageRecord, blocked: Iterable[Reference], console: Console) -> None:
    """`blocked` are references in the flagged lists in which no flag can be written."""
    print_line(clean_text(shown.url, 500), bold=True)
    if shown.asset and shown.copy:
        asset, copy = shown.asset, shown.copy
        print_line(f"  {asset.media_type}, {asset.size}, {format_bytes(asset.bytes)}, colour {asset.color}")
        print_line(f"  fetched {format_day(copy.fetched_at)}, last confirmed {format_day(copy.checked_at)}")
        _print_files(asset, shown.missing)
    else:
        print_line("  not held")
    if shown.is_forgotten:
        print_line("  forgotten: never fetched; undo that with `imgcache forget --undo`")
    if failure := shown.failure:
        print_line(f"  {failure.code}: {failure.message}", color="red")
        dates = f"since {format_day(failure.first_at)}, {plural(failure.count, 'time')}"
        print_line(f"  failing {dates}, last {format_day(failure.last_at)}")
        if due := health.next_attempt(failure):
            print_line(f"  tried again from {format_day(due)}")
    if shown.state is not UrlState.OK:
        good = f", last good {format_day(shown.last_good)}" if shown.last_good is not None else ", never good"
        print_line(f"  {shown.state}{good}")
    if shown.doubt.candidate:
        print_line(
            f"  quarantined since {format_day(shown.doubt.since)}: {clean_text(shown.doubt.reason)}", color="yellow"
        )
    print_line(f"  used in {plural(len(shown.references), 'place')}" + (":" if shown.references else ""))
    unflaggable = {reference.place for reference in blocked}
    for place in shown.references[:_PLACES_SHOWN]:
        print_line(f"    {console.place(place)}{'  can take no flag' if place in unflaggable else ''}")
    if more := len(shown.references[_PLACES_SHOWN:]):
        print_line(f"    and {plural(more, 'more place')}")


def _print_files(asset: Asset, missing: tuple[str, ...]) -> None:
    sizes = {asset.original: ""}  # a variant may be the original itself
    for variant in asset.variants:
        sizes[variant.path] = f"  {variant.width}×{variant.height}  {format_bytes(variant.bytes)}"
    for path, size in sizes.items():
        print_line(f"  {path}{size}{'  missing' if path in missing else ''}", color="red" if path in missing else None)
    if missing:
        gone = len(set(missing))
        print_line(f"  files missing: {gone} of {len(sizes)}; the next sync brings them back", color="red")


def _last_good(copy: Copy | None, failure: Failure | None, past: Health | None) -> float | None:
    """Returns when the URL last gave a good answer, as far as that is recorded."""
    dates = [failure.last_good if failure else None, past.last_good if past else None]
    dates.append(copy.checked_at if copy else None)
    return max((date for date in dates if date is not None), default=None)
