"""Prints the report of a sync for people: problems, counts, the verdict, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from imgcache.cli.output import print_line
from imgcache.cli.problems import print_problems
from imgcache.core import Console, Severity, clean_text, format_bytes, format_seconds, format_times, plural
from imgcache.syncer import SlowHost, SyncReport

_HOSTS_SHOWN = 3
_OF_NETWORK = frozenset({"connect", "dns", "host-down", "timeout"})
# Where the generators write their pages, if their settings do not say otherwise.
_BUILT = {
    "jekyll": "_site",
    "hugo": "public",
    "eleventy": "_site",
    "mkdocs": "site",
    "zensical": "site",
    "astro": "dist",
    "hexo": "public",
    "vitepress": ".vitepress/dist",
    "docusaurus": "build",
    "pelican": "output",
    "sphinx": "_build/html",
    "gatsby": "public",
}


def print_report(report: SyncReport, console: Console, *, generator: str, quiet: bool, verbose: bool) -> None:
    """Print the report of a sync; only its problems with `quiet`. `generator` is its name, if it is known."""
    print_problems(report.problems, console, verbose=verbose)
    if quiet:
        return
    if report.problems:
        print_line()
    for line in _counts(report, console):
        print_line(line)
    print_line()
    if unread := report.unread.describe():
        for line in console.wrap(unread, hanging=2):
            print_line(console.paint(line, "yellow"))
    is_well = report.is_well and not any(problem.severity is Severity.WARNING for problem in report.problems)
    for number, text in enumerate(conclusion(report, generator)):
        for line in console.wrap(text, hanging=2):
            print_line(console.paint(line, "green" if is_well and not number else None, bold=not number))


def _counts(report: SyncReport, console: Console) -> Iterator[str]:
    would = "would be " if report.dry_run else ""
    sizes = [("sizes", f"{report.sizes_fixed:,} {would}fixed")] if report.sizes_fixed else []
    rows = (
        ("articles", f"{report.articles:,}"),
        ("references", f"{report.references:,}"),
        ("images", f"{report.images:,}, {report.cached:,} of them {would}cached"),
        (f"{would}fetched", f"{report.fetched:,} ({format_bytes(report.bytes_fetched)})"),
        (f"{would}revalidated", f"{report.revalidated:,}"),
        ("reused", f"{report.reused:,}"),
        ("failed", f"{report.failed:,}"),
        ("flags", f"{report.flags_set:,} {would}set, {report.flags_cleared:,} {would}cleared"),
        *sizes,
        *(("slow", text) for text in slow_lines(report.slow_hosts)),
        ("time", format_seconds(report.seconds)),
    )
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        color = "red" if name == "failed" and report.failed else None
        yield from (console.paint(line, color) for line in console.wrap(f"{name:>{width}}  {value}", 0, width + 2))


def slow_lines(hosts: Mapping[str, SlowHost], shown: int = _HOSTS_SHOWN) -> Iterator[str]:
    """Yield a line for each of the slowest hosts, with the reason, and one with the number of further hosts."""
    slowest = sorted(hosts, key=lambda host: (-hosts[host].waited, -hosts[host].timeouts, host))
    for name in slowest[:shown]:
        host = hosts[name]
        causes = [f"busy (429 or 503) {format_times(host.busy)}"] if host.busy else []
        causes += [f"timed out {format_times(host.timeouts)}"] if host.timeouts else []
        yield f"{clean_text(name, 80)}: {', '.join(causes)}; its images waited {format_seconds(host.waited)} in all"
    if len(slowest) > shown:
        yield f"and {plural(len(slowest) - shown, 'more host')}"


def conclusion(report: SyncReport, generator: str = "") -> Iterator[str]:
    """Yield the verdict, what to do first where something is wrong, and the next command."""
    counts = Counter(problem.severity for problem in report.problems)
    wrong = [plural(counts[one], one.value) for one in (Severity.ERROR, Severity.WARNING) if counts[one]]
    verdict = "; ".join(filter(None, (", ".join(wrong), _images(report))))
    yield f"{verdict[0].upper()}{verdict[1:]}."
    yield from _first(report)
    if report.dry_run:
        yield "Next: `imgcache sync` does this."
    elif report.failed:
        yield "Next: `imgcache sync --only-failed` tries the failed images again."
    elif report.cached:
        folder = _BUILT.get(generator, "BUILT")
        yield f"Next: build the site; `imgcache rewrite {folder}` then makes its pages load these images."


def _images(report: SyncReport) -> str:
    would = "would be" if report.dry_run else "is" if report.images == 1 else "are"
    if not report.images:
        return "the articles name no remote image"
    if report.images == 1:
        return f"the image {would}{'' if report.cached else ' not'} cached"
    if report.cached == report.images:
        return f"all {report.images:,} images {would} cached"
    return f"{report.cached:,} of {report.images:,} images {would} cached"


def _first(report: SyncReport) -> Iterator[str]:
    """Yield what to do about the most frequent error."""
    causes = Counter(
        (problem.code, problem.status or None) for problem in report.problems if problem.severity is Severity.ERROR
    )
    if not causes:
        return
    if not report.fetched + report.revalidated and {code for code, _ in causes} <= _OF_NETWORK:
        yield "First: check the network, the proxy and the DNS of this machine, for no server answered."
        return
    from imgcache.auditor import remedy_of  # only where something is wrong

    (code, status), count = causes.most_common(1)[0]
    yield f"First, {code} ({count:,}): {remedy_of(code, status)}."
