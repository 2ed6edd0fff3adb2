"""Prints results for people: counts, and problems grouped by cause and host, each with a place to open."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click
import msgspec

from imgcache.core import (
    Place,
    Problem,
    Severity,
    clean_text,
    format_bytes,
    format_seconds,
    format_times,
    host_if_any,
    log_safety,
    plural,
    redact,
)
from imgcache.syncer import SlowHost, SyncReport

if TYPE_CHECKING:
    from imgcache.wiring import Workspace

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}
_PLACES_SHOWN = 3
_HOSTS_SHOWN = 3


def print_line(text: str = "", *, color: str | None = None, bold: bool = False, dim: bool = False) -> None:
    """Print one line on standard output. Colours appear on a terminal only, and not where NO_COLOR is set."""
    plain = bool(os.environ.get("NO_COLOR"))
    click.echo(text if plain else click.style(text, fg=color, bold=bold or None, dim=dim or None))


def print_note(text: str) -> None:
    """Print one line on standard error that is not an error: standard output is for results."""
    click.echo(f"imgcache: {text}", err=True)


def print_generators(workspaces: Sequence[Workspace]) -> None:
    """Print one line on standard error for each site whose generator is known."""
    for workspace in workspaces:
        if description := workspace.layout.description:
            site = f"{workspace.root}: " if len(workspaces) > 1 else ""
            print_note(clean_text(site + description, 300))


def print_json(found: object) -> None:
    """Print one JSON object on a line of standard output, always in UTF-8."""
    try:
        text = msgspec.json.encode(found).decode()
    except UnicodeEncodeError:  # a file name that is not UTF-8 needs escapes (RFC 8259, section 8.2)
        text = json.dumps(msgspec.to_builtins(found), ensure_ascii=True, separators=(",", ":"))
    print_bytes(log_safety.safe_json(text).encode() + b"\n")


def print_bytes(data: bytes) -> None:
    """Print bytes as they are: the caller escapes what would act on a terminal or in a log."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_report(report: SyncReport, *, quiet: bool, dry_run: bool) -> None:
    """Print the report of a sync."""
    print_problems(report.problems)
    if quiet:
        return
    if report.problems:
        print_line()
    would = "would be " if dry_run else ""
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
        print_line(f"{name:>{width}}  {value}", color="red" if name == "failed" and report.failed else None)
    if unread := report.unread.describe():
        print_line(unread, color="yellow")


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


def print_problems(problems: Iterable[Problem]) -> None:
    """Print each cause, below it each host, and below that each image with the lines to open."""
    by_cause = sorted(problems, key=lambda problem: (problem.severity is not Severity.ERROR, _cause(problem)))
    for (severity, code), group in groupby(by_cause, key=lambda problem: (problem.severity, problem.code)):
        same = list(group)
        print_line(f"{severity.value}: {code} ({len(same):,})", color=_COLORS[severity], bold=True)
        for host, images in groupby(same, key=_host):
            if host:
                print_line(f"  {host}", bold=True)
            for problem in images:
                _print_problem(problem)


def _print_problem(problem: Problem) -> None:
    places = problem.references
    if problem.url is None:
        for place in places:
            print_line(f"  {_where(place)}")
        print_line(f"    {problem.message}", dim=True)
        return
    print_line(f"    {redact(problem.url)}")
    print_line(f"      {problem.message}", dim=True)
    for line in places_lines(places):
        print_line(f"      {line}")


def places_lines(places: tuple[Place, ...], shown: int = _PLACES_SHOWN) -> Iterator[str]:
    """Yield the first places, and how many more there are."""
    yield from (_where(place) for place in places[:shown])
    if len(places) > shown:
        yield f"and {len(places) - shown:,} more"


def _where(place: Place) -> str:
    return f"{clean_text(place.article, 300)}:{place.line}:{place.column}"


def _cause(problem: Problem) -> tuple[str, str, str]:
    return (problem.code, _host(problem), problem.url or "")


def _host(problem: Problem) -> str:
    return host_if_any(problem.url) if problem.url else ""
