"""Reads articles: from a file to the rows that the catalogue keeps of it. Knows nothing of other articles."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from imgcache.cache import ArticleStat, ReadArticle, ReadError, ReferenceRow
from imgcache.core import (
    ArticleError,
    ArticleUnreadable,
    Kind,
    Reference,
    contain_article_errors,
    host_if_any,
    trace,
    unexpected_article_error,
)
from imgcache.scanner import frontmatter, markup
from imgcache.scanner.site import Site

# A file saved less than this long before it was read may be saved again within the same tick of the file system's
# clock (4 ms on Linux): its time proves nothing yet, so it is read once more by the next run.
_RACY_NS = 50_000_000
_MAX_KNOWN_URLS = 2048  # the same images come again and again; half a megabyte

_BOM = "\ufeff"

_DATE_IN_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-")
_DATE_IN_FRONT = re.compile(
    rb"\n(?:date|publishedDateTime|published|pubDate|lastmod)[ \t]*:[ \t]*[\"']?(\d{4}-\d{2}-\d{2}(?:[T ][\d:]+)?)"
)


class ArticleReader:
    """Reads the articles of one site."""

    def __init__(self, site: Site, flag: Iterable[str]) -> None:
        """`flag` are the fields whose entries carry isCached."""
        self.site = site
        self.flag = frozenset(flag)
        self._whose = functools.lru_cache(maxsize=_MAX_KNOWN_URLS)(self._look_at)

    def read(self, files: Sequence[ArticleStat]) -> list[ReadArticle]:
        """Read articles, some ten or thirty at once; an error is part of the answer.

        Each stage is done for all of them before the next one begins, so that its code stays in the processor's cache:
        each takes three quarters of the time that it takes alone.
        """
        drafts = [_Draft(file) for file in files]
        for stage in (self._load, _outline, _read_front, _read_body):
            for draft in drafts:
                if draft.wrong is None:
                    try:
                        stage(draft)
                    except ArticleError as error:
                        draft.wrong = _wrong(error)
                    except Exception as error:  # noqa: BLE001 - no article ends the run
                        draft.fail(error)
        return [self._finished(draft) for draft in drafts]

    def _load(self, draft: _Draft) -> None:
        file, began = draft.file, time.time_ns()
        try:
            draft.data = _content(f"{self.site.root}/{file.path}", file.size)
        except OSError as error:
            draft.file = file._replace(mtime_ns=0)
            raise ArticleUnreadable(
                "its name is not UTF-8: rename the file or its folder"
                if "\N{REPLACEMENT CHARACTER}" in file.path
                else f"cannot be read: {error.strerror}"
            ) from error
        draft.digest = hashlib.sha256(draft.data).hexdigest()
        draft.newest = article_date(file, draft.data)
        if began - file.mtime_ns < _RACY_NS:
            draft.file = file._replace(mtime_ns=0)

    def _finished(self, draft: _Draft) -> ReadArticle:
        if draft.wrong is None:
            try:
                mentions = [self._mention(reference) for reference in draft.front.references + draft.body]
                return ReadArticle(draft.file, draft.digest, draft.newest, mentions)
            except Exception as error:  # noqa: BLE001 - no article ends the run
                draft.fail(error)
        return ReadArticle(draft.file, draft.digest, "", [], draft.wrong, draft.trace)

    def _mention(self, reference: Reference) -> ReferenceRow:
        url, field, declared = reference.url, reference.field, reference.declared
        kind, host = self._whose(url)
        return ReferenceRow(
            url,
            reference.article.rpartition("/")[0] + "/" if host is None else "",
            kind,
            host or "",
            reference.line,
            reference.column,
            field,
            declared.width,
            declared.height,
            reference.is_cached,
            reference.flaggable and kind == "remote" and field in self.flag,
            reference.focus if kind == "remote" else None,
        )

    def _look_at(self, url: str) -> tuple[str, str | None]:
        """Whose image it is and the host to ask for it: None where that is a file beside the article."""
        kind = self.site.kind(url)
        if kind is Kind.REMOTE:
            return kind.value, host_if_any(url)
        beside = kind is Kind.OWN and not url.startswith("/") and "://" not in url
        return kind.value, None if beside else ""


class _Draft:
    """An article between two stages."""

    __slots__ = ("body", "data", "digest", "file", "front", "newest", "outline", "trace", "wrong")

    data: bytes
    newest: str
    outline: frontmatter.Outline
    front: frontmatter.FrontMatter
    body: tuple[Reference, ...]

    def __init__(self, file: ArticleStat) -> None:
        self.file = file
        self.digest = ""
        self.wrong: ReadError | None = None
        self.trace = ""

    def fail(self, error: Exception) -> None:
        """Take a bug for what is wrong with this article, which every run reads again."""
        self.file = self.file._replace(mtime_ns=0)
        self.wrong, self.trace = _wrong(unexpected_article_error(error)), trace(error)


_NONE = frontmatter.FrontMatter((), 0, 1)


def _outline(draft: _Draft) -> None:
    if draft.file.is_template:
        return
    draft.outline = frontmatter.outline(draft.data)


def _read_front(draft: _Draft) -> None:
    if draft.file.is_template:
        draft.front = _NONE
        return
    draft.front = frontmatter.read(draft.outline, draft.file.path)


def _read_body(draft: _Draft) -> None:
    if draft.file.is_template:
        draft.body = markup.called(draft.data.decode(errors="replace"), draft.file.path)
        return
    draft.body = _body_references(draft.data, draft.front, draft.file.path)


def _content(path: str, size: int) -> bytes:
    """The bytes of a file that had so many when it was looked at: half the system calls that `open` makes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, size + 1)
        while len(data) != size and (more := os.read(descriptor, size + 1)):  # it was saved since, or came in parts
            data += more
    finally:
        os.close(descriptor)
    return data


def _wrong(error: ArticleError) -> ReadError:
    return ReadError(error.code, error.message, error.line, error.column)


def extract_references(data: bytes, article: str) -> tuple[Reference, ...]:
    """All image references of one article, front matter and body. Raises ArticleError."""
    with contain_article_errors(article):
        front = frontmatter.parse(data, article)
        return front.references + _body_references(data, front, article)


def _body_references(data: bytes, front: frontmatter.FrontMatter, article: str) -> tuple[Reference, ...]:
    try:
        body = data[front.body_offset :].decode()
    except UnicodeDecodeError:
        frontmatter.check_utf8(data)  # says where
        raise
    html = article.endswith((".html", ".htm"))
    return markup.references(body.removeprefix(_BOM), article, first_line=front.body_line, html=html)


def article_date(file: ArticleStat, data: bytes) -> str:
    """When the article is from, as a text that sorts: by its name, else its front matter, else the file's time."""
    if match := _DATE_IN_NAME.match(file.path.rpartition("/")[2]):
        return match[1]
    if found := _DATE_IN_FRONT.search(data, 0, 4096):
        return found[1].decode()
    return datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
