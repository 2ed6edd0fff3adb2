"""Defines what a report needs besides the audit."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import msgspec

from imgcache.core import Console
from imgcache.core.version import __version__


class ReportContext(msgspec.Struct, frozen=True):
    """Where the site is, and how its report is shown.

    Attributes:
        root: the folder of the site, absolute.
        cache: the folder of the cache, absolute.
        color: whether the text report uses colors.
        hyperlinks: whether the terminal supports links (OSC 8).
        width: the columns of the terminal; None where the text report breaks no line.
        version: of imgcache.
        prefix: the path from the top of the git work tree to the site, without outer slashes; services that show a
            report beside the repository open files by it.
        is_compared: the audit was compared with an earlier state (`--since`, `--baseline`), even if nothing is old.
        shows_old: whether the text report lists old findings, or only counts them.
        shows_all: whether it lists every finding, or the first of each host and rule.
        documentation: the address at which docs/ is published, with a slash at its end; "" where it is not known.
    """

    root: Path
    cache: Path
    color: bool = False
    hyperlinks: bool = False
    width: int | None = None
    version: str = __version__
    prefix: str = ""
    is_compared: bool = False
    shows_old: bool = True
    shows_all: bool = True
    documentation: str = ""

    @property
    def console(self) -> Console:
        """What the text report can show."""
        return Console(self.root, self.color, self.hyperlinks, self.width)

    def path(self, article: str) -> str:
        """Returns the path of an article in the repository."""
        return f"{self.prefix}/{article}" if self.prefix else article

    def help_url(self, rule: str) -> str:
        """Returns the address of the page that explains a rule; "" where it is not known."""
        return f"{self.documentation}reference/problems/#{rule}" if self.documentation else ""


def documentation_url() -> str:
    """Returns the address of the documentation, as pyproject.toml has it; "" while it does not name the account."""
    entries = dict(entry.split(", ", 1) for entry in metadata.metadata("imgcache").get_all("Project-URL", []))
    url: str = entries.get("Documentation", "")
    return "" if "OWNER" in url else url
