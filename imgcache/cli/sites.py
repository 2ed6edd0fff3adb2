"""Several sites on one command line, with one cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from imgcache.cli.options import start_logging
from imgcache.wiring import Workspace, load_workspaces, site_of_article


def sites_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add SITE, which may be given several times."""
    return _folders("[SITE]...", click.Path(exists=True, file_okay=False, path_type=Path))(command)


def sites_or_article_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add SITE, which may be given several times, or one ARTICLE: the command then gets its site, and `article`."""

    @_folders("[SITE|ARTICLE]...", click.Path(exists=True, path_type=Path))
    @functools.wraps(command)
    def with_article(sites: tuple[Path, ...], **options: Any) -> None:
        article = None
        if files := [path for path in sites if not path.is_dir()]:
            if len(sites) > 1:
                raise click.UsageError(f"{files[0]} is a file: give one article, or folders of sites")
            site, article = site_of_article(files[0])
            sites = (site,)
        command(sites=sites, article=article, **options)

    return with_article


def _folders(shown: str, kind: click.Path) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def add(command: Callable[..., None]) -> Callable[..., None]:
        @click.argument("sites", nargs=-1, type=kind, metavar=shown)
        @functools.wraps(command)
        def with_sites(sites: tuple[Path, ...], **options: Any) -> None:
            command(sites=sites or (Path(),), **options)

        return with_sites

    return add


def open_workspaces(
    sites: Sequence[Path], options: Mapping[str, Any], flags: Mapping[str, object] | None = None
) -> list[Workspace]:
    """Set up logging, and read the configuration of each site. Raises ConfigError."""
    start_logging(options)
    return load_workspaces(sites, config=options["config"], cache=options["cache"], flags=flags)
