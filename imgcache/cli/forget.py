"""`imgcache forget URL`: an image that must go, for good."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import click

from imgcache.cli import EXIT_PROBLEMS
from imgcache.cli.options import common, logger, now, open_workspace, url_and_site
from imgcache.cli.output import print_json, print_line
from imgcache.core import clean_text, format_bytes, host_if_any, plural, redact
from imgcache.wiring import open_cache as parts

_COMPARED = 20_000  # URLs that a misspelt one is compared with


@click.command(short_help="Take an image out of cache, flags and manifest, and never fetch it again.")
@url_and_site
@click.option("--undo", is_flag=True, help="Let the next sync fetch it again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def forget(url: str, site: Path, *, undo: bool, as_json: bool, **options: Any) -> None:
    """Take the image at URL out of cache, flags and manifest.json, and remember not to fetch it again.

    Nothing of it is kept. Exit status: 1 where neither cache nor articles know the URL; then nothing is done.
    """
    ground = open_workspace(site, options)
    with parts.open_for_writing(ground, "forget", now) as house:
        house.scanner.scan(house.catalogue)
        if undo:
            _undo(house, url, as_json=as_json)
            return
        with house.neighbours() as neighbours:
            clearing = house.clearing(neighbours)
            if not clearing.knows(url):
                _refuse(url, clearing.known(), as_json=as_json)
        removed = house.clearing().forget(url, now())
        flags = house.flag_writer(ground.config.dimensions).write(may_clear=True, url=url)
        house.manifest.export(house.index)
    if as_json:
        print_json({"url": url, "flags_cleared": flags.cleared, "files": removed.files, "bytes": removed.bytes})
        return
    print_line(f"forgotten: {clean_text(url, 300)}")
    files = f"{plural(removed.files, 'file')} ({format_bytes(removed.bytes)}) removed"
    print_line(f"{files}, {plural(flags.cleared, 'flag')} cleared", dim=True)


def _undo(house: parts.OpenCache, url: str, *, as_json: bool) -> None:
    was_forgotten = house.index.forgotten(url)
    house.index.remember(url)
    if as_json:
        print_json({"url": url, "was_forgotten": was_forgotten})
    else:
        print_line("the next sync fetches it again" if was_forgotten else "it was not forgotten")


def _refuse(url: str, known: Iterable[str], *, as_json: bool) -> NoReturn:
    """Nobody knows the URL: probably it is misspelt."""
    nearest = _nearest(url, set(known))
    if as_json:
        print_json({"url": url, "error": "unknown URL", "nearest": nearest})
    hint = f"; the nearest known URL is {redact(nearest, 500)}" if nearest else ""
    logger.error("neither the cache nor an article knows %s%s", redact(url, 500), hint)
    sys.exit(EXIT_PROBLEMS)


def _nearest(url: str, known: Collection[str]) -> str | None:
    """The most similar known URL: of the same host where it has any, for comparing takes time."""
    of_host = [one for one in known if host_if_any(one) == host_if_any(url)]
    found = get_close_matches(url, sorted(of_host or known)[:_COMPARED], n=1)
    return found[0] if found else None
