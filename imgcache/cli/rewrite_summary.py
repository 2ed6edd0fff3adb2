"""Prints the report of a rewrite for people: problems, counts, the verdict, and the next command."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from imgcache.cli.output import print_line
from imgcache.cli.problems import print_problems
from imgcache.core import Console, format_seconds, plural
from imgcache.publisher.rewrite import RewriteReport


class RewriteCommand(NamedTuple):
    """What the next command repeats.

    Attributes:
        built: the built folder.
        site: the site as the user named it; None where it was found.
        root: the site.
        is_check: whether nothing was to be changed.
    """

    built: Path
    site: Path | None
    root: Path
    is_check: bool

    @property
    def rewrite(self) -> str:
        """The command that rewrites the folder."""
        return shlex.join(["imgcache", "rewrite", *map(str, filter(None, (self.built, self.site)))])

    @property
    def audit(self) -> str:
        """The command that judges the folder."""
        here = Path.cwd()
        root = [] if self.root.resolve() == here else [os.path.relpath(self.root.resolve(), here)]
        return shlex.join(["imgcache", "audit", *root, "--built", str(self.built)])


def print_report(
    report: RewriteReport, command: RewriteCommand, console: Console, *, quiet: bool, verbose: bool
) -> None:
    """Print the report of a rewrite; only its problems with `quiet`."""
    print_problems(report.problems, console, verbose=verbose)
    if quiet:
        return
    if report.problems:
        print_line()
    rows = dict(_counts(report, is_check=command.is_check))
    width = max(map(len, rows))
    for name, value in rows.items():
        print_line(f"{name:>{width}}  {value}", color="red" if name == "failed" and report.failed else None)
    print_line()
    for number, text in enumerate(conclusion(report, command)):
        color = "green" if not (number or report.left) else None
        for line in console.wrap(text, hanging=2):
            print_line(line, color=color, bold=not number)


def _counts(report: RewriteReport, *, is_check: bool) -> Iterator[tuple[str, str]]:
    would = "would be " if report.dry_run else ""
    yield "pages", f"{report.pages:,}" + ("" if is_check else f", {report.changed:,} of them {would}changed")
    yield "references", f"{report.references:,} to {plural(report.images, 'remote image')}"
    if not is_check:
        yield f"{would}rewritten", f"{report.rewritten:,}"
        yield "left", f"{report.left:,}"
        yield f"{would}fetched", f"{report.fetched:,}"
        yield "failed", f"{report.failed:,}"
    yield "time", format_seconds(report.seconds)


def conclusion(report: RewriteReport, command: RewriteCommand) -> Iterator[str]:
    """Yield the verdict, and the next command where there is one."""
    does = "would load" if report.dry_run and report.changed else "load"
    if report.left:
        places = plural(report.left, "place still loads its image", "places still load their images")
        yield f"{places} from other hosts."
    else:
        yield f"The pages {does} no remote image."
    codes = Counter(problem.code for problem in report.problems)
    if codes["remote-image"]:
        images = plural(codes["remote-image"], "image")
        yield f"Next: `{command.rewrite}` makes {images} local."
    elif codes["not-held"]:
        images = plural(codes["not-held"], "image")
        yield f"Next: `{command.rewrite}`, without --offline, fetches {images} and makes these places local."
    elif report.dry_run and not command.is_check and (report.changed or report.fetched):
        yield f"Next: `{command.rewrite}` does this."
    elif report.left:
        yield "Next: `imgcache show URL` tells what is known of one image; the next run tries them again."
    elif not report.dry_run:
        yield f"Next: publish the folder; `{command.audit}` finds what else readers load."
