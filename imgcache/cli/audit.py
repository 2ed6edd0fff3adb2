"""`imgcache audit`: what is broken, where, since when, and what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from imgcache.auditor import Baseline, git_prefix, remaining_findings, reports
from imgcache.cli import EXIT_INTERRUPTED, EXIT_PROBLEMS
from imgcache.cli.job import run_job
from imgcache.cli.options import NO_PREFIX, common, logger, now, open_workspace, site_argument
from imgcache.cli.output import print_bytes, say_aside
from imgcache.cli.progress import progress_for
from imgcache.core import AuditReport, ConfigError, clean_text, plural, replace_file
from imgcache.core import log_safety as logsafe
from imgcache.downloader import ConnectTo
from imgcache.scanner import Site
from imgcache.wiring import Workspace
from imgcache.wiring import audit as auditing
from imgcache.wiring import open_cache as parts

if TYPE_CHECKING:
    from imgcache.auditor import FixResult

# Set by GitHub Actions and most others; by Azure Pipelines; by TeamCity.
_BUILD_SERVERS = ("CI", "TF_BUILD", "TEAMCITY_VERSION")
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Say what is broken, where, since when, and what to do.")
@site_argument
@click.option("--format", "form", type=click.Choice(reports.FORMS), help="Default: text.")
@click.option("--output", type=_FILE, metavar="FILE", help="Write the report there instead of printing it.")
@click.option("--offline", is_flag=True, help="Own files, flags and cache only; touches nothing.")
@click.option("--since", metavar="REV", help="What this revision of git had is reported apart, and does not fail.")
@click.option("--baseline", type=_FILE, metavar="FILE", help="The same for what an earlier JSON report has.")
@click.option("--fix", is_flag=True, help="Write what is certain into the articles: true sizes, new addresses.")
@click.option("--diff", is_flag=True, help="Print that as a patch for `git apply -p1` instead of the report.")
@click.option("--connect-to", multiple=True, metavar="HOST:PORT:HOST2:PORT2", help="As curl's; repeatable.")
@click.option("--dask", metavar="ADDRESS", help="A Dask scheduler whose workers do it; local:N for N processes here.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@common
def audit(site: Path, connect_to: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Check every image reference of SITE, remote and own, and store no image.

    Exit status: 0 no error, or none that is new; 1 there are errors; 2 it could not start; 3 another run holds the
    cache; 130 interrupted, what was learned is kept. With --quiet, the text report only counts what --since or
    --baseline set apart.
    """
    form = _form(options["form"], as_json=as_json, fix=options["fix"], diff=options["diff"])
    _check_folder(options["output"])
    ground = open_workspace(site, options)
    before = Baseline(Site(ground.root, ground.config.site_url), since=options["since"], baseline=options["baseline"])
    request = auditing.AuditRequest(
        offline=options["offline"],
        fix=options["fix"],
        connect_to=tuple(ConnectTo.parse(text) for text in connect_to),
        dask=options["dask"],
    )
    progress = progress_for(quiet=options["quiet"] or form != "text")
    patch: bytes | None = None
    with auditing.prepare_audit(ground, request, progress, now) as (house, auditor):
        with progress:
            was_cut_short = run_job(auditor.run)
        assert auditor.audit is not None  # noqa: S101 (it ran, to its end or not)
        found = before.mark(auditor.audit)
        if options["diff"]:
            from imgcache.auditor import fixes

            patch, fixed = fixes.patch(found.findings, root=house.site.root, digest=house.catalogue.articles.digest)
            _check_patch(patch, options["output"])
            _tell(fixed, "would be")
        elif request.fix and not was_cut_short:
            fixed = _fix(found, house)
            _tell(fixed, "were")
            found = remaining_findings(found, {place for problem in fixed.problems for place in problem.references})
        if form == "junit":  # which has a case for each image, and is the only one that does
            found = msgspec.structs.replace(found, images=tuple(house.catalogue.images.audited_urls()))
    is_compared = options["since"] is not None or options["baseline"] is not None
    words = {"is_compared": is_compared, "is_quiet": options["quiet"]}
    report = _render(found, form, ground, options["output"], **words) if patch is None else patch
    _print(report, options["output"])
    if was_cut_short:
        logger.error("interrupted; what was learned is kept")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0 if found.is_well else EXIT_PROBLEMS)


def _form(form: str | None, *, as_json: bool, fix: bool, diff: bool) -> str:
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form}: give one of them")
    if fix and diff:
        raise click.UsageError("--fix writes, and --diff does not: give one of them")
    return "json" if as_json else form or "text"


def _check_folder(output: Path | None) -> None:
    """Before the work, not after it."""
    if output is not None and not output.parent.is_dir():
        raise click.BadParameter(f"there is no folder {clean_text(str(output.parent), 300)}", param_hint="--output")


def _check_patch(patch: bytes, output: Path | None) -> None:
    """A patch has the lines of articles, whose bytes have to be exact: a log is no place for some of them."""
    is_log = sys.stdout.isatty() or any(os.environ.get(name) for name in _BUILD_SERVERS)
    if output is None and is_log and logsafe.acts(patch.decode(errors="replace")):
        message = "the patch has lines that a terminal or a build server would act on: write it with --output FILE"
        raise ConfigError(message, where="--diff")


def _fix(found: AuditReport, house: parts.OpenCache) -> FixResult:
    from imgcache.auditor import fixes

    digest = house.catalogue.articles.digest
    return fixes.apply(found.findings, root=house.site.root, manifest=house.manifest, digest=digest)


def _render(
    found: AuditReport, form: str, ground: Workspace, output: Path | None, *, is_compared: bool, is_quiet: bool
) -> bytes:
    is_terminal = output is None and sys.stdout.isatty()
    context = reports.ReportContext(
        root=ground.root,
        cache=ground.cache,
        color=is_terminal and not os.environ.get("NO_COLOR"),
        hyperlinks=is_terminal and os.environ.get("TERM", "dumb") not in {"dumb", "linux"},
        prefix=git_prefix(ground.root),
        is_compared=is_compared,
        shows_old=not is_quiet,
    )
    return reports.render(form, found, context).encode("utf-8", "replace")


def _print(report: bytes, output: Path | None) -> None:
    """To standard output, or into a file that appears whole or not at all."""
    if output is None:
        print_bytes(report)
        return
    replace_file(output, report, part=f".{output.name}.imgcache")


def _tell(fixed: FixResult, verb: str) -> None:
    """What was corrected, on standard error: standard output is the report's."""
    said = [plural(fixed.urls, "address", "addresses"), plural(fixed.sizes, "size")]
    what = f"{' and '.join(said)} in {plural(fixed.articles, 'article')} {verb} corrected"
    then = "; run `imgcache sync` for the flags of what has moved" if verb == "were" and fixed.urls else ""
    say_aside(f"{what}{then}")
    for problem in fixed.problems:
        for place in problem.references:
            where = f"{clean_text(place.article, 300)}:{place.line}:{place.column}"
            logger.warning("%s: %s", where, problem.message, extra=NO_PREFIX)
