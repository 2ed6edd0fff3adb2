"""`imgcache status`: how things stand."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache import health, plan, quarantine
from imgcache.catalogue import Settled
from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import common, now, open_ground, site_argument
from imgcache.cli.output import print_json, print_problems, say
from imgcache.config import Config
from imgcache.errors import ImageError
from imgcache.models import Failure, Place, Problem, Severity, State
from imgcache.plan import Wish
from imgcache.quantities import format_bytes, plural
from imgcache.urls import without_credentials
from imgcache.wiring import parts

_logger = logging.getLogger(__name__)


class Failing(msgspec.Struct, frozen=True):
    """One URL that fails: a problem as `sync` lists it, and its past. Times in seconds since the epoch.

    `is_held`: an older copy is there with all its files, and stays. `next_ask` is None where every sync asks.
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
    """How a site and its cache stand. `cached` images have their original and every variant on disk.

    `missing` images are neither that nor known to fail: a sync brings them. `failing` are not held; `failures` lists
    them, and those whose refresh fails. `states` counts the remote images that were tried; `quarantined` are held, and
    what came since is doubtful. `unreadable` are articles, each a problem as `sync` lists it.
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
    unreadable: tuple[Problem, ...]


@click.command(short_help="Say what is cached, missing and failing, and how large it is.")
@site_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def status(site: Path, *, as_json: bool, **options: Any) -> None:
    """Say what is cached, missing and failing, and how large it is. Touches nothing, asks no server.

    With -v it says which protections the workers that decode images are under on this machine.

    Exit status: 1 where an image fails that is not held, or an article cannot be read; each is listed.
    """
    ground = open_ground(site, options)
    with parts.reader(ground) as house:
        house.scanner.scan(house.catalogue)
        found = _status(house, ground.config, now())
    problems = [*(_problem(one) for one in found.failures), *found.unreadable]
    if options.get("verbose"):
        _logger.info("render workers: %s", asyncio.run(_protections()))
    if as_json:
        print_json(found)
    else:
        _print(found, problems)
    sys.exit(EXIT_PROBLEMS if any(problem.severity is Severity.ERROR for problem in problems) else 0)


async def _protections() -> str:
    """What the workers that decode images are under on this machine; one is started to say so."""
    from imgcache.render_pool import RenderPool

    async with RenderPool(1) as pool:
        try:
            return str(await pool.protections())
        except ImageError as error:
            return error.message


def _print(found: Status, problems: Sequence[Problem]) -> None:
    print_problems(problems)
    if problems:
        say()
    articles = plural(found.articles, "article")
    verb = "names" if found.articles == 1 else "name"
    images, references = plural(found.images, "remote image"), plural(found.references, "reference")
    say(f"{articles} {verb} {images} in {references}")
    say(f"{found.cached:,} cached, {found.missing:,} missing, {found.failing:,} failing, {found.forgotten:,} forgotten")
    say(", ".join(f"{found.states[state]:,} {state}" for state in State if found.states[state]) or "nothing tried yet")
    if found.quarantined:
        say(f"{found.quarantined:,} quarantined: see `imgcache quarantine list`", color="yellow")
    say(f"{plural(found.files, 'file')}, {format_bytes(found.bytes)}")


def _status(house: parts.House, config: Config, clock: float) -> Status:
    wish = Wish.for_variants(config.variants)
    failures = dict(house.index.failures())
    flaky = {url for url, past in house.index.healths() if health.state(None, past, clock) is State.FLAKY}
    listed: list[Failing] = []
    states = dict.fromkeys(State, 0)
    cached = failing = forgotten = 0
    for settled in house.catalogue.remote():
        url = house.catalogue.url(settled.image)
        is_held = _is_held(house, url, settled, wish)
        cached += is_held
        if failure := failures.get(url):
            failing += not is_held
            listed.append(_failing(house, url, failure, clock, is_held=is_held))
            states[listed[-1].state] += 1
        elif url in flaky or is_held:
            states[State.FLAKY if url in flaky else State.OK] += 1
        elif house.index.forgotten(url):
            forgotten += 1
    counts, usage = house.catalogue.counts(), house.store.usage()
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
        states=states,
        failures=tuple(sorted(listed, key=lambda one: one.url)),
        unreadable=tuple(house.catalogue.unreadable()),
    )


def _is_held(house: parts.House, url: str, settled: Settled, wish: Wish) -> bool:
    """Whether the original and every variant that is wished are on disk.

    Where the last sync found them, and noted a stamp that the files still have, one `stat` says so.
    """
    copy = house.index.copy(url)
    if copy is None or (stamp := house.store.stamp(copy.digest)) is None:
        return False
    if (settled.digest, settled.stamp, settled.recipes) == (copy.digest, stamp, " ".join(wish.recipes)):
        return True
    asset = house.index.asset(copy.digest)
    return asset is not None and plan.is_in_full(asset, house.store.missing(asset), wish.aimed(settled.focus))


def _failing(house: parts.House, url: str, failure: Failure, clock: float, *, is_held: bool) -> Failing:
    return Failing(
        code=failure.code,
        url=without_credentials(url),
        message=failure.message,
        retryable=failure.retryable,
        state=health.state(failure, house.index.health(url), clock),
        is_held=is_held,
        first_failure=failure.first_at,
        last_failure=failure.last_at,
        failures=failure.count,
        last_good=failure.last_good,
        next_ask=health.next_ask(failure),
        references=house.catalogue.places(url),
        status=msgspec.UNSET if failure.status is None else failure.status,
    )


def _problem(one: Failing) -> Problem:
    since = f"{one.state} since {health.day(one.first_failure)}, {plural(one.failures, 'time')}"
    good = f", last good {health.day(one.last_good)}" if one.last_good is not None else ""
    severity = Severity.WARNING if one.is_held else Severity.ERROR
    return Problem(one.code, one.url, f"{one.message}; {since}{good}", severity=severity, references=one.references)
