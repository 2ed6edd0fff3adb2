"""The options that all commands share, and the ground that they name."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from imgcache.config import load_config
from imgcache.core import ConfigError, clean_text
from imgcache.core import log_safety as logsafe
from imgcache.scanner import site_url_of
from imgcache.wiring import Workspace, index_home

logger = logging.getLogger("imgcache")

# A line that begins with a place to open is logged with `extra=NO_PREFIX`, so that editors and terminals find it.
_TEXT, _PREFIX, NO_PREFIX = "%(prefix)s%(message)s", {"prefix": "imgcache: "}, {"prefix": ""}


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that all commands share."""
    for option in reversed(
        (
            click.option(
                "--config", type=click.Path(dir_okay=False, path_type=Path), help="Default: SITE/imgcache.yml."
            ),
            click.option(
                "--cache", metavar="DIR|URL", help="Default: SITE/cache. Or s3://BUCKET/PREFIX, gs://, az://."
            ),
            click.option("-v", "--verbose", is_flag=True, help="Say more on standard error."),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing but results and errors."),
            click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True),
        )
    ):
        command = option(command)
    return command


def site_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add SITE."""
    return click.argument(
        "site", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="[SITE]"
    )(command)


def url_and_site(command: Callable[..., None]) -> Callable[..., None]:
    """Add URL and SITE, in whichever order they are given: only one of them can be a folder that is there."""

    @click.argument("url", metavar="URL")
    @click.argument("site", default=".", metavar="[SITE]")
    @functools.wraps(command)
    def ordered(url: str, site: str, **options: Any) -> None:
        if not Path(site).is_dir() and Path(url).is_dir():
            url, site = site, url
        if not Path(site).is_dir():
            raise click.BadParameter(f"{site} is no folder", param_hint="SITE")
        command(url=url, site=Path(site), **options)

    return ordered


def open_workspace(site: Path, options: Mapping[str, Any], flags: Mapping[str, object] | None = None) -> Workspace:
    """Read the configuration and set the logging up. Raises ConfigError."""
    start_logging(options)
    file, is_named = config_file(site, options)
    if is_named and not file.is_file():
        raise ConfigError("no such file", where=str(file))
    config = load_config(file if file.is_file() else None, os.environ, flags or {})
    if config.site_url is None and (jekyll := site / "_config.yml").is_file():
        config = msgspec.structs.replace(config, site_url=site_url_of(jekyll.read_bytes()))
    cache = named_cache(options)
    if not cache or "://" in cache:
        _refuse_link(site / "cache")
    if "://" in cache:
        place = _place(cache)
        return Workspace(site.absolute(), index_home((site / "cache").absolute(), place), config, place=place)
    return Workspace(site.absolute(), Path(cache or site / "cache").absolute(), config)


def _refuse_link(cache: Path) -> None:
    """A site from elsewhere may hold a link in place of its cache, which would lead to any folder of this user."""
    if cache.is_symlink():
        target = clean_text(str(cache.readlink()), 300)
        raise ConfigError(
            f"is a link to {target}, which is not followed: name that folder with --cache, or remove the link",
            where=clean_text(str(cache), 300),
        )


def config_file(site: Path, options: Mapping[str, Any]) -> tuple[Path, bool]:
    """The file with the settings of a site, and whether somebody named it."""
    named = options["config"] or (Path(path) if (path := os.environ.get("IMGCACHE_CONFIG")) else None)
    return named or site / "imgcache.yml", named is not None


def named_cache(options: Mapping[str, Any]) -> str:
    """The cache that the command line or the environment names; "" where neither does."""
    return options["cache"] or os.environ.get("IMGCACHE_CACHE") or ""


def _place(url: str) -> str:
    from imgcache.cache import check_bucket_url

    return check_bucket_url(url)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One object a line: time in seconds since the epoch, level, logger, message."""
        line = {"time": record.created, "level": record.levelname.lower(), "logger": record.name}
        return logsafe.json(json.dumps(line | {"message": record.getMessage()}, ensure_ascii=True))


def start_logging(options: Mapping[str, Any]) -> None:
    """Set the log up as the options that all commands share say. Errors go through it too, in its form."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = options.get("log_format") == "json"
    handler.setFormatter(_JsonFormatter() if is_json else logging.Formatter(_TEXT, defaults=_PREFIX))
    logger.handlers[:] = [handler]
    logger.propagate = False
    level = logging.DEBUG if options.get("verbose") else logging.WARNING
    logger.setLevel(logging.ERROR if options.get("quiet") else level)


def wanted_log_format(words: Sequence[str]) -> str:
    """The --log-format of a command line that is not parsed yet, so that its mistakes are told in that form."""
    wanted = "text"
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, is_joined, value = word.partition("=")
        if name == "--log-format":
            wanted = value if is_joined else following
    return wanted


def now() -> float:
    """The clock that commands pass in: seconds since the epoch."""
    return time.time()
