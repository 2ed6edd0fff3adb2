"""`imgcache scan`: every image reference that is seen, and what looked like an image and is not understood."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from imgcache.cli.console import console_for
from imgcache.cli.exit_codes import EXIT_PROBLEMS
from imgcache.cli.options import common, examples, open_workspace, site_argument
from imgcache.cli.output import print_generators, print_json, print_line
from imgcache.cli.problems import print_problems
from imgcache.core import Console, clean_text, plural, redact
from imgcache.scanner import ScanReport
from imgcache.wiring.site_parts import scan_site

_SHOWN = 3


@click.command(
    short_help="List every image reference of a site, and what was not understood.",
    epilog=examples("imgcache scan", "imgcache scan --json | jq '.unread[].url'"),
)
@site_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def scan(site: Path, *, as_json: bool, **options: Any) -> None:
    """List every image reference of SITE, and the addresses that look like images and are not read.

    It changes nothing and asks no server.

    Exit status: 0 all articles can be read; 1 some cannot, each is listed; 2 it could not start.
    """
    workspace = open_workspace(site, options)
    if not as_json and not options.get("quiet"):
        print_generators([workspace])
    report = scan_site(workspace)
    if as_json:
        print_json(report)
    else:
        console = console_for(workspace.root)
        _print(report, console, is_verbose=bool(options.get("verbose")), is_quiet=bool(options.get("quiet")))
    sys.exit(0 if report.is_well else EXIT_PROBLEMS)


def _print(report: ScanReport, console: Console, *, is_verbose: bool, is_quiet: bool) -> None:
    if not is_quiet:
        for one in report.references:
            where = f"{clean_text(one.article, 300)}:{one.line}:{one.column}"
            print_line(f"{where}: {one.kind} {clean_text(one.field, 100)} {redact(one.url)}")
    print_problems(report.problems, console, verbose=is_verbose)
    kinds = Counter(one.kind.value for one in report.references)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    references = plural(len(report.references), "reference")
    print_line(f"{plural(report.articles, 'article')}, {references}" + (f" ({counts})" if counts else ""))
    if report.unread:
        _print_unread(report, None if is_verbose else _SHOWN)


def _print_unread(report: ScanReport, most: int | None) -> None:
    count = len(report.unread)
    what = "1 address looks like an image and is" if count == 1 else f"{count:,} addresses look like images and are"
    print_line(f"{what} not read:", color="yellow")
    for one in report.unread[:most]:
        where = f"{clean_text(one.article, 300)}:{one.line}:{one.column}"
        print_line(f"  {where}: {redact(one.url)} ({one.reason})")
    if most is not None and count > most:
        print_line(f"  and {count - most:,} more: -v lists all")
