"""Lists every image reference of a site, and the addresses that look like images and are not understood."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from imgcache.cache import ReadArticle
from imgcache.core import ArticleError, Kind, Place, Problem, Severity
from imgcache.scanner import frontmatter
from imgcache.scanner.site import Site

# An address with the extension of an image in its path (RFC 3986, section 3.3), absolute or protocol-relative.
_IMAGE_ADDRESS = re.compile(
    r"(?:(?<!\w)https?:|(?<![\w/:]))//[^\s\"'<>(){}\[\]|\\^`?#]{1,2000}"
    r"\.(?:apng|avif|bmp|gif|ico|jfif|jpe?g|jxl|png|svg|tiff?|webp)(?![\w/.-])(?:\?[^\s\"'<>(){}\[\]|\\^`]{0,2000})?",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"\r\n|\r|\n")

_IN_FRONT_MATTER = "front matter is read only in lists named `images`"
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

    def add(self, site: Site, article: ReadArticle) -> None:
        """Adds what was read of one article, or of one template.

        Args:
            site: the site that the article belongs to.
            article: as the reader gave it.
        """
        path = article.file.path
        self.articles += not (article.file.is_template or article.file.is_data)
        found = [
            FoundReference(row.url, Kind(row.kind), path, row.line, row.column, row.field) for row in article.references
        ]
        self.references += sorted(found, key=lambda one: (one.line, one.column))
        if article.error is not None:
            wrong = article.error
            place = Place(path, wrong.line, wrong.column, "")
            severity = Severity.WARNING if article.file.is_data else Severity.ERROR
            self.problems.append(Problem(wrong.code, None, wrong.message, severity=severity, references=(place,)))
        if not article.file.is_template:
            reason = _UNREADABLE if article.error else None
            self.unread += _unread(_text(site, path), path, found, reason)


def _text(site: Site, path: str) -> str:
    try:
        return (site.root / path).read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _unread(text: str, path: str, found: list[FoundReference], reason: str | None) -> Iterator[UnreadAddress]:
    known = {(one.line, one.column) for one in found}
    urls = {one.url for one in found}
    body = _body_offset(text, path)
    line, start = 1, 0
    ends = _LINE_END.finditer(text)
    end = next(ends, None)
    for match in _IMAGE_ADDRESS.finditer(text):
        while end is not None and end.end() <= match.start():
            line, start, end = line + 1, end.end(), next(ends, None)
        column = match.start() - start + 1
        if (line, column) not in known and match[0] not in urls:
            where = _IN_BODY if match.start() >= body else _IN_FRONT_MATTER
            yield UnreadAddress(match[0], path, line, column, reason or where)


def _body_offset(text: str, path: str) -> int:
    """The index in `text` at which the body begins; 0 where the front matter cannot be read."""
    data = text.encode()
    try:
        front = frontmatter.parse(data, path)
    except ArticleError:
        return 0
    return len(data[: front.body_offset].decode("utf-8", "replace"))
