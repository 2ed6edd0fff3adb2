"""Walks a site and reads the articles that changed: their references go into the catalogue."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pathspec

from imgcache import frontmatter, markup
from imgcache.catalogue import Catalogue, File, Mention
from imgcache.errors import ArticleError, ArticleUnreadable, ConfigError
from imgcache.models import Kind, Reference
from imgcache.site import Site
from imgcache.urls import host_if_any

# Never entered, wherever they stand: repositories, built sites, other people's code.
NEVER_ENTERED = frozenset({".git", "_site", "node_modules", "vendor"})
# A file saved less than this long before it was read may be saved again within the same tick of the file system's
# clock (4 ms on Linux): its time proves nothing yet, so it is read once more by the next run.
_RACY_NS = 50_000_000

_DATE_IN_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-")
_DATE_IN_FRONT = re.compile(
    rb"^(?:date|publishedDateTime|published|pubDate|lastmod)[ \t]*:[ \t]*[\"']?(\d{4}-\d{2}-\d{2}(?:[T ][\d:]+)?)",
    re.MULTILINE,
)


class Scan(msgspec.Struct):
    """What one walk over a site did."""

    articles: int = 0
    read: int = 0
    dropped: int = 0


class Scanner:
    """The articles of one site."""

    def __init__(
        self, site: Site, *, articles: Sequence[str], exclude: Sequence[str], flag: Sequence[str], cache: Path
    ):
        """`flag` are the fields whose entries carry isCached; `cache` is a folder that is never entered."""
        self._site = site
        self._articles = pathspec.GitIgnoreSpec.from_lines(articles)
        self._exclude = pathspec.GitIgnoreSpec.from_lines(exclude) if exclude else None
        self._flag = frozenset(flag)
        self._cache = os.path.realpath(cache)

    def walk(self) -> Iterator[File]:
        """Every article, folder by folder. Folders that are links are not entered. Raises ConfigError."""
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(os.scandir(self._site.root / folder), key=lambda entry: entry.name)
            except OSError as error:
                raise ConfigError(f"the folder cannot be read: {error.strerror}", where=folder or ".") from None
            below = []
            for entry in entries:
                path = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in NEVER_ENTERED and os.path.realpath(entry.path) != self._cache:
                        below.append(path + "/")
                elif self._is_wanted(path):
                    yield from self._file(path, entry)
            folders.extend(reversed(below))

    def _is_wanted(self, path: str) -> bool:
        return self._articles.match_file(path) and not (self._exclude and self._exclude.match_file(path))

    @staticmethod
    def _file(path: str, entry: os.DirEntry[str]) -> Iterator[File]:
        try:
            stat = entry.stat()
        except OSError:
            yield File(path, 0, 0)  # a link to nowhere: reading it says so
            return
        if entry.is_file():
            yield File(path, stat.st_mtime_ns, stat.st_size)

    def scan(self, catalogue: Catalogue, on_article: Callable[[], None] = lambda: None) -> Scan:
        """Bring the catalogue up to date with the site: read what changed, drop what is gone."""
        scan = Scan()
        with catalogue.transaction():
            for file in self.walk():
                scan.articles += 1
                if not catalogue.is_unchanged(file):
                    self.read(file, catalogue)
                    scan.read += 1
                on_article()
            if scan.articles < catalogue.counts()["articles"]:
                present = {file.path for file in self.walk()}
                gone = [path for path in catalogue.article_paths() if path not in present]
                catalogue.drop_articles(gone)
                scan.dropped = len(gone)
            if scan.read or scan.dropped:
                catalogue.drop_unused_images()
        return scan

    def reread(self, path: str, catalogue: Catalogue) -> None:
        """Read one article again, after it was written."""
        stat = (self._site.root / path).stat()
        self.read(File(path, stat.st_mtime_ns, stat.st_size), catalogue)

    def read(self, file: File, catalogue: Catalogue) -> None:
        """Read one article into the catalogue."""
        if time.time_ns() - file.mtime_ns < _RACY_NS:
            file = file._replace(mtime_ns=0)
        try:
            data = (self._site.root / file.path).read_bytes()
        except OSError as error:
            unreadable = ArticleUnreadable(f"cannot be read: {error.strerror}")
            catalogue.put_unreadable(file._replace(mtime_ns=0), "", unreadable)
            return
        digest = hashlib.sha256(data).hexdigest()
        try:
            references = extract(data, file.path)
        except ArticleError as error:
            catalogue.put_unreadable(file, digest, error)
            return
        mentions = [self._mention(reference) for reference in references]
        catalogue.put_article(file, digest, newest(file, data), mentions)

    def _mention(self, reference: Reference) -> Mention:
        kind = self._site.kind(reference.url)
        if reference.flaggable and (kind is not Kind.REMOTE or reference.field not in self._flag):
            reference = msgspec.structs.replace(reference, flaggable=False)
        return Mention(reference, kind, host_if_any(reference.url) if kind is Kind.REMOTE else "")


def extract(data: bytes, article: str) -> tuple[Reference, ...]:
    """All image references of one article, front matter and body. Raises ArticleUnreadable."""
    front = frontmatter.parse(data, article)
    try:
        body = data[front.body_offset :].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: front.body_offset + error.start].count(b"\n") + 1
        raise ArticleUnreadable("not UTF-8; save the file as UTF-8", line=line) from None
    html = article.endswith((".html", ".htm"))
    return front.references + markup.references(body, article, first_line=front.body_line, html=html)


def newest(file: File, data: bytes) -> str:
    """When the article is from, as a text that sorts: by its name, else its front matter, else the file's time."""
    if match := _DATE_IN_NAME.match(file.path.rpartition("/")[2]):
        return match[1]
    if found := _DATE_IN_FRONT.search(data, 0, 4096):
        return found[1].decode()
    return datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
