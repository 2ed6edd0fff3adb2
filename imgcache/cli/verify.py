"""`imgcache verify`: is everything that the cache and the flags say true?"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from imgcache.cli import EXIT_INTERRUPTED, EXIT_PROBLEMS
from imgcache.cli.job import run_job
from imgcache.cli.options import common, logger, now, open_workspace, site_argument
from imgcache.cli.output import print_json, print_line, print_report
from imgcache.cli.progress import NoProgress
from imgcache.core import Severity, clean_text, plural
from imgcache.downloader import ConnectTo
from imgcache.syncer import Damage
from imgcache.wiring import open_cache as parts
from imgcache.wiring import sync as syncing


@click.command(short_help="Hold blobs, records and flags against each other; --repair mends them.")
@site_argument
@click.option("--repair", is_flag=True, help="Take away what is wrong, and sync: from what is held, or by fetching.")
@click.option("--connect-to", multiple=True, metavar="HOST:PORT:HOST2:PORT2", help="As curl's, for --repair.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def verify(site: Path, connect_to: tuple[str, ...], *, repair: bool, as_json: bool, **options: Any) -> None:
    """Read every byte of the cache and hold blobs, records, manifest.json and flags against each other.

    Flags are held against the images as `sync` would, by the setting `dimensions`. Exit status: 0 all is true, or was
    mended; 1 something is not; 130 interrupted, what was mended so far is kept.
    """
    ground = open_workspace(site, options)
    request = syncing.SyncRequest(connect_to=tuple(ConnectTo.parse(text) for text in connect_to))
    with parts.open_for_writing(ground, "verify", now) as house:
        house.scanner.scan(house.catalogue)
        upkeep = house.upkeep()
        damage = partial(upkeep.damage, ground.config)
        found = list(damage())
        left, was_cut_short = found, False
        if repair and _errors(found):
            upkeep.take_away()
            job = syncing.build_sync(house, ground.config, request, NoProgress(), now)
            was_cut_short = run_job(job.run)
            house.manifest.write(house.index.entries())
            left = list(damage())
            if not (as_json or options["quiet"]):
                print_report(job.report, quiet=True, dry_run=False)
    if as_json:
        print_json({"found": found, "left": left, "repaired": repair})
    else:
        _print(found, left, repair=repair)
    if was_cut_short:
        logger.error("interrupted; what was finished is kept")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_PROBLEMS if _errors(left) else 0)


def _errors(found: Iterable[Damage]) -> int:
    return sum(damage.severity is Severity.ERROR for damage in found)


def _print(found: Sequence[Damage], left: Sequence[Damage], *, repair: bool) -> None:
    for damage in found:
        is_mended = repair or damage.severity is not Severity.ERROR
        print_line(f"{damage.code}: {clean_text(damage.subject, 300)}", color="yellow" if is_mended else "red")
        print_line(f"  {clean_text(damage.message, 300)}", dim=True)
    counts = [f"{_errors(found):,} found", *([f"{_errors(left):,} left"] if repair else [])]
    if warnings := sum(damage.severity is Severity.WARNING for damage in left):
        counts.append(plural(warnings, "warning"))
    print_line(", ".join(counts))
    if _errors(found) and not repair:
        print_line("mend them with `imgcache verify --repair`")
