"""`imgcache verify`: compares the files, the records and the flags of a cache with each other."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from imgcache.cli.console import console_for
from imgcache.cli.exit_codes import EXIT_INTERRUPTED, EXIT_PROBLEMS
from imgcache.cli.job import run_job
from imgcache.cli.options import common, examples, logger, now, open_workspace, site_argument
from imgcache.cli.output import print_json, print_line
from imgcache.cli.problems import print_problems
from imgcache.cli.progress import NoProgress
from imgcache.core import Severity, clean_text, plural
from imgcache.syncer import Damage
from imgcache.wiring import SyncRequest, build_sync, open_for_writing


@click.command(
    short_help="Compare blobs, records and flags; --repair repairs them.",
    epilog=examples("imgcache verify", "imgcache verify --repair"),
)
@site_argument
@click.option("--repair", is_flag=True, help="Remove what is damaged and sync: from the originals, or by fetching.")
@click.option("--connect-to", multiple=True, metavar="HOST:PORT:HOST2:PORT2", help="As curl's, for --repair.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def verify(site: Path, connect_to: tuple[str, ...], *, repair: bool, as_json: bool, **options: Any) -> None:
    """Read every byte of the cache, and compare blobs, records, manifest.json and flags with each other.

    Flags are judged as `sync` does, by the setting `dimensions`. Exit status: 0 no damage, or all is repaired; 1 damage
    is left; 130 interrupted, finished repairs are kept.
    """
    workspace = open_workspace(site, options)
    request = SyncRequest.from_options(connect_to=connect_to)
    with open_for_writing(workspace, "verify", now) as cache:
        cache.scanner.scan(cache.catalogue)
        maintenance = cache.maintenance()
        damage = partial(maintenance.damage, workspace.config)
        found = list(damage())
        left, was_cut_short = found, False
        if repair and _errors(found):
            maintenance.remove_damaged()
            job = build_sync(cache, workspace.config, request, NoProgress(), now)
            was_cut_short = run_job(job.run)
            cache.manifest.write(cache.index.entries())
            left = list(damage())
            if not (as_json or options["quiet"]):
                print_problems(job.report.problems, console_for(workspace.root), verbose=options["verbose"])
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
        is_repaired = repair or damage.severity is not Severity.ERROR
        print_line(f"{damage.code}: {clean_text(damage.subject, 300)}", color="yellow" if is_repaired else "red")
        print_line(f"  {clean_text(damage.message, 300)}", dim=True)
    counts = [f"{_errors(found):,} found", *([f"{_errors(left):,} left"] if repair else [])]
    if warnings := sum(damage.severity is Severity.WARNING for damage in left):
        counts.append(plural(warnings, "warning"))
    print_line(", ".join(counts))
    if _errors(found) and not repair:
        print_line("repair them with `imgcache verify --repair`")
