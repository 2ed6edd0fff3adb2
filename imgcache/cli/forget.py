"""`imgcache forget URL`: an image that must go, for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imgcache.cli.options import common, now, open_ground, url_and_site
from imgcache.cli.output import print_json, say
from imgcache.quantities import format_bytes
from imgcache.urls import clean
from imgcache.wiring import parts


@click.command(short_help="Take an image out of cache, flags and manifest, and never fetch it again.")
@url_and_site
@click.option("--undo", is_flag=True, help="Let the next sync fetch it again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def forget(url: str, site: Path, *, undo: bool, as_json: bool, **options: Any) -> None:
    """Take the image at URL out of cache, flags and manifest.json, and remember not to fetch it again."""
    ground = open_ground(site, options)
    with parts.writer(ground, "forget", now) as house:
        house.scanner.scan(house.catalogue)
        if undo:
            was_forgotten = house.index.forgotten(url)
            house.index.remember(url)
            if as_json:
                print_json({"url": url, "was_forgotten": was_forgotten})
            else:
                say("the next sync fetches it again" if was_forgotten else "it was not forgotten")
            return
        removed = house.upkeep().forget(url, now())
        flags = house.flag_writer(ground.config.dimensions).write(may_clear=True, url=url)
        house.manifest.export(house.index)
    if as_json:
        print_json({"url": url, "flags_cleared": flags.cleared, "files": removed.files, "bytes": removed.bytes})
        return
    say(f"forgotten: {clean(url, 300)}")
    say(f"{removed.files:,} files ({format_bytes(removed.bytes)}) removed, {flags.cleared:,} flags cleared", dim=True)
