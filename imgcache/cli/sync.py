"""`imgcache sync`: fetches, checks, resizes and flags the images of one site or several."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from imgcache.cli.console import console_for
from imgcache.cli.exit_codes import EXIT_INTERRUPTED, EXIT_PROBLEMS
from imgcache.cli.job import run_job
from imgcache.cli.options import common, examples, logger, now
from imgcache.cli.output import print_generators, print_json
from imgcache.cli.progress import progress_for
from imgcache.cli.quantities import max_bytes_option, max_time_option
from imgcache.cli.sites import open_workspaces, sites_or_article_argument
from imgcache.cli.sync_summary import print_report
from imgcache.wiring import SyncRequest, as_given, prepare_sync


@click.command(
    short_help="Fetch, check, resize and flag every remote image of a site.",
    epilog=examples(
        "imgcache sync --dry-run", "imgcache sync --max-time 10m", "imgcache sync _posts/2026-05-17-cliffs.md"
    ),
)
@sites_or_article_argument
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--refresh", is_flag=True, help="Ask every server whether its image is still the same.")
@click.option("--only-failed", is_flag=True, help="Try only the images that failed before.")
@click.option("--offline", is_flag=True, help="Use no network: render and flag what is held.")
@click.option(
    "--dimensions",
    type=click.Choice(["check", "fix", "ignore"]),
    help="What to do where an image has another size than its article declares.",
)
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Render processes; default: one for each core.")
@max_time_option
@max_bytes_option
@click.option(
    "--connect-to", "connect_to", multiple=True, metavar="HOST:PORT:HOST2:PORT2", help="As curl's; repeatable."
)
@click.option(
    "--dask", metavar="ADDRESS", help="A Dask scheduler whose workers do the work; local:N for N processes here."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def sync(sites: tuple[Path, ...], dimensions: str | None, *, as_json: bool, **options: Any) -> None:
    """Find every remote image of SITE, fetch what is missing, make the variants, set the isCached flags.

    Several sites share the cache that --cache names: an image that they have in common is fetched once. With one
    ARTICLE, only its images are fetched and only its flags are written; its site is the nearest folder above it.

    Exit status: 0 all is well; 1 some images or articles have problems; 2 it could not start; 3 another run holds the
    cache; 130 interrupted, what was finished is kept.
    """
    workspaces = open_workspaces(sites, options, {"dimensions": dimensions})
    request = SyncRequest.from_options(
        refresh=options["refresh"],
        only_failed=options["only_failed"],
        offline=options["offline"],
        dry_run=options["dry_run"],
        jobs=options["jobs"],
        max_time=options["max_time"],
        max_bytes=options["max_bytes"],
        connect_to=options["connect_to"],
        dask=options["dask"],
        article=options["article"],
    )
    if not as_json and not options["quiet"]:
        print_generators(workspaces)
    progress = progress_for(quiet=options["quiet"] or as_json)
    with prepare_sync(workspaces, request, progress, now) as job, progress:
        is_interrupted = run_job(job.run)
    report = as_given(job.report, sites) if len(sites) > 1 else job.report
    if as_json:
        print_json(report)
    else:
        console = console_for(workspaces[0].root if len(workspaces) == 1 else Path())
        generator = workspaces[0].layout.generator
        print_report(report, console, generator=generator, quiet=options["quiet"], verbose=options["verbose"])
    if is_interrupted:
        logger.error("interrupted; what was finished is kept")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0 if report.is_well else EXIT_PROBLEMS)
