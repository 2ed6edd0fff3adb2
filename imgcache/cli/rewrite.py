"""`imgcache rewrite`: built pages load local images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from imgcache.cli import EXIT_INTERRUPTED, EXIT_PROBLEMS
from imgcache.cli.console import console_for
from imgcache.cli.job import run_job
from imgcache.cli.options import common, examples, logger, now, open_workspace
from imgcache.cli.output import print_json, print_line
from imgcache.cli.problems import print_problems
from imgcache.cli.progress import progress_for
from imgcache.cli.quantities import max_bytes_option, max_time_option
from imgcache.core import Console, format_seconds, plural
from imgcache.downloader import ConnectTo
from imgcache.publisher.picture_data import check_assets_url
from imgcache.publisher.rewrite import RewriteReport
from imgcache.wiring import SyncRequest, rewrite_site
from imgcache.wiring.rewrite import prepare_rewrite
from imgcache.wiring.rewrite_job import RewriteRequest

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    short_help="Make built pages load local images: after any generator's build.",
    epilog=examples("imgcache rewrite _site", "imgcache rewrite _site --check --offline"),
)
@click.argument("built", type=_FOLDER, metavar="BUILT")
@click.argument("site", type=_FOLDER, required=False, metavar="[SITE]")
@click.option("--check", is_flag=True, help="Change nothing; status 1 where a page loads an image that could be local.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, touch nothing.")
@click.option("--offline", is_flag=True, help="Use no network: rewrite with what is held.")
@click.option("--refresh", is_flag=True, help="Ask every server whether its image is still the same.")
@click.option(
    "--to",
    default=rewrite_site.DEFAULT_FOLDER,
    show_default=True,
    metavar="PATH",
    help="Where the images are put in BUILT.",
)
@click.option("--assets-url", default="", metavar="URL", help="Where that folder is published, if not in BUILT.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Processes; default: one a core.")
@max_time_option
@max_bytes_option
@click.option(
    "--connect-to", "connect_to", multiple=True, metavar="HOST:PORT:HOST2:PORT2", help="As curl's; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def rewrite(built: Path, site: Path | None, connect_to: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Make the pages, style sheets and feeds in BUILT load local, responsive images.

    BUILT is the folder that a generator wrote. Images that are not in the cache of SITE are fetched first, as by
    `imgcache sync`. SITE is by default the nearest folder at or above BUILT with an imgcache.yml or a cache, else the
    current one. A second run changes nothing. data-imgcache="keep" on an element leaves it, and all in it, alone.

    Exit status: 0 all is well; 1 some images or pages have problems; 2 it could not start; 3 another run holds the
    cache; 130 interrupted, what was finished is kept.
    """
    workspace = open_workspace(site or rewrite_site.site_of(built), options)
    request = RewriteRequest(
        to=rewrite_site.check_target(options["to"]),
        assets_url=check_assets_url(options["assets_url"]) if options["assets_url"] else "",
        check=options["check"],
        sync=SyncRequest(
            dry_run=options["dry_run"],
            offline=options["offline"],
            refresh=options["refresh"],
            jobs=options["jobs"],
            max_time=options["max_time"],
            max_bytes=options["max_bytes"],
            connect_to=tuple(ConnectTo.parse(text) for text in connect_to),
        ),
    )
    progress = progress_for(quiet=options["quiet"] or as_json)
    with prepare_rewrite(built, workspace, request, progress, now) as job, progress:
        was_cut_short = run_job(job.run)
    if as_json:
        print_json(job.report)
    else:
        _print(job.report, console_for(workspace.root), quiet=options["quiet"], verbose=options["verbose"])
    if was_cut_short:
        logger.error("interrupted; what was finished is kept")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0 if job.report.is_well else EXIT_PROBLEMS)


def _print(report: RewriteReport, console: Console, *, quiet: bool, verbose: bool) -> None:
    """Print the report of a rewrite for people."""
    print_problems(report.problems, console, verbose=verbose)
    if quiet:
        return
    if report.problems:
        print_line()
    would = "would be " if report.dry_run else ""
    rows = (
        ("pages", f"{report.pages:,}, {report.changed:,} of them {would}changed"),
        ("references", f"{report.references:,} to {plural(report.images, 'remote image')}"),
        (f"{would}rewritten", f"{report.rewritten:,}"),
        ("left", f"{report.left:,}"),
        (f"{would}fetched", f"{report.fetched:,}"),
        ("failed", f"{report.failed:,}"),
        ("time", format_seconds(report.seconds)),
    )
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print_line(f"{name:>{width}}  {value}", color="red" if name == "failed" and report.failed else None)
    print_line()
    for number, text in enumerate(_conclusion(report)):
        color = "green" if not (number or report.left) else None
        for line in console.wrap(text, hanging=2):
            print_line(line, color=color, bold=not number)


def _conclusion(report: RewriteReport) -> Iterator[str]:
    """Yield the verdict, and the next command."""
    if not report.left:
        yield "The pages would load no remote image." if report.dry_run else "The pages load no remote image."
    else:
        places = plural(report.left, "place still loads its image", "places still load their images")
        yield f"{places} from other hosts."
    if report.dry_run:
        yield "Next: the same command without --check or --dry-run does this."
    elif report.failed:
        yield "Next: `imgcache show URL` tells what is known of one image; the next run tries them again."
    else:
        yield "Next: publish the folder; `imgcache audit --built` finds what else readers load."
