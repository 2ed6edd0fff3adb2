"""Defines what a report needs besides the audit. Pure."""

from __future__ import annotations

from pathlib import Path

import msgspec

from imgcache import __version__


class ReportContext(msgspec.Struct, frozen=True):
    """Where the site is, and how its report is shown.

    Attributes:
        root: the folder of the site, absolute.
        cache: the folder of the cache, absolute.
        color: whether the text report uses colors.
        hyperlinks: whether the terminal supports links (OSC 8).
        version: of imgcache.
        prefix: the path from the top of the git work tree to the site, without outer slashes; services that show a
            report beside the repository open files by it.
        is_compared: the audit was compared with an earlier state (`--since`, `--baseline`), even if nothing is old.
        shows_old: whether the text report lists old findings, or only counts them.
    """

    root: Path
    cache: Path
    color: bool = False
    hyperlinks: bool = False
    version: str = __version__
    prefix: str = ""
    is_compared: bool = False
    shows_old: bool = True

    def path(self, article: str) -> str:
        """Returns the path of an article in the repository."""
        return f"{self.prefix}/{article}" if self.prefix else article
