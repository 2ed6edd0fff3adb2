"""The options that all commands share, and the logging that they set up."""

from __future__ import annotations

import functools
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from imgcache.core import log_safety
from imgcache.wiring import Workspace, load_workspace

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
            click.option("-v", "--verbose", is_flag=True, help="List all places, and print more on standard error."),
            click.option("-q", "--quiet", is_flag=True, help="Print results and problems only."),
            click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True),
        )
    ):
        command = option(command)
    return command


def examples(*commands: str) -> str:
    """Returns the end of a help: commands that work as they stand, one a line."""
    return "\n".join(("\b", "Examples:" if len(commands) > 1 else "Example:", *(f"  {one}" for one in commands)))


def site_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add SITE."""
    return click.argument(
        "site", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="[SITE]"
    )(command)


def url_and_site(command: Callable[..., None]) -> Callable[..., None]:
    """Add URL and SITE, in either order: only one of them can be an existing folder."""

    @click.argument("url", metavar="URL")
    @click.argument("site", default=".", metavar="[SITE]")
    @functools.wraps(command)
    def ordered(url: str, site: str, **options: Any) -> None:
        if not Path(site).is_dir() and Path(url).is_dir():
            url, site = site, url
        if not Path(site).is_dir():
            raise click.BadParameter(f"{site} is not a folder", param_hint="SITE")
        command(url=url, site=Path(site), **options)

    return ordered


def open_workspace(site: Path, options: Mapping[str, Any], flags: Mapping[str, object] | None = None) -> Workspace:
    """Set up logging, and read the configuration of a site. Raises ConfigError."""
    start_logging(options)
    return load_workspace(site, config=options["config"], cache=options["cache"], flags=flags)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Returns one JSON object: time in seconds since the epoch, level, logger, message."""
        line = {"time": record.created, "level": record.levelname.lower(), "logger": record.name}
        return log_safety.safe_json(json.dumps(line | {"message": record.getMessage()}, ensure_ascii=True))


def start_logging(options: Mapping[str, Any]) -> None:
    """Set up logging by the options that all commands share. Errors are logged too."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = options.get("log_format") == "json"
    handler.setFormatter(_JsonFormatter() if is_json else logging.Formatter(_TEXT, defaults=_PREFIX))
    logger.handlers[:] = [handler]
    logger.propagate = False
    level = logging.DEBUG if options.get("verbose") else logging.WARNING
    logger.setLevel(logging.ERROR if options.get("quiet") else level)


def log_format_of(words: Sequence[str]) -> str:
    """Returns the --log-format of a command line that is not parsed yet, for the errors of its parsing."""
    found = "text"
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, is_joined, value = word.partition("=")
        if name == "--log-format":
            found = value if is_joined else following
    return found


def now() -> float:
    """Returns the time, in seconds since the epoch. Commands pass this clock to their parts."""
    return time.time()
