"""What the plugins for site generators share: a rewrite at the end of a build, reported to the generator's log."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imgcache.core import ConfigError, ImgcacheError, plural
from imgcache.wiring import python_api
from imgcache.wiring.rewrite_site import nearest_site

if TYPE_CHECKING:
    from imgcache.core import Problem
    from imgcache.publisher.rewrite import RewriteReport

# What the user of a plugin may set: what `imgcache.rewrite` takes, and `strict`.
OPTIONS = frozenset({*inspect.signature(python_api.rewrite).parameters, "strict"} - {"built", "progress"})
_SHOWN = 3  # places of one problem


class BuildFailed(ImgcacheError):
    """The plugin is strict, and images or pages have problems. They are in the log."""


class Log(Protocol):
    """The part of a generator's logger that is used."""

    def info(self, message: str, /, *words: object) -> object:
        """Shows a message."""

    def warning(self, message: str, /, *words: object) -> object:
        """Shows a warning, which fails a build that the generator runs strictly."""


def rewrite_build(
    built: str | Path, project: str | Path, options: Mapping[str, object], log: Log, *, prefix: str = "imgcache: "
) -> RewriteReport:
    """Make the pages that a generator built load local images.

    An image that cannot be had is a warning, and the page keeps its remote address.

    Args:
        built: the folder that the generator wrote.
        project: the folder of the generator's configuration. Unless the option `site` is set, the site is the nearest
            folder at or above it with an imgcache.yml or a cache, else `project` itself.
        options: those of `imgcache.rewrite`; paths are relative to `project`. With `strict`, a problem fails the build.
        log: the generator's logger.
        prefix: what a message begins with.

    Raises:
        BuildFailed: `strict` is set, and an image or page has a problem.
        ImgcacheError: the rewrite could not start: an option or a setting is wrong, or another run holds the cache.
    """
    folder = Path(project).resolve()
    given = {name: value for name, value in options.items() if value is not None}
    for name in sorted(given.keys() - OPTIONS):
        similar = difflib.get_close_matches(name, OPTIONS, n=1)
        raise ConfigError(f"unknown option `{name}`" + (f"; did you mean `{similar[0]}`?" if similar else ""))
    strict = bool(given.pop("strict", False))
    for name in ("site", "config", "cache"):
        if name in given and "://" not in str(given[name]):
            given[name] = folder / str(given[name])
    site = given.pop("site", None) or nearest_site(folder) or folder
    report = python_api.rewrite(built, site, **given)  # type: ignore[arg-type]  # checked when it is called
    for line in _lines(report.problems):
        log.warning("%s%s", prefix, line)
    made, rest = plural(report.rewritten, "place"), plural(report.left, "place")
    log.info("%s%s in %s now local, %s left remote", prefix, made, plural(report.pages, "file"), rest)
    if strict and not report.is_well:
        raise BuildFailed(f"{prefix}{rest} left remote, and `strict` is set: the warnings above say why")
    return report


def _lines(problems: list[Problem]) -> Iterator[str]:
    for problem in problems:
        places = [f"{place.article}:{place.line}:{place.column}" for place in problem.references[:_SHOWN]]
        more = len(problem.references) - len(places)
        where = ", ".join([*places, *([f"and {plural(more, 'place')} more"] if more else [])])
        yield " ".join(filter(None, (f"{problem.code}:", problem.url or "", problem.message, where and f"({where})")))
