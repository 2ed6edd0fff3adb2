"""Reads one article: from its file to the rows that the catalogue stores. Independent of all other articles."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from imgcache.cache import ArticleStat, ReadArticle, ReadError, ReferenceRow, UnreadRow
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
from imgcache.scanner import markup
from imgcache.scanner.data_files import is_data_file
from imgcache.scanner.frontmatter import FrontMatter, MarkupValue, Outline, check_utf8, outline, parse, read, read_file
from imgcache.scanner.rules import USUAL, ReadingRules
from imgcache.scanner.site import Site

# A file that was saved shortly before it was read may be saved again within the same tick of the file system's clock
# (4 ms on Linux). Its modification time proves nothing then, so the next run reads it once more.
_RACY_NS = 50_000_000
_MAX_KNOWN_URLS = 2048  # many articles name the same images; half a megabyte

_BOM = "\ufeff"
_FENCES = re.compile(rb"(?:\xef\xbb\xbf)?(---|\+\+\+)[ \t]*\r?\n(?:[^\n]*\n)*?\1[ \t]*(?:\r?\n|\Z)")
_MAX_DATA_BYTES = 32_000_000  # parsed values need ten times the memory
_LINE_END = re.compile(r"\r\n|\r|\n")

_DATE_IN_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-")
_DATE_IN_FRONT = re.compile(
    rb"\n(?:date|publishedDateTime|published|pubDate|lastmod)[ \t]*:[ \t]*[\"']?(\d{4}-\d{2}-\d{2}(?:[T ][\d:]+)?)"
)
# In YAML, TOML and JSON: between quotes, or a plain scalar of YAML.
_TITLE = re.compile(
    rb"""\n(?:title|[ \t]*"title")[ \t]*[:=][ \t]*+"""
    rb"""(?:"([^"\\\r\n]{1,200})"|'([^'\r\n]{1,200})'|([^"'\s\[{|>&*!#][^\r\n#]{0,200}))"""
)


