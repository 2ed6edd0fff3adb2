"""`imgcache verify`: is everything that the cache and the flags say true?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import common, now, open_ground, site_argument
from imgcache.cli.output import print_report, say
from imgcache.cli.progress import Silent
from imgcache.cli.running import run_job
from imgcache.net.connect_to import ConnectTo
from imgcache.urls import clean
from imgcache.wiring import parts, syncing


@click.command(short_help="Hold blobs, records and flags against each other; --repair mends them.")
@site_argument
@click.option("--repair", is_flag=True, help="Take away what is wrong, and sync: from what is held, or by fetching.")
@click.option("--connect-to", multiple=True, metavar="HOST:PORT:HOST2:PORT2", help="As curl's, for --repair.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def verify(site: Path, connect_to: tuple[str, ...], *, repair: bool, as_json: bool, **options: Any) -> None:
    """Read every byte of the cache and hold blobs, records, manifest.json and flags against each other.

    Exit status: 0 all is true, or was mended; 1 something is not.
    """
    ground = open_ground(site, options)
    request = syncing.SyncRequest(connect_to=tuple(ConnectTo.parse(text) for text in connect_to))
    with parts.writer(ground, "verify", now) as house:
        house.scanner.scan(house.catalogue)
        upkeep = house.upkeep()
        found = list(upkeep.damage())
        left = found
        if found and repair:
            upkeep.take_away()
            job = syncing.build_sync(house, ground.config, request, Silent(), now)
            run_job(job.run)
            house.manifest.write(house.index.entries())
            left = list(upkeep.damage())
            if not (as_json or options["quiet"]):
                print_report(job.report, quiet=True, dry_run=False)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode({"found": found, "left": left, "repaired": repair}) + b"\n")
    else:
        for damage in found:
            say(f"{damage.code}: {clean(damage.subject, 300)}", color="yellow" if repair else "red")
            say(f"  {clean(damage.message, 300)}", dim=True)
        say(f"{len(found):,} found, {len(left):,} left" if repair else f"{len(found):,} found")
        if found and not repair:
            say("mend them with `imgcache verify --repair`")
    sys.exit(EXIT_PROBLEMS if left else 0)
