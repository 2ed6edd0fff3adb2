"""`imgcache gc`: make room."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import common, now, open_ground, site_argument
from imgcache.cli.output import say
from imgcache.quantities import format_bytes
from imgcache.urls import clean
from imgcache.wiring import parts


@click.command(short_help="Remove what no article uses any more.")
@site_argument
@click.option("--dry-run", is_flag=True, help="Say what would be removed, remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def gc(site: Path, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Remove images that no article names any more, and variants that no recipe asks for.

    Nothing is removed while an article cannot be read: it may name any of them.
    """
    ground = open_ground(site, options)
    opened = parts.reader(ground) if dry_run else parts.writer(ground, "gc", now)
    with opened as house:
        house.scanner.scan(house.catalogue)
        unreadable = list(house.catalogue.unreadable())
        for path, _, message, line, column in unreadable:
            click.echo(f"{clean(path, 300)}:{line}:{column}: {message}", err=True)
        if unreadable:
            click.echo("imgcache: nothing is removed while an article cannot be read", err=True)
            sys.exit(EXIT_PROBLEMS)
        removed = house.upkeep().collect(dry_run=dry_run)
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