class ArticleReader:
    """Reads the articles of one site."""

    def __init__(self, site: Site, flag: Iterable[str]) -> None:
        """Prepare to read.

        Args:
            site: decides which images are remote, and how articles are read.
            flag: the lists whose entries carry `isCached`.
        """
        self.site = site
        self.flag = frozenset(flag)
        self._fields = site.rules.fields
        self._classify = functools.lru_cache(maxsize=_MAX_KNOWN_URLS)(self._classify_url)

    def read(self, files: Sequence[ArticleStat]) -> list[ReadArticle]:
        """Read articles, ten to thirty in one call.

        Each stage runs for all articles before the next stage begins, so that its code stays in the processor's cache:
        an article takes three quarters of the time that it takes alone.

        Returns:
            One result for each file, in their order. An article that cannot be read has its error in the result.
        """
        drafts = [_Draft(file, self.site.rules.syntax) for file in files]
        for stage in (self._load, self._find_front, self._read_front, _read_body):
            for draft in drafts:
                if draft.error is None:
                    try:
                        stage(draft)
                    except ArticleError as error:
                        draft.error = _read_error(error)
                    except Exception as error:  # noqa: BLE001 - no article ends the run
                        draft.fail(error)
        for draft in drafts:
            if draft.error is not None and not draft.file.is_template:
                draft.body = _body_without_front_matter(draft)
        return [self._finished(draft) for draft in drafts]

    def _load(self, draft: _Draft) -> None:
        file, began = draft.file, time.time_ns()
        if file.is_data and file.size > _MAX_DATA_BYTES:
            raise ArticleUnreadable(
                f"the data file is larger than {_MAX_DATA_BYTES // 10**6} MB and is not read: leave it out by `exclude`"
            )
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
        draft.newest = article_date(file, b"" if file.is_data else draft.data)
        if began - file.mtime_ns < _RACY_NS:
            draft.file = file._replace(mtime_ns=0)

    def _finished(self, draft: _Draft) -> ReadArticle:
        if draft.error is None or draft.body:
            try:
                found = draft.front.references + draft.body
                if draft.front.texts:
                    found += tuple(_in_texts(draft.front.texts, draft.file.path))
                rows = [self._row(reference) for reference in found]
                unread = () if self._fields.guesses else _unread(draft, found)
                title = "" if draft.file.is_data else article_title(draft.data, draft.front.body_offset)
                return ReadArticle(
                    draft.file, draft.digest, draft.newest, rows, draft.error, draft.trace, unread, title
                )
            except Exception as error:  # noqa: BLE001 - no article ends the run
                draft.fail(error)
        return ReadArticle(draft.file, draft.digest, "", [], draft.error, draft.trace)

    def _row(self, reference: Reference) -> ReferenceRow:
        """Return a reference as the catalogue stores it: the only place that makes this row."""
        kind, host = self._classify(reference.url)
        is_remote = kind == "remote"
        in_flagged_list = is_remote and reference.list_field in self.flag
        return ReferenceRow(
            url=reference.url,
            base=self.site.base(reference.article) if host is None else "",
            kind=kind,
            host=host or "",
            line=reference.line,
            column=reference.column,
            field=reference.field,
            width=reference.declared.width,
            height=reference.declared.height,
            is_cached=reference.is_cached,
            flaggable=reference.flaggable and in_flagged_list,
            focus=reference.focus if is_remote else None,
            in_flagged_list=in_flagged_list,
            guessed=reference.guessed and not self._is_rooted(reference.url, kind),
        )

    def _find_front(self, draft: _Draft) -> None:
        if not (draft.file.is_template or draft.file.is_data):
            draft.outline = outline(draft.data, self._fields)

    def _read_front(self, draft: _Draft) -> None:
        if draft.file.is_template:
            draft.front = _NO_FRONT_MATTER
            return
        if draft.file.is_data:
            draft.front = read_file(draft.data, draft.file.path, self._fields)
            return
        draft.front = read(draft.outline, draft.file.path, self._fields)

    @staticmethod
    def _is_rooted(url: str, kind: str) -> bool:
        """Return whether a URL of the site names one file: a relative path may be relative to a folder of a theme."""
        return kind == "own" and (url.startswith("/") or "://" in url)

    def _classify_url(self, url: str) -> tuple[str, str | None]:
        """Return the kind of a URL and the host that serves it; None as host for a file relative to the article."""
        kind = self.site.kind(url)
        if kind is Kind.REMOTE:
            return kind.value, host_if_any(url)
        is_relative = kind is Kind.OWN and not url.startswith("/") and "://" not in url
        return kind.value, None if is_relative else ""


class _Draft:
    """An article between two stages of reading."""

    __slots__ = ("body", "data", "digest", "error", "file", "front", "newest", "outline", "syntax", "trace")

    outline: Outline

    def __init__(self, file: ArticleStat, syntax: markup.Syntax) -> None:
        self.file = file
        self.syntax = syntax
        self.data = b""
        self.digest = self.newest = ""
        self.front = _NO_FRONT_MATTER
        self.body: tuple[Reference, ...] = ()
        self.error: ReadError | None = None
        self.trace = ""

    def fail(self, error: Exception) -> None:
        """Record a bug as the error of this article. Every run reads it again."""
        self.file = self.file._replace(mtime_ns=0)
        self.error, self.trace = _read_error(unexpected_article_error(error)), trace(error)


def _unread(draft: _Draft, found: Collection[Reference]) -> tuple[UnreadRow, ...]:
    """Return the addresses in front matter or in a data file that another setting of `fields` would read.

    What stands in a comment is not meant to be read. `auto` reads all others, unless they are part of a text.
    """
    end = len(draft.data) if draft.file.is_data else draft.front.body_offset
    if draft.error is not None or draft.data.find(b"//", 0, end) < 0:
        return ()
    from imgcache.scanner.unread import unread_addresses  # few sites need it

    text = draft.data[:end].decode("utf-8-sig", "replace")
    places = unread_addresses(text, found)
    return tuple(UnreadRow(one.url, one.line, one.column) for one in places if not one.is_comment)


