"""`imgcache forget URL`: removes an image for good."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from imgcache.cli.exit_codes import EXIT_PROBLEMS
from imgcache.cli.nearest_url import nearest_url, unknown_url
from imgcache.cli.options import common, examples, logger, now, open_workspace, url_and_site
from imgcache.cli.output import print_json, print_line
from imgcache.core import clean_text, format_bytes, plural
from imgcache.wiring import OpenCache, open_for_writing


@click.command(
    short_help="Remove an image from cache, flags and manifest, and never fetch it again.",
    epilog=examples("imgcache forget https://images.example/clock.jpg"),
)
@url_and_site
@click.option("--undo", is_flag=True, help="Let the next sync fetch it again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def forget(url: str, site: Path, *, undo: bool, as_json: bool, **options: Any) -> None:
    """Remove the image at URL from cache, flags and manifest.json, and remember not to fetch it again.

    Nothing of it is kept. Exit status: 1 where neither the cache nor an article has the URL; then nothing is done.
    """
    workspace = open_workspace(site, options)
    with open_for_writing(workspace, "forget", now) as cache:
        cache.scanner.scan(cache.catalogue)
        if undo:
            _undo(cache, url, as_json=as_json)
            return
        with cache.other_sites() as others:
            removal = cache.removal(others)
            if not removal.knows(url):
                _refuse(url, removal.known(), as_json=as_json)
        removed = cache.removal().forget(url, now())
        flags = cache.flag_writer(workspace.config.dimensions).write(may_clear=True, url=url)
        cache.manifest.export(cache.index)
    if as_json:
        print_json({"url": url, "flags_cleared": flags.cleared, "files": removed.files, "bytes": removed.bytes})
        return
    print_line(f"forgotten: {clean_text(url, 300)}")
    files = f"{plural(removed.files, 'file')} ({format_bytes(removed.bytes)}) removed"
    print_line(f"{files}, {plural(flags.cleared, 'flag')} cleared", dim=True)


def _undo(cache: OpenCache, url: str, *, as_json: bool) -> None:
    was_forgotten = cache.index.forgotten(url)
    cache.index.unforget(url)
    if as_json:
        print_json({"url": url, "was_forgotten": was_forgotten})
    else:
        print_line("the next sync fetches it again" if was_forgotten else "it was not forgotten")


def _refuse(url: str, known: Iterable[str], *, as_json: bool) -> NoReturn:
    """End the command: the URL is unknown, probably misspelt."""
    nearest = nearest_url(url, known)
    if as_json:
        print_json({"url": url, "error": "unknown URL", "nearest": nearest})
    logger.error("%s", unknown_url(url, nearest))
    sys.exit(EXIT_PROBLEMS)
