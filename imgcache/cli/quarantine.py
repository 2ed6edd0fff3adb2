"""`imgcache quarantine`: a person's word on pictures that changed in a doubtful way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from imgcache.cache import Quarantine, QuarantinedUrl
from imgcache.cli.options import common, now, open_workspace, site_argument, url_and_site
from imgcache.cli.output import places_lines, print_json, print_line
from imgcache.core import clean_text, plural
from imgcache.policy import format_day
from imgcache.wiring import Workspace
from imgcache.wiring import open_cache as parts


@click.group(short_help="Decide on pictures that changed in a doubtful way.")
def quarantine() -> None:
    """Decide on pictures that changed in a doubtful way: much smaller, of another shape, or another picture.

    Until then the copy from before stays, and is flagged and served as it was.
    """


@quarantine.command("list")
@site_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def list_(site: Path, *, as_json: bool, **options: Any) -> None:
    """List what waits for a decision."""
    with parts.open_for_reading(open_workspace(site, options)) as house:
        house.scanner.scan(house.catalogue)
        held = list(_of(house))
    if as_json:
        print_json({"quarantined": held})
        return
    for one in held:
        _print(one)
    print_line(f"{len(held):,} quarantined")


@quarantine.command()
@url_and_site
@common
def accept(url: str, site: Path, **options: Any) -> None:
    """Make the picture that came the copy of URL."""
    ground = open_workspace(site, options)
    with _deciding(ground) as house:
        _of(house).accept(url, ground.config.fetch.refresh_after)
        flags = house.flag_writer(ground.config.dimensions).write(may_clear=True, url=url)
    print_line(f"accepted: {clean_text(url, 300)}")
    print_line(f"{plural(flags.set, 'flag')} set, {flags.cleared:,} cleared", dim=True)


@quarantine.command()
@url_and_site
@common
def reject(url: str, site: Path, **options: Any) -> None:
    """Keep the copy of URL, and take the bytes that came for "not modified" from now on."""
    with _deciding(open_workspace(site, options)) as house:
        _of(house).reject(url)
    print_line(f"rejected: {clean_text(url, 300)}")


@contextmanager
def _deciding(ground: Workspace) -> Iterator[parts.OpenCache]:
    """The house with its articles read; what was decided stands in manifest.json at the end."""
    with parts.open_for_writing(ground, "quarantine", now) as house:
        house.scanner.scan(house.catalogue)
        yield house
        house.manifest.export(house.index)


def _of(house: parts.OpenCache) -> Quarantine:
    return Quarantine(index=house.index, catalogue=house.catalogue, store=house.store)


def _print(one: QuarantinedUrl) -> None:
    print_line(clean_text(one.url, 500), bold=True)
    print_line(f"  {clean_text(one.reason, 300)}, since {format_day(one.since)}")
    if one.original:
        print_line(f"  {one.original}")
    for line in places_lines(one.references):
        print_line(f"  {line}")
