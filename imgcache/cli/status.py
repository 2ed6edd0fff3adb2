"""`imgcache status`: how things stand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache import wiring
from imgcache.cli.options import common, open_ground, site_argument
from imgcache.cli.output import print_problems, say
from imgcache.models import Failure, Problem
from imgcache.quantities import format_bytes
from imgcache.store import Usage


class Status(msgspec.Struct, frozen=True):
    """How a site and its cache stand. `missing` images are neither held nor known to fail: a sync fetches them."""

    articles: int
    references: int
    images: int
    cached: int
    missing: int
    failing: int
    forgotten: int
    files: int
    bytes: int
    failures: tuple[Problem, ...]


@click.command(short_help="Say what is cached, missing and failing, and how large it is.")
@site_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def status(site: Path, *, as_json: bool, **options: Any) -> None:
    """Say what is cached, missing and failing, and how large it is. Touches nothing, asks no server."""
    with wiring.reader(open_ground(site, options)) as house:
        house.scanner.scan(house.catalogue)
        found = _status(house)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return
    print_problems(found.failures)
    if found.failures:
        say()
    say(f"{found.articles:,} articles name {found.images:,} remote images in {found.references:,} references")
    say(f"{found.cached:,} cached, {found.missing:,} missing, {found.failing:,} failing, {found.forgotten:,} forgotten")
    say(f"{found.files:,} files, {format_bytes(found.bytes)}")


def _status(house: wiring.House) -> Status:
    counts = house.catalogue.counts()
    cached = failing = forgotten = 0
    failures = []
    for url in house.catalogue.remote_urls():
        if house.index.copy(url) is not None:
            cached += 1
        elif house.index.forgotten(url):
            forgotten += 1
        elif failure := house.index.failure(url):
            failing += 1
            failures.append(_problem(house, url, failure))
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
        failures=tuple(failures),
    )


def _problem(house: wiring.House, url: str, failure: Failure) -> Problem:
    return Problem(
        failure.code,
        url,
        failure.message,
        retryable=failure.retryable,
        status=msgspec.UNSET if failure.status is None else failure.status,
        references=house.catalogue.places(url),
    )
