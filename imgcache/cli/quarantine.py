"""`imgcache quarantine`: a person's word on pictures that changed in a doubtful way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from imgcache.cli.options import common, now, open_ground, site_argument, url_and_site
from imgcache.cli.output import places_lines, print_json, say
from imgcache.health import day
from imgcache.quantities import plural
from imgcache.quarantine import Held, Quarantine
from imgcache.urls import clean
from imgcache.wiring import parts
from imgcache.wiring.ground import Ground


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
    with parts.reader(open_ground(site, options)) as house:
        house.scanner.scan(house.catalogue)
        held = list(_of(house))
    if as_json:
        print_json({"quarantined": held})
        return
    for one in held:
        _print(one)
    say(f"{len(held):,} quarantined")


@quarantine.command()
@url_and_site
@common
def accept(url: str, site: Path, **options: Any) -> None:
    """Make the picture that came the copy of URL."""
    ground = open_ground(site, options)
    with _deciding(ground) as house:
        _of(house).accept(url, ground.config.fetch.refresh_after)
        flags = house.flag_writer(ground.config.dimensions).write(may_clear=True, url=url)
    say(f"accepted: {clean(url, 300)}")
    say(f"{plural(flags.set, 'flag')} set, {flags.cleared:,} cleared", dim=True)


@quarantine.command()
@url_and_site
@common
def reject(url: str, site: Path, **options: Any) -> None:
    """Keep the copy of URL, and take the bytes that came for "not modified" from now on."""
    with _deciding(open_ground(site, options)) as house:
        _of(house).reject(url)
    say(f"rejected: {clean(url, 300)}")


@contextmanager
def _deciding(ground: Ground) -> Iterator[parts.House]:
    """The house with its articles read; what was decided stands in manifest.json at the end."""
    with parts.writer(ground, "quarantine", now) as house:
        house.scanner.scan(house.catalogue)
        yield house
        house.manifest.export(house.index)


def _of(house: parts.House) -> Quarantine:
    return Quarantine(index=house.index, catalogue=house.catalogue, store=house.store)


def _print(one: Held) -> None:
    say(clean(one.url, 500), bold=True)
    say(f"  {clean(one.reason, 300)}, since {day(one.since)}")
    if one.original:
        say(f"  {one.original}")
    for line in places_lines(one.references):
        say(f"  {line}")
