"""Lists every image reference of a site, and the addresses that look like images and are not understood."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from imgcache.cache import ReadArticle
from imgcache.core import Kind, Place, Problem, Severity
from imgcache.scanner.frontmatter import Fields
from imgcache.scanner.site import Site
from imgcache.scanner.unread import unread_addresses

_IN_BODY = "it is in a link, in code, in a comment or in plain text"
_UNREADABLE = "the article cannot be read"


class FoundReference(msgspec.Struct, frozen=True):
    """One image reference. Lines and columns count from 1; a column counts characters."""

    url: str
    kind: Kind
    article: str
    line: int
    column: int
    field: str


class UnreadAddress(msgspec.Struct, frozen=True):
    """One address that looks like an image and is not read where it stands, with the reason."""

    url: str
    article: str
    line: int
    column: int
    reason: str


class ScanReport(msgspec.Struct):
    """The result of `imgcache scan`: the number of articles, every reference, and what was not understood."""

    articles: int = 0
    references: list[FoundReference] = []
    unread: list[UnreadAddress] = []
    problems: list[Problem] = []

    @property
    def is_well(self) -> bool:
        """Whether there are no problems but warnings."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)

    def add(self, site: Site, article: ReadArticle, fields: Fields) -> None:
        """Adds what was read of one article, template or data file.

        Args:
            site: the site that the article belongs to.
            article: as the reader gave it.
            fields: what names an image in front matter and data files.
        """
        path = article.file.path
        self.articles += not (article.file.is_template or article.file.is_data)
        found = [
            FoundReference(row.url, Kind(row.kind), path, row.line, row.column, row.field) for row in article.references
        ]
        self.references += sorted(found, key=lambda one: (one.line, one.column))
        if article.error is not None:
            error = article.error
            place = Place(path, error.line, error.column, "")
            severity = Severity.WARNING if article.file.is_data else Severity.ERROR
            self.problems.append(Problem(error.code, None, error.message, severity=severity, references=(place,)))
        if not article.file.is_template:
            self.unread += _unread(_text(site, path), article, fields)


def _text(site: Site, path: str) -> str:
    try:
        return (site.root / path).read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _unread(text: str, article: ReadArticle, fields: Fields) -> Iterator[UnreadAddress]:
    in_fields = {(one.line, one.column) for one in article.unread}
    for one in unread_addresses(text, article.references):
        reason = fields.why_unread if (one.line, one.column) in in_fields else _IN_BODY
        reason = _UNREADABLE if article.error else reason
        yield UnreadAddress(one.url, article.file.path, one.line, one.column, reason)