_NO_FRONT_MATTER = FrontMatter((), 0, 1)


def _read_body(draft: _Draft) -> None:
    if draft.file.is_data:
        draft.body = ()
        return
    if draft.file.is_template:
        draft.body = markup.called(draft.data.decode(errors="replace"), draft.file.path)
        return
    draft.body = _body_references(draft.data, draft.front, draft.file.path, draft.syntax)


def _body_without_front_matter(draft: _Draft) -> tuple[Reference, ...]:
    """Return the references of the body of an article whose front matter cannot be read but ends somewhere."""
    if not (fences := _FENCES.match(draft.data)):
        return ()
    front = FrontMatter((), fences.end(), 1 + draft.data.count(b"\n", 0, fences.end()))
    try:
        return _body_references(draft.data, front, draft.file.path, draft.syntax)
    except Exception:  # noqa: BLE001 - the article has its error
        return ()


def _content(path: str, size: int) -> bytes:
    """Return the bytes of a file whose size was `size` a moment ago. Half the system calls that `open` makes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, size + 1)
        while len(data) != size and (more := os.read(descriptor, size + 1)):  # saved in the meantime, or a short read
            data += more
    finally:
        os.close(descriptor)
    return data


def _read_error(error: ArticleError) -> ReadError:
    return ReadError(error.code, error.message, error.line, error.column)


def _in_texts(texts: Iterable[MarkupValue], article: str) -> Iterator[Reference]:
    """Yield the images of values of front matter that are Markdown or HTML, each where its URL is in the file."""
    for value in texts:
        after = 0
        for reference in markup.references(value.text, article, first_line=1, html=False):
            at = value.raw.find(reference.url, after)
            after = at + len(reference.url) if at >= 0 else after
            before = value.raw[: max(at, 0)]
            line_start = max(before.rfind("\n"), before.rfind("\r")) + 1
            column = len(before) - line_start + (1 if line_start else value.column)
            lines = len(_LINE_END.findall(before))
            yield Reference(reference.url, article, value.line + lines, column, value.field)


def extract_references(data: bytes, article: str, rules: ReadingRules = USUAL) -> tuple[Reference, ...]:
    """Return all image references of one article, in front matter and body.

    Args:
        data: the whole file.
        article: its path relative to the site.
        rules: how the articles of the site are read.

    Raises:
        ArticleError: the article cannot be read.
    """
    with contain_article_errors(article):
        if is_data_file(article):
            front = read_file(data, article, rules.fields)
            return front.references + tuple(_in_texts(front.texts, article))
        front = parse(data, article, rules.fields)
        body = _body_references(data, front, article, rules.syntax)
        return front.references + body + tuple(_in_texts(front.texts, article))


def _body_references(data: bytes, front: FrontMatter, article: str, syntax: markup.Syntax) -> tuple[Reference, ...]:
    try:
        body = data[front.body_offset :].decode()
    except UnicodeDecodeError:
        check_utf8(data)  # raises an error with the line
        raise
    html = markup.is_html(article)
    return markup.references(body.removeprefix(_BOM), article, first_line=front.body_line, html=html, syntax=syntax)


def article_title(data: bytes, end: int) -> str:
    """Return the title of an article, if its front matter has it on one line; else "". `end` is that of the latter."""
    found = _TITLE.search(data, 0, min(end, 4096))
    return found[found.lastindex or 0].decode("utf-8", "replace").strip() if found else ""


def article_date(file: ArticleStat, data: bytes) -> str:
    """Return the date of an article as text that sorts: from its name, else its front matter, else the file's time."""
    if match := _DATE_IN_NAME.match(file.path.rpartition("/")[2]):
        return match[1]
    if found := _DATE_IN_FRONT.search(data, 0, 4096):
        return found[1].decode()
    return datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
