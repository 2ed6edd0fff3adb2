"""`imgcache audit`: lists what is broken, where, since when, and what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from imgcache.auditor import Baseline, git_prefix, git_revision, reports
from imgcache.cli.console import console_for
from imgcache.cli.exit_codes import EXIT_INTERRUPTED, EXIT_PROBLEMS
from imgcache.cli.job import run_job
from imgcache.cli.options import NO_PREFIX, common, examples, logger, now, open_workspace, site_argument
from imgcache.cli.output import print_bytes, print_note
from imgcache.cli.progress import progress_for
from imgcache.core import AuditReport, ConfigError, clean_text, documentation_url, log_safety, plural, replace_file
from imgcache.policy import format_day
from imgcache.wiring import AuditRequest, Workspace, fix_articles, prepare_audit

if TYPE_CHECKING:
    from imgcache.auditor import FixResult

# Variables that GitHub Actions and most others, Azure Pipelines, and TeamCity set.
_BUILD_SERVERS = ("CI", "TF_BUILD", "TEAMCITY_VERSION")
_REQUESTED = ("offline", "fix", "connect_to", "dask", "built")
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    short_help="List what is broken, where, since when, and what to do.",
    epilog=examples(
        "imgcache audit",
        "imgcache audit --since origin/main",
        "imgcache audit --format html --output audit.html",
    ),
)
@site_argument
@click.option("--format", "form", type=click.Choice(reports.FORMATS), help="Default: text.")
@click.option("--output", type=_FILE, metavar="FILE", help="Write the report there instead of printing it.")
@click.option("--offline", is_flag=True, help="Check own files, flags and cache only; change nothing.")
@click.option("--since", metavar="REV", help="Findings that this git revision had are reported apart, and do not fail.")
@click.option("--baseline", type=_FILE, metavar="FILE", help="The same for findings that an earlier JSON report has.")
@click.option(
    "--built",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Judge what readers get by these built pages: other hosts, alternative texts, sizes.",
)
@click.option("--fix", is_flag=True, help="Write certain corrections into the articles: true sizes, new addresses.")
@click.option(
    "--diff", is_flag=True, help="Print these corrections as a patch for `git apply -p1` instead of the report."
)
@click.option("--connect-to", multiple=True, metavar="HOST:PORT:HOST2:PORT2", help="As curl's; repeatable.")
@click.option(
    "--dask", metavar="ADDRESS", help="A Dask scheduler whose workers do the work; local:N for N processes here."
)
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@common
def audit(site: Path, *, as_json: bool, **options: Any) -> None:
    """Check every image reference of SITE, remote and own, and store no image.

    Exit status: 0 no error, or none that is new; 1 there are errors; 2 it could not start; 3 another run holds the
    cache; 130 interrupted, finished checks are kept. With --quiet, the text report only counts the findings that
    --since or --baseline set apart.
    """
    form = _form(options["form"], as_json=as_json, fix=options["fix"], diff=options["diff"])
    _check_folder(options["output"])
    workspace = open_workspace(site, options)
    before = Baseline(
        workspace.site,
        since=options["since"],
        baseline=options["baseline"],
    )
    request = AuditRequest.from_options(**{name: options[name] for name in _REQUESTED})
    progress = progress_for(quiet=options["quiet"] or form != "text")
    patch: bytes | None = None
    with prepare_audit(workspace, request, progress, now) as (cache, auditor):
        with progress:
            is_interrupted = run_job(auditor.run)
        assert auditor.audit is not None  # noqa: S101 (it ran, to its end or not)
        found = before.mark(auditor.audit)
        if options["diff"]:
            from imgcache.auditor import fixes

            patch, fixed = fixes.patch(found.findings, site=cache.site, digest=cache.catalogue.articles.digest)
            _check_patch(patch, options["output"])
            _print_fixed(fixed, "would be")
        elif request.fix and not is_interrupted:
            found, fixed = fix_articles(found, cache)
            _print_fixed(fixed, "were")
        if form == "junit":  # the only format with an entry for each image
            found = msgspec.structs.replace(found, images=tuple(cache.catalogue.images.audited_urls()))
    is_compared = options["since"] is not None or options["baseline"] is not None
    words = {"is_compared": is_compared, "is_quiet": options["quiet"], "is_verbose": options["verbose"]}
    report = _render(found, form, workspace, options["output"], **words) if patch is None else patch
    _print(report, options["output"])
    if is_interrupted:
        logger.error("interrupted; finished checks are kept")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0 if found.passes else EXIT_PROBLEMS)


def _form(form: str | None, *, as_json: bool, fix: bool, diff: bool) -> str:
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form}: give one of them")
    if fix and diff:
        raise click.UsageError("--fix writes, and --diff does not: give one of them")
    return "json" if as_json else form or "text"


def _check_folder(output: Path | None) -> None:
    """Refuse a missing folder before the work, not after it."""
    if output is not None and not output.parent.is_dir():
        raise click.BadParameter(f"there is no folder {clean_text(str(output.parent), 300)}", param_hint="--output")


def _check_patch(patch: bytes, output: Path | None) -> None:
    """Refuse to print a patch with lines that act on a terminal or in a log: its bytes cannot be escaped."""
    is_log = sys.stdout.isatty() or any(os.environ.get(name) for name in _BUILD_SERVERS)
    if output is None and is_log and log_safety.has_commands(patch.decode(errors="replace")):
        message = "the patch has lines that a terminal or a build server would act on: write it with --output FILE"
        raise ConfigError(message, where="--diff")


def _render(
    found: AuditReport,
    form: str,
    workspace: Workspace,
    output: Path | None,
    *,
    is_compared: bool,
    is_quiet: bool,
    is_verbose: bool,
) -> bytes:
    console = console_for(workspace.root, is_to_file=output is not None)
    context = reports.ReportContext(
        root=workspace.root,
        cache=workspace.cache,
        color=console.color,
        hyperlinks=console.hyperlinks,
        width=console.width,
        prefix=git_prefix(workspace.root),
        is_compared=is_compared,
        shows_old=not is_quiet,
        shows_all=is_verbose or output is not None,
        documentation=documentation_url(),
        title=workspace.layout.title,
        date=format_day(now()),
        revision=git_revision(workspace.root) if form == "html" else "",
    )
    return reports.render(form, found, context).encode("utf-8", "replace")


def _print(report: bytes, output: Path | None) -> None:
    """Print to standard output, or replace a file in one step."""
    if output is None:
        print_bytes(report)
        return
    replace_file(output, report, temporary_name=f".{output.name}.imgcache")


def _print_fixed(fixed: FixResult, verb: str) -> None:
    """Print what was corrected on standard error, for standard output has the report."""
    counts = [plural(fixed.urls, "address", "addresses"), plural(fixed.sizes, "size")]
    what = f"{' and '.join(counts)} in {plural(fixed.articles, 'article')} {verb} corrected"
    hint = (
        "; run `imgcache sync` to update the flags of images that have moved" if verb == "were" and fixed.urls else ""
    )
    print_note(f"{what}{hint}")
    for problem in fixed.problems:
        for place in problem.references:
            where = f"{clean_text(place.article, 300)}:{place.line}:{place.column}"
            logger.warning("%s: %s", where, problem.message, extra=NO_PREFIX)
