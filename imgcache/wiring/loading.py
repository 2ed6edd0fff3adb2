"""Reads the configuration of one site or several, and finds the cache that they use."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from imgcache.config import Config, load_config
from imgcache.core import ConfigError, FetchPolicy, Limits, Place, clean_text
from imgcache.scanner import layout_of
from imgcache.syncer import SyncReport
from imgcache.wiring.workspace import Workspace, index_home

# The settings that decide how an image is fetched, and what is made of it.
_COMMON = ("variants", "limits", "fetch", "respect_robots", "respect_robots_tag", "svg", "allow_networks")


def load_workspace(
    site: Path,
    *,
    config: Path | None = None,
    cache: str | None = None,
    flags: Mapping[str, object] | None = None,
) -> Workspace:
    """Read the configuration of a site.

    Args:
        site: the folder of the site.
        config: the file with the settings; by default that of the environment, else `imgcache.yml` of the site.
        cache: a folder, or the URL of an object store; by default that of the environment, else `cache` of the site.
        flags: settings that come before those of the environment and of the file, by key; None counts as not given.

    Raises:
        ConfigError: a setting is wrong, a file or folder is missing, or the cache cannot be used.
    """
    if not site.is_dir():
        raise ConfigError("no such folder", where=str(site))
    file, is_named = config_file(site, config)
    if is_named and not file.is_file():
        raise ConfigError("no such file", where=str(file))
    settings = load_config(file if file.is_file() else None, os.environ, flags or {})
    layout = layout_of(site, settings.generator)
    if settings.site_url is None:
        settings = msgspec.structs.replace(settings, site_url=layout.site_url)
    named = named_cache(cache)
    if not named or "://" in named:
        _refuse_link(site / "cache")
    if "://" in named:
        from imgcache.cache import check_bucket_url

        bucket_url = check_bucket_url(named)
        home = index_home((site / "cache").absolute(), bucket_url)
        return Workspace(site.absolute(), home, settings, bucket_url, layout)
    return Workspace(site.absolute(), Path(named or site / "cache").absolute(), settings, layout=layout)


def site_of_article(file: Path) -> tuple[Path, str]:
    """Returns the site that an article belongs to, and the path of the article in it, with `/`.

    The site is the nearest folder above the article with an imgcache.yml, a cache, or the files of a generator.

    Raises:
        ConfigError: there is no such folder.
    """
    place = file.absolute()
    for folder in place.parents:
        if (folder / "imgcache.yml").is_file() or (folder / "cache").is_dir() or layout_of(folder).generator:
            return folder, place.relative_to(folder).as_posix()
    message = "no folder above this article is a site: it has no imgcache.yml, no cache and no generator's settings"
    raise ConfigError(message, where=clean_text(str(file), 300))


def load_workspaces(
    sites: Sequence[Path],
    *,
    config: Path | None = None,
    cache: str | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[Workspace]:
    """Read the configuration of each site of a command. The options are those of `load_workspace`.

    Raises:
        ConfigError: as there; or several sites are given without a cache, lie in each other, or differ in settings
            that decide how images are fetched or made.
    """
    if len(sites) > 1:
        _check_together(sites, named_cache(cache))
    workspaces = [load_workspace(site, config=config, cache=cache, flags=flags) for site in sites]
    for site, workspace in zip(sites[1:], workspaces[1:], strict=True):
        files = (config_file(one, config)[0] for one in (sites[0], site))
        _check_agreement(workspaces[0], workspace, *files)
    home = workspaces[0].cache  # with an object store each site has an index of its own: together they use the first
    return [msgspec.structs.replace(workspace, cache=home) for workspace in workspaces]


def config_file(site: Path, named: Path | None) -> tuple[Path, bool]:
    """Returns the file with the settings of a site, and whether the user named it."""
    named = named or (Path(path) if (path := os.environ.get("IMGCACHE_CONFIG")) else None)
    return named or site / "imgcache.yml", named is not None


def named_cache(named: str | None) -> str:
    """Returns the cache that the option or the environment names; "" where neither does."""
    return named or os.environ.get("IMGCACHE_CACHE") or ""


def as_given(report: SyncReport, sites: Sequence[Path]) -> SyncReport:
    """Returns the report of several sites with paths of articles that can be opened from the working directory."""
    problems = [
        msgspec.structs.replace(problem, references=_as_given(problem.references, sites)) for problem in report.problems
    ]
    unread = msgspec.structs.replace(report.unread, places=_as_given(report.unread.places, sites))
    return msgspec.structs.replace(report, problems=problems, unread=unread)


def _as_given(places: Iterable[Place], sites: Sequence[Path]) -> tuple[Place, ...]:
    return tuple(msgspec.structs.replace(place, article=path_as_given(place.article, sites)) for place in places)


def path_as_given(article: str, sites: Sequence[Path]) -> str:
    """Returns the path of an article: relative to the site if there is one site, else below SITE as it was given."""
    if len(sites) == 1:
        return article
    roots = ((f"{site.resolve().as_posix().rstrip('/')}/", site) for site in sites)
    return next((site / article.removeprefix(root)).as_posix() for root, site in roots if article.startswith(root))


def _refuse_link(cache: Path) -> None:
    """Refuse a link in place of the default cache: in a site from elsewhere it could lead to any folder of the user."""
    if cache.is_symlink():
        target = clean_text(str(cache.readlink()), 300)
        raise ConfigError(
            f"is a link to {target}, which is not followed: name that folder with --cache, or remove the link",
            where=clean_text(str(cache), 300),
        )


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
    """Images are fetched and made once for all sites, so that these settings have to be the same."""
    key = _difference(first.config, other.config)
    if key is not None:
        absent = [str(one) for one in (first_file, file) if not one.is_file()]
        note = f" ({absent[0]} is not there: the defaults count)" if absent else ""
        raise ConfigError(
            f"`{key}` is not what it is in {first_file}; sites that share a cache need the same{note}", where=str(file)
        )


def _difference(first: Config, other: Config) -> str | None:
    """Returns the first setting in which two sites differ although sites that share a cache must agree in it."""
    for key in _COMMON:
        one, two = getattr(first, key), getattr(other, key)
        if one != two and isinstance(one, Limits | FetchPolicy):
            return next(f"{key}.{name}" for name in one.__struct_fields__ if getattr(one, name) != getattr(two, name))
        if one != two:
            return key
    return None
