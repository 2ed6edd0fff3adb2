"""Several sites on one command line, with one cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache.cli.options import config_file, named_cache, open_workspace
from imgcache.core import ConfigError, Place, Problem
from imgcache.wiring import Workspace


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
    """The ground of each site.

    Raises:
        ConfigError: as `open_ground`; or several sites name no cache, lie in each other, or want their images
            fetched or made differently.
    """
    if len(sites) > 1:
        _check_together(sites, named_cache(options))
    grounds = [open_workspace(site, options, flags) for site in sites]
    for site, ground in zip(sites[1:], grounds[1:], strict=True):
        _check_agreement(grounds[0], ground, *(config_file(one, options)[0] for one in (sites[0], site)))
    home = grounds[0].cache  # in an object store each has an index of its own: together they have that of the first
    return [msgspec.structs.replace(ground, cache=home) for ground in grounds]


def _check_together(sites: Sequence[Path], cache: str) -> None:
    if not cache:
        raise ConfigError("several sites share one cache: name it with --cache DIR", where="--cache")
    roots = [site.resolve() for site in sites]
    for number, root in enumerate(roots):
        for other in roots[:number]:
            if root.is_relative_to(other) or other.is_relative_to(root):
                message = f"{sites[roots.index(other)]} is the same folder, or one lies in the other: give one of them"
                raise ConfigError(message, where=str(sites[number]))


def _check_agreement(first: Workspace, other: Workspace, first_file: Path, file: Path) -> None:
    """Images are fetched and made once, for all sites alike; what each reads and flags is its own."""
    from imgcache.wiring import difference

    key = difference(first.config, other.config)
    if key is not None:
        absent = [str(one) for one in (first_file, file) if not one.is_file()]
        note = f" ({absent[0]} is not there: the defaults count)" if absent else ""
        raise ConfigError(
            f"`{key}` is not what it is in {first_file}; sites that share a cache need the same{note}", where=str(file)
        )


def as_given(problems: Iterable[Problem], sites: Sequence[Path]) -> list[Problem]:
    """The same, the articles of several sites with paths that can be opened from here."""
    return [
        msgspec.structs.replace(problem, references=tuple(_as_given(place, sites) for place in problem.references))
        for problem in problems
    ]


def _as_given(place: Place, sites: Sequence[Path]) -> Place:
    return msgspec.structs.replace(place, article=path_as_given(place.article, sites))


def path_as_given(article: str, sites: Sequence[Path]) -> str:
    """The path of an article of one of several sites: SITE as it was given, then the path; of one site, as it is."""
    if len(sites) == 1:
        return article
    roots = ((f"{site.resolve().as_posix().rstrip('/')}/", site) for site in sites)
    return next((site / article.removeprefix(root)).as_posix() for root, site in roots if article.startswith(root))
