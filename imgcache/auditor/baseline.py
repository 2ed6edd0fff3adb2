"""Marks findings as old or new, compared with a git revision (`--since`) or an earlier report (`--baseline`).

A place of a finding is old if the revision or the report had it. A finding is old if all its places are old. A finding
without a place, such as a network that is down, is never old.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from imgcache.auditor.git import Repository
from imgcache.auditor.revision import open_revision
from imgcache.core import AuditReport, ConfigError, Finding, Place
from imgcache.scanner import Site

WasPresent = Callable[[Finding, Place], bool]


class Baseline:
    """The state that an audit is compared with.

    It is opened before the audit begins, so that a wrong name is reported at once and not after an hour.
    """

    def __init__(self, site: Site, *, since: str | None = None, baseline: Path | None = None) -> None:
        """Open a git revision, an earlier report, both, or neither; with neither, every finding is new.

        Raises:
            ConfigError: the revision does not exist, or the report cannot be read.
        """
        self._site = site
        self._repository = Repository(site.root) if since is not None else None
        self._tree = self._repository.tree_of(since) if self._repository and since is not None else ""
        self._report = EarlierReport.read(baseline) if baseline is not None else None

    def mark(self, audit: AuditReport) -> AuditReport:
        """Returns the same audit with each finding marked as old or new and the old ones counted.

        Raises:
            ConfigError: git cannot read the revision.
        """
        sources: list[WasPresent] = [self._report.contains] if self._report else []
        if self._repository:
            articles = {place.article for found in audit.findings for place in found.references}
            sources.append(open_revision(self._site, self._repository, self._tree, articles).contains)
        return mark(audit, lambda found, place: any(had(found, place) for had in sources))


def mark(audit: AuditReport, had: WasPresent) -> AuditReport:
    """Returns the audit with each finding marked; a new finding lists its new places first and points to one."""
    findings = tuple(_marked(found, had) for found in audit.findings)
    summary = msgspec.structs.replace(audit.summary, old=sum(found.is_old for found in findings))
    return msgspec.structs.replace(audit, findings=findings, summary=summary)


def _marked(found: Finding, had: WasPresent) -> Finding:
    new = tuple(place for place in found.references if not had(found, place))
    if not new:
        return msgspec.structs.replace(found, is_old=bool(found.references))
    is_new = frozenset(new)
    places = new + tuple(place for place in found.references if place not in is_new)
    first = places[0]
    return msgspec.structs.replace(
        found,
        is_old=False,
        references=places,
        article=first.article,
        line=first.line,
        column=first.column,
        field=first.field,
    )


class _EarlierFinding(msgspec.Struct):
    """The fields of a finding in a report that identify it."""

    rule: str
    url: str | None
    references: tuple[Place, ...] = ()


class _ReportFile(msgspec.Struct):
    """The fields of a report that are needed. `summary` distinguishes the report of an audit from that of a sync."""

    summary: msgspec.Raw
    findings: tuple[_EarlierFinding, ...]


class EarlierReport(msgspec.Struct, frozen=True):
    """An earlier audit: for each rule and URL, the articles that it was found in. Lines are not compared."""

    articles: dict[tuple[str, str | None], set[str]]

    @classmethod
    def read(cls, file: Path) -> EarlierReport:
        """Read a file that `imgcache audit --format json` wrote.

        Raises:
            ConfigError: the file cannot be read, or is not such a report.
        """
        try:
            report = msgspec.json.decode(file.read_bytes(), type=_ReportFile)
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}", where="--baseline") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            advice = "make one with imgcache audit --format json --output FILE"
            message = f"{file} is not the JSON report of an audit ({error}); {advice}"
            raise ConfigError(message, where="--baseline") from None
        articles: dict[tuple[str, str | None], set[str]] = {}
        for earlier in report.findings:
            articles.setdefault((earlier.rule, earlier.url), set()).update(
                place.article for place in earlier.references
            )
        return cls(articles)

    def contains(self, found: Finding, place: Place) -> bool:
        """Whether the same image broke the same rule in the same article."""
        return place.article in self.articles.get((found.rule, found.url), ())
