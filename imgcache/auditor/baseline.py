"""Old and new: which findings a change brought, and which were there before it.

A place of a finding is old where the revision (`--since`) or the report (`--baseline`) had it; a finding is old where
all its places are. One that is about no place at all, such as a network that is down, is never old.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from imgcache.auditor.git import Repository
from imgcache.auditor.revision import open_revision
from imgcache.core import AuditReport, ConfigError, Finding, Place
from imgcache.scanner import Site

Had = Callable[[Finding, Place], bool]


class Baseline:
    """What was there before, made ready before the audit begins: a wrong name is told at once, not after an hour."""

    def __init__(self, site: Site, *, since: str | None = None, baseline: Path | None = None) -> None:
        """Take a revision of git, an earlier report, both, or neither: then all is new. Raises ConfigError."""
        self._site = site
        self._repository = Repository(site.root) if since is not None else None
        self._tree = self._repository.tree_of(since) if self._repository and since is not None else ""
        self._report = EarlierReport.read(baseline) if baseline is not None else None

    def mark(self, audit: AuditReport) -> AuditReport:
        """The same audit, with each finding marked as old or new, and the old ones counted. Raises ConfigError."""
        asked: list[Had] = [self._report.had] if self._report else []
        if self._repository:
            articles = {place.article for found in audit.findings for place in found.references}
            asked.append(open_revision(self._site, self._repository, self._tree, articles).had)
        return mark(audit, lambda found, place: any(had(found, place) for had in asked))


def mark(audit: AuditReport, had: Had) -> AuditReport:
    """Marks each finding. Of a new one the new places come first, so that it points to one of them."""
    findings = tuple(_marked(found, had) for found in audit.findings)
    summary = msgspec.structs.replace(audit.summary, old=sum(found.is_old for found in findings))
    return msgspec.structs.replace(audit, findings=findings, summary=summary)


def _marked(found: Finding, had: Had) -> Finding:
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


class _Known(msgspec.Struct):
    """As much of a finding in a report as is needed to know it again."""

    rule: str
    url: str | None
    references: tuple[Place, ...] = ()


class _File(msgspec.Struct):
    """As much of a report as is needed: `summary` tells one of an audit from one of a sync."""

    summary: msgspec.Raw
    findings: tuple[_Known, ...]


class EarlierReport(msgspec.Struct, frozen=True):
    """An earlier audit: for each rule and URL the articles that it was found in, on whatever lines."""

    articles: dict[tuple[str, str | None], set[str]]

    @classmethod
    def read(cls, file: Path) -> EarlierReport:
        """Read what `imgcache audit --format json` wrote. Raises ConfigError."""
        try:
            report = msgspec.json.decode(file.read_bytes(), type=_File)
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}", where="--baseline") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            advice = "make one with imgcache audit --format json --output FILE"
            raise ConfigError(f"{file} is no JSON report of an audit ({error}); {advice}", where="--baseline") from None
        articles: dict[tuple[str, str | None], set[str]] = {}
        for known in report.findings:
            articles.setdefault((known.rule, known.url), set()).update(place.article for place in known.references)
        return cls(articles)

    def had(self, found: Finding, place: Place) -> bool:
        """Whether the rule was broken by the same image in the same article."""
        return place.article in self.articles.get((found.rule, found.url), ())
