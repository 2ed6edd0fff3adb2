"""`imgcache quarantine`: lists pictures that changed in a doubtful way, and takes the user's decisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from imgcache.cache import Quarantine, QuarantinedUrl
from imgcache.cli.console import console_for
from imgcache.cli.nearest_url import nearest_url
from imgcache.cli.options import common, examples, now, open_workspace, site_argument, url_and_site
from imgcache.cli.output import print_json, print_line
from imgcache.cli.problems import places_lines
from imgcache.core import ConfigError, Console, clean_text, plural, redact
from imgcache.policy import format_day
from imgcache.wiring import OpenCache, Workspace, open_for_reading, open_for_writing


@click.group(
    short_help="Decide on pictures that changed in a doubtful way.", epilog=examples("imgcache quarantine list")
)
def quarantine() -> None:
    """Decide on pictures that changed in a doubtful way: much smaller, of another shape, or another picture.

    Until then the earlier copy stays, flagged and served as before.
    """


@quarantine.command(
    "list", short_help="List the pictures that wait for a decision.", epilog=examples("imgcache quarantine list --json")
)
@site_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def list_(site: Path, *, as_json: bool, **options: Any) -> None:
    """List the pictures that wait for a decision."""
    workspace = open_workspace(site, options)
    with open_for_reading(workspace) as cache:
        cache.scanner.scan(cache.catalogue)
        held = list(_quarantine(cache))
    if as_json:
        print_json({"quarantined": held})
        return
    for one in held:
        _print(one, console_for(workspace.root))
    print_line(f"{len(held):,} quarantined")


@quarantine.command(
    short_help="Make the new picture the copy of URL.",
    epilog=examples("imgcache quarantine accept https://images.example/clock.jpg"),
)
@url_and_site
@common
def accept(url: str, site: Path, **options: Any) -> None:
    """Make the new picture the copy of URL."""
    workspace = open_workspace(site, options)
    with _open_with_articles(workspace) as cache:
        _require_known(url, cache)
        _quarantine(cache).accept(url, workspace.config.fetch.refresh_after)
        flags = cache.flag_writer(workspace.config.dimensions).write(may_clear=True, url=url)
    print_line(f"accepted: {clean_text(url, 300)}")
    print_line(f"{plural(flags.set, 'flag')} set, {flags.cleared:,} cleared", dim=True)


@quarantine.command(
    short_help="Keep the copy of URL, and never take the new bytes.",
    epilog=examples("imgcache quarantine reject https://images.example/clock.jpg"),
)
@url_and_site
@common
def reject(url: str, site: Path, **options: Any) -> None:
    """Keep the copy of URL, and treat the new bytes as "not modified" from now on."""
    with _open_with_articles(open_workspace(site, options)) as cache:
        _require_known(url, cache)
        _quarantine(cache).reject(url)
    print_line(f"rejected: {clean_text(url, 300)}")


@contextmanager
def _open_with_articles(workspace: Workspace) -> Iterator[OpenCache]:
    """Open the cache with its articles read. At the end, manifest.json is written."""
    with open_for_writing(workspace, "quarantine", now) as cache:
        cache.scanner.scan(cache.catalogue)
        yield cache
        cache.manifest.export(cache.index)


def _require_known(url: str, cache: OpenCache) -> None:
    """Refuse a URL that no image has, and name the nearest that waits for a decision.

    Raises:
        ConfigError: it is none of the quarantined URLs, and one of these is like it.
    """
    waiting = {one.url for one in _quarantine(cache)}
    if url not in waiting and (nearest := nearest_url(url, waiting)):
        raise ConfigError(
            f"nothing is quarantined at this URL; the nearest is {redact(nearest, 500)}", where=redact(url)
        )


def _quarantine(cache: OpenCache) -> Quarantine:
    return Quarantine(index=cache.index, catalogue=cache.catalogue, store=cache.store)


def _print(one: QuarantinedUrl, console: Console) -> None:
    print_line(clean_text(one.url, 500), bold=True)
    print_line(f"  {clean_text(one.reason, 300)}, since {format_day(one.since)}")
    if one.original:
        print_line(f"  {one.original}")
    for line in places_lines(one.references, console, 2):
        print_line(line)
