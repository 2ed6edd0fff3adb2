"""`imgcache status`: how things stand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache import health, quarantine
from imgcache.cli.options import common, now, open_ground, site_argument
from imgcache.cli.output import print_problems, say
from imgcache.health import State
from imgcache.models import Place, Problem, Severity
from imgcache.quantities import format_bytes
from imgcache.store import Usage
from imgcache.urls import without_credentials
from imgcache.wiring import parts


class Failing(msgspec.Struct, frozen=True):
    """One URL that fails: a problem as `sync` lists it, and its past. Times in seconds since the epoch.

    `is_held`: an older copy is there, and stays. `next_ask` is None where every sync asks.
    """

    code: str
    url: str
    message: str
    retryable: bool
    state: State
    is_held: bool
    first_failure: float
    last_failure: float
    failures: int
    last_good: float | None
    next_ask: float | None
    references: tuple[Place, ...]
    status: int | msgspec.UnsetType = msgspec.UNSET


class Status(msgspec.Struct, frozen=True):
    """How a site and its cache stand. `missing` images are neither held nor known to fail: a sync fetches them.

    `failing` are not held; `failures` lists them, and those whose refresh fails. `states` counts all remote images;
    `quarantined` are held, and what came since is doubtful.
    """

    articles: int
    references: int
    images: int
    cached: int
    missing: int
    failing: int
    forgotten: int
    files: int
    bytes: int
    quarantined: int
    states: dict[State, int]
    failures: tuple[Failing, ...]


@click.command(short_help="Say what is cached, missing and failing, and how large it is.")
@site_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def status(site: Path, *, as_json: bool, **options: Any) -> None:
    """Say what is cached, missing and failing, and how large it is. Touches nothing, asks no server."""
    with parts.reader(open_ground(site, options)) as house:
        house.scanner.scan(house.catalogue)
        found = _status(house, now())
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return
    print_problems(_problem(one) for one in found.failures)
    if found.failures:
        say()
    say(f"{found.articles:,} articles name {found.images:,} remote images in {found.references:,} references")
    say(f"{found.cached:,} cached, {found.missing:,} missing, {found.failing:,} failing, {found.forgotten:,} forgotten")
    say(", ".join(f"{found.states[state]:,} {state}" for state in State if found.states[state]) or "nothing tried yet")
    if found.quarantined:
        say(f"{found.quarantined:,} quarantined: see `imgcache quarantine list`", color="yellow")
    say(f"{found.files:,} files, {format_bytes(found.bytes)}")


def _status(house: parts.House, clock: float) -> Status:
    counts = house.catalogue.counts()
    cached = failing = forgotten = 0
    for url in house.catalogue.remote_urls():
        if house.index.copy(url) is not None:
            cached += 1
        elif house.index.forgotten(url):
            forgotten += 1
        elif house.index.failure(url):
            failing += 1
    failures = tuple(_failures(house, clock))
    usage: Usage = house.store.usage()
    return Status(
        articles=counts["articles"],
        references=counts["references"],
        images=counts["images"],
        cached=cached,
        missing=counts["images"] - cached - failing - forgotten,
        failing=failing,
        forgotten=forgotten,
        files=usage.files,
        bytes=usage.bytes,
        quarantined=sum(1 for _ in quarantine.problems(house.index, house.catalogue)),
        states=_states(house, clock, failures, tried=cached + failing),
        failures=failures,
    )


def _states(house: parts.House, clock: float, failures: tuple[Failing, ...], *, tried: int) -> dict[State, int]:
    states = dict.fromkeys(State, 0)
    for one in failures:
        states[one.state] += 1
    for url, past in house.index.healths():
        is_well = house.index.failure(url) is None and house.catalogue.is_used(url)
        states[State.FLAKY] += is_well and health.state(None, past, clock) is State.FLAKY
    states[State.OK] = tried - sum(states.values())
    return states


def _failures(house: parts.House, clock: float) -> Iterator[Failing]:
    """Every URL of an article that fails, in order."""
    for url, failure in house.index.failures():
        places = house.catalogue.places(url)
        if places:
            past = house.index.health(url)
            yield Failing(
                code=failure.code,
                url=without_credentials(url),
                message=failure.message,
                retryable=failure.retryable,
                state=health.state(failure, past, clock),
                is_held=house.index.copy(url) is not None,
                first_failure=failure.first_at,
                last_failure=failure.last_at,
                failures=failure.count,
                last_good=failure.last_good,
                next_ask=health.next_ask(failure),
                references=places,
                status=msgspec.UNSET if failure.status is None else failure.status,
            )


def _problem(one: Failing) -> Problem:
    since = f"{one.state} since {health.day(one.first_failure)}, {one.failures} times"
    good = f", last good {health.day(one.last_good)}" if one.last_good is not None else ""
    severity = Severity.WARNING if one.is_held else Severity.ERROR
    return Problem(one.code, one.url, f"{one.message}; {since}{good}", severity=severity, references=one.references)
