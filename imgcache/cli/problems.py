"""Prints problems: each cause, below it each host, and below that the first images and places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from imgcache.cli.output import print_line
from imgcache.core import Console, Place, Problem, Severity, clean_text, host_if_any, plural, redact

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}
_IMAGES_SHOWN = 5  # of one host and cause
_PLACES_SHOWN = 3
_MESSAGE = 1000  # characters


def print_problems(problems: Iterable[Problem], console: Console, *, verbose: bool) -> None:
    """Print problems; all images and places of them with `verbose`, else the first."""
    for line in problem_lines(problems, console, verbose=verbose):
        print_line(line)


def problem_lines(problems: Iterable[Problem], console: Console, *, verbose: bool) -> Iterator[str]:
    """Yield the lines of `print_problems`."""
    ordered = sorted(problems, key=_order)
    for (severity, code), group in groupby(ordered, key=lambda problem: (problem.severity, problem.code)):
        same = list(group)
        yield console.paint(f"{severity.value}: {code} ({len(same):,})", _COLORS[severity], bold=True)
        shared = _shared_message(same) if _host(same[0]) != _host(same[-1]) else ""
        if shared:
            yield from _message(shared, 2, console)
        for host, found in groupby(same, key=_host):
            yield from _of_host(host, list(found), console, has_message=not shared, verbose=verbose)


def _of_host(host: str, found: list[Problem], console: Console, *, has_message: bool, verbose: bool) -> Iterator[str]:
    """Yield the problems of one host and cause; with messages, one that they share is said once."""
    indent = 2
    if host:
        count = f": {plural(len(found), 'image')}" if len(found) > 1 else ""
        yield console.paint(f"  {host}{count}", bold=True)
        indent = 4
    shared = _shared_message(found) if has_message else ""
    if shared:
        yield from _message(shared, indent, console)
    shown = found if verbose else found[:_IMAGES_SHOWN]
    for problem in shown:
        yield from _problem(problem, indent, console, has_message=has_message and not shared, verbose=verbose)
    if len(found) > len(shown):
        more = f"and {len(found) - len(shown):,} more; -v lists all"
        yield console.paint(" " * indent + more, dim=True)


def _shared_message(problems: Sequence[Problem]) -> str:
    return problems[0].message if len(problems) > 1 and len({one.message for one in problems}) == 1 else ""


def _problem(problem: Problem, indent: int, console: Console, *, has_message: bool, verbose: bool) -> Iterator[str]:
    below = indent + 2
    if problem.url is not None:
        yield " " * indent + redact(problem.url, 500)
        if has_message:
            yield from _message(problem.message, below, console)
        yield from places_lines(problem.references, console, below, verbose=verbose)
        return
    yield from places_lines(problem.references, console, indent, verbose=verbose)
    if has_message:
        yield from _message(problem.message, below, console)


def _message(text: str, indent: int, console: Console) -> Iterator[str]:
    return (console.paint(line, dim=True) for line in console.wrap(clean_text(text, _MESSAGE), indent))


def places_lines(
    places: Sequence[Place], console: Console, indent: int = 0, *, shown: int = _PLACES_SHOWN, verbose: bool = False
) -> Iterator[str]:
    """Yield a line for each of the first places, and one with the number of further places."""
    first = places if verbose else places[:shown]
    yield from (" " * indent + console.place(place) for place in first)
    if len(places) > len(first):
        yield " " * indent + f"and {plural(len(places) - len(first), 'more place')}"


def _order(problem: Problem) -> tuple[int, str, str, str]:
    return (_ORDER[problem.severity], problem.code, _host(problem), problem.url or "")


def _host(problem: Problem) -> str:
    return host_if_any(problem.url) if problem.url else ""
