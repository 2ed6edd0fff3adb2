"""Several sites on one command line, with one cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from imgcache.cli.options import start_logging
from imgcache.wiring import Workspace, load_workspaces


def sites_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add SITE, which may be given several times."""

    @click.argument(
        "sites", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="[SITE]..."
    )
    @functools.wraps(command)
    def with_sites(sites: tuple[Path, ...], **options: Any) -> None:
        command(sites=sites or (Path(),), **options)

    return with_sites


def open_workspaces(
    sites: Sequence[Path], options: Mapping[str, Any], flags: Mapping[str, object] | None = None
) -> list[Workspace]:
    """Set up logging, and read the configuration of each site. Raises ConfigError."""
    start_logging(options)
    return load_workspaces(sites, config=options["config"], cache=options["cache"], flags=flags)
