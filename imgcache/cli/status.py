"""`imgcache status`: shows what is cached, missing and failing."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache.cache import RecordedImage, quarantine
from imgcache.cli.console import console_for
from imgcache.cli.exit_codes import EXIT_PROBLEMS
from imgcache.cli.options import common, examples, now, open_workspace, site_argument
from imgcache.cli.output import print_json, print_line
from imgcache.cli.problems import print_problems
from imgcache.config import Config
from imgcache.core import (
    Failure,
    ImageError,
    Place,
    Problem,
    Severity,
    UrlState,
    format_bytes,
    plural,
    without_credentials,
)
from imgcache.policy import SyncPolicy, health, plan
from imgcache.wiring import OpenCache, open_for_reading

_logger = logging.getLogger(__name__)


class Failing(msgspec.Struct, frozen=True):
    """One URL that fails: the problem as `sync` lists it, and its history. Times in seconds since the epoch.

    `is_held`: an older copy is on disk with all its files. `next_ask` is None where every sync tries it.
    """

    code: str
    url: str
    message: str
    retryable: bool
    state: UrlState
    is_held: bool
    first_failure: float
    last_failure: float
    failures: int
    last_good: float | None
    next_ask: float | None
    references: tuple[Place, ...]
    status: int | msgspec.UnsetType = msgspec.UNSET


class Status(msgspec.Struct, frozen=True):
    """The state of a site and its cache. `cached` images have their original and every variant on disk.

    `missing` images are neither cached nor known to fail: a sync fetches them. `failing` images are not held;
    `failures` lists them, and those whose refresh fails. `states` counts the remote images that were tried.
    `quarantined` images are held, and a newer picture is doubtful. `unreadable` lists articles as `sync` does.
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
    states: dict[UrlState, int]
    failures: tuple[Failing, ...]
    unreadable: tuple[Problem, ...]


@click.command(
    short_help="Show what is cached, missing and failing, and how large it is.",
    epilog=examples("imgcache status", "imgcache status --json"),
)
@site_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def status(site: Path, *, as_json: bool, **options: Any) -> None:
    """Show what is cached, missing and failing, and how large it is. Changes nothing, contacts no server.

    With -v it also shows how the processes that decode images are confined on this machine.

    Exit status: 1 where an image fails that is not held, or an article cannot be read; each is listed.
    """
    workspace = open_workspace(site, options)
    with open_for_reading(workspace) as cache:
        cache.scanner.scan(cache.catalogue)
        found = _status(cache, workspace.config, now())
    problems = [*(_problem(one) for one in found.failures), *found.unreadable]
    if options.get("verbose"):
        _logger.info("render workers: %s", asyncio.run(_protections()))
    if as_json:
        print_json(found)
    else:
        console = console_for(workspace.root)
        print_problems(problems, console, verbose=bool(options.get("verbose")))
        _print(found, has_problems=bool(problems))
    sys.exit(EXIT_PROBLEMS if any(problem.severity is Severity.ERROR for problem in problems) else 0)


async def _protections() -> str:
    """Starts a worker that decodes images, and returns how it is confined."""
    from imgcache.processor import RenderPool

    async with RenderPool(1) as pool:
        try:
            return str(await pool.protections())
        except ImageError as error:
            return error.message


def _print(found: Status, *, has_problems: bool) -> None:
    if has_problems:
        print_line()
    articles = plural(found.articles, "article")
    verb = "names" if found.articles == 1 else "name"
    images, references = plural(found.images, "remote image"), plural(found.references, "reference")
    print_line(f"{articles} {verb} {images} in {references}")
    print_line(
        f"{found.cached:,} cached, {found.missing:,} missing, {found.failing:,} failing, {found.forgotten:,} forgotten"
    )
    print_line(
        ", ".join(f"{found.states[state]:,} {state}" for state in UrlState if found.states[state])
        or "no image was tried yet"
    )
    if found.quarantined:
        print_line(f"{found.quarantined:,} quarantined: see `imgcache quarantine list`", color="yellow")
    print_line(f"{plural(found.files, 'file')}, {format_bytes(found.bytes)}")


def _status(cache: OpenCache, config: Config, clock: float) -> Status:
    policy = SyncPolicy.for_variants(config.variants)
    failures = dict(cache.index.failures())
    flaky = {url for url, past in cache.index.healths() if health.url_state(None, past, clock) is UrlState.FLAKY}
    listed: list[Failing] = []
    states = dict.fromkeys(UrlState, 0)
    cached = failing = forgotten = 0
    for recorded in cache.catalogue.images.remote():
        url = cache.catalogue.images.url(recorded.image)
        is_held = _is_held(cache, url, recorded, policy)
        cached += is_held
        if failure := failures.get(url):
            failing += not is_held
            listed.append(_failing(cache, url, failure, clock, is_held=is_held))
            states[listed[-1].state] += 1
        elif url in flaky or is_held:
            states[UrlState.FLAKY if url in flaky else UrlState.OK] += 1
        elif cache.index.forgotten(url):
            forgotten += 1
    counts, usage = cache.catalogue.articles.counts(), cache.store.usage()
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
        quarantined=sum(1 for _ in quarantine.problems(cache.index, cache.catalogue)),
        states=states,
        failures=tuple(sorted(listed, key=lambda one: one.url)),
        unreadable=tuple(cache.catalogue.articles.unreadable()),
    )


def _is_held(cache: OpenCache, url: str, recorded: RecordedImage, policy: SyncPolicy) -> bool:
    """Whether the original and every configured variant are on disk.

    Where the files still have the stamp that the last sync recorded, one `stat` shows it.
    """
    copy = cache.index.copy(url)
    if copy is None or (stamp := cache.store.stamp(copy.digest)) is None:
        return False
    if (recorded.digest, recorded.stamp, recorded.recipes) == (copy.digest, stamp, " ".join(policy.recipes)):
        return True
    asset = cache.index.asset(copy.digest)
    return asset is not None and plan.is_complete(asset, cache.store.missing(asset), policy.for_focus(recorded.focus))


def _failing(cache: OpenCache, url: str, failure: Failure, clock: float, *, is_held: bool) -> Failing:
    return Failing(
        code=failure.code,
        url=without_credentials(url),
        message=failure.message,
        retryable=failure.retryable,
        state=health.url_state(failure, cache.index.health(url), clock),
        is_held=is_held,
        first_failure=failure.first_at,
        last_failure=failure.last_at,
        failures=failure.count,
        last_good=failure.last_good,
        next_ask=health.next_attempt(failure),
        references=cache.catalogue.references.places(url),
        status=msgspec.UNSET if failure.status is None else failure.status,
    )


def _problem(one: Failing) -> Problem:
    since = f"{one.state} since {health.format_day(one.first_failure)}, {plural(one.failures, 'time')}"
    good = f", last good {health.format_day(one.last_good)}" if one.last_good is not None else ""
    severity = Severity.WARNING if one.is_held else Severity.ERROR
    return Problem(one.code, one.url, f"{one.message}; {since}{good}", severity=severity, references=one.references)
