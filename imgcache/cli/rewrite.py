"""`imgcache rewrite`: built pages load local images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from imgcache.cli.console import console_for
from imgcache.cli.exit_codes import EXIT_INTERRUPTED, EXIT_PROBLEMS
from imgcache.cli.job import run_job
from imgcache.cli.options import common, examples, logger, now, open_workspace
from imgcache.cli.output import print_json
from imgcache.cli.progress import progress_for
from imgcache.cli.quantities import max_bytes_option, max_time_option
from imgcache.cli.rewrite_summary import RewriteCommand, print_report
from imgcache.downloader import ConnectTo
from imgcache.publisher.picture_data import check_assets_url
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
        command = RewriteCommand(built, site, workspace.root, is_check=options["check"])
        console = console_for(workspace.root)
        print_report(job.report, command, console, quiet=options["quiet"], verbose=options["verbose"])
    if was_cut_short:
        logger.error("interrupted; what was finished is kept")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0 if job.report.is_well else EXIT_PROBLEMS)
