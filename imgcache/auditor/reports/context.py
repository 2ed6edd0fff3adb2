"""What a report needs to know besides the audit. Pure."""

from __future__ import annotations

from pathlib import Path

import msgspec

from imgcache import __version__


class ReportContext(msgspec.Struct, frozen=True):
    """Where the site is and how its report is read.

    `root` is the site's folder and `cache` the cache's, both absolute. `prefix` is the way from the top of the git work
    tree to the site, with `/` and no slash at its ends: services that show a report beside the repository open files by
    it. `is_compared`: the audit was held against an earlier one (`--since`, `--baseline`), even if nothing is old.
    `shows_old`: the text report lists what is old, and does not only count it.
    """

    root: Path
    cache: Path
    color: bool = False
    hyperlinks: bool = False  # OSC 8, on a terminal that knows them
    version: str = __version__
    prefix: str = ""
    is_compared: bool = False
    shows_old: bool = True

    def path(self, article: str) -> str:
        """An article's path as the repository has it."""
        return f"{self.prefix}/{article}" if self.prefix else article
