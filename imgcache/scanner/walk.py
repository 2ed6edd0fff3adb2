"""Walks a site and reads the articles that changed; writes their references to the catalogue."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pathspec

from imgcache.cache import ArticleStat, Catalogue, ReadArticle
from imgcache.core import ConfigError, Kind, log
from imgcache.scanner.data_files import DataFiles, is_data_file
from imgcache.scanner.generators import SIGNATURE, TEMPLATE_ENDINGS, Role
from imgcache.scanner.site import Site

if TYPE_CHECKING:
    from imgcache.scanner.extract import ArticleReader

# Globs that only test the end of a name, like the usual ones. They need no matcher, which takes 10 µs a file.
_BY_ENDING = re.compile(r"\*\*/\*(\.[A-Za-z0-9.]+)")
_OWN_EXPORT = "imgcache.html"  # an include or a partial that `imgcache export` wrote, even if it was moved
_LOOKUP = 500  # articles that are compared with the catalogue in one query
_REREAD = 32  # articles that are in memory at the same time


class ScanResult(msgspec.Struct):
    """The counts of one walk over a site."""

    articles: int = 0
    templates: int = 0
    read: int = 0
    dropped: int = 0


class Scanner:
    """The articles of one site."""

    def __init__(
        self,
        site: Site,
        *,
        articles: Sequence[str],
        exclude: Sequence[str],
        flag: Sequence[str],
        cache: Path,
        prefix: str = "",
        data: str | Sequence[str] = "auto",
    ):
        """Prepare to scan a site.

        Args:
            site: the site.
            articles: globs of the articles.
            exclude: globs of files that are no articles.
            flag: the fields whose entries carry `isCached`.
            cache: a folder that is never entered.
            prefix: goes before each path in a catalogue with the articles of several sites.
            data: which data files are read, as in the configuration.
        """
        self._site = site
        self.prefix = prefix
        self._others: tuple[Scanner, ...] = ()
        endings = [_BY_ENDING.fullmatch(glob) for glob in articles]
        self._endings = tuple(ending[1] for ending in endings if ending) if all(endings) else None
        self._articles = pathspec.GitIgnoreSpec.from_lines(articles)
        self._exclude = pathspec.GitIgnoreSpec.from_lines(exclude) if exclude else None
        self._flag = tuple(flag)
        self._globs = tuple(articles)
        self._layout = site.layout
        self._cache = os.path.realpath(cache)
        self._only: str | None = None
        self._data = DataFiles(site.root, data, exclude=exclude, cache=self._cache)

    @functools.cached_property
    def _reader(self) -> ArticleReader:
        # Loaded for the first article that changed: it takes a twentieth of a run that has nothing to do.
        from imgcache.scanner.extract import ArticleReader

        return ArticleReader(self._site, self._flag)

    def only(self, article: str) -> Scanner:
        """Return a scanner that finds this article only."""
        scanner = copy.copy(self)
        scanner._only = article  # noqa: SLF001
        return scanner

    def with_others(self, others: Iterable[Scanner]) -> Scanner:
        """Return a scanner whose `scan` also reads the articles of other sites."""
        scanner = copy.copy(self)
        scanner._others = tuple(others)  # noqa: SLF001
        return scanner

    def walk(self) -> Iterator[ArticleStat]:
        """Yield every article of its site, folder by folder. Linked folders are not entered. Raises ConfigError."""
        return (file for file in self._files() if not (file.is_template or file.is_data))

    def _files(self) -> Iterator[ArticleStat]:
        """Yield the articles and the layouts, includes, partials and data files, which may name images too."""
        if self._only is not None:
            with contextlib.suppress(OSError):  # deleted
                stat = (self._site.root / self._only).stat()
                yield ArticleStat(self._only, stat.st_mtime_ns, stat.st_size)
            return
        yield from self._articles_and_templates()
        for path, entry in self._data.walk():
            if not self.is_article(path) and (file := self._stat(path, entry)):
                yield file._replace(is_data=True)

    def _articles_and_templates(self) -> Iterator[ArticleStat]:
        folders = [("", Role.ARTICLES)]
        while folders:
            folder, role = folders.pop()
            try:
                entries = sorted(os.scandir(self._site.root / folder), key=attrgetter("name"))
            except OSError as error:
                raise ConfigError(f"the folder cannot be read: {error.strerror}", where=folder or ".") from None
            below = []
            for entry in entries:
                path = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    inner = self._layout.role(path, role)
                    if inner is not Role.NOTHING and os.path.realpath(entry.path) != self._cache:
                        below.append((path + "/", inner))
                elif role is Role.TEMPLATES:
                    if path.endswith(TEMPLATE_ENDINGS) and (file := self._stat(path, entry)):
                        yield file._replace(is_template=True)
                elif self._is_wanted(path) and (file := self._stat(path, entry)):
                    yield file
            folders.extend(reversed(below))

    def read_all(self) -> Iterator[ReadArticle]:
        """Reads every article and template of its site, whether it changed or not. Raises ConfigError."""
        files = self._files()
        while batch := list(itertools.islice(files, _REREAD)):
            yield from self._reader.read(batch)

    def is_article(self, path: str) -> bool:
        """Return whether a walk would find an article at this path. The file need not exist."""
        folders = path.split("/")[:-1]
        file = os.path.realpath(self._site.root / path)
        is_entered = self._layout.role_of(folders) is Role.ARTICLES and not file.startswith(f"{self._cache}{os.sep}")
        return is_entered and self._is_wanted(path)

    def _is_wanted(self, path: str) -> bool:
        wanted = self._articles.match_file(path) if self._endings is None else path.endswith(self._endings)
        if wanted and path.endswith(_OWN_EXPORT) and self._is_own_export(path):
            return False
        return wanted and not (self._exclude and self._exclude.match_file(path))

    def _is_own_export(self, path: str) -> bool:
        try:
            with (self._site.root / path).open("rb") as file:
                return SIGNATURE.encode() in file.read(512)
        except OSError:
            return False

    @staticmethod
    def _stat(path: str, entry: os.DirEntry[str]) -> ArticleStat | None:
        if not path.isascii() and (text := path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) != path:
            return ArticleStat(text, 0, 0)  # not UTF-8, so the path cannot be stored; reading it reports that
        try:
            stat = entry.stat()
        except OSError:
            return ArticleStat(path, 0, 0)  # a broken link; reading it reports that
        return ArticleStat(path, stat.st_mtime_ns, stat.st_size) if entry.is_file() else None

    def scan(self, catalogue: Catalogue, on_article: Callable[[], None] = lambda: None) -> ScanResult:
        """Update the catalogue from the site: read what changed, drop what no longer exists."""
        scan = ScanResult()
        was_bare = catalogue.articles.is_empty()
        scanners = (self, *self._others)
        with catalogue.transaction(), catalogue.articles.bulk_insert():
            for scanner in scanners:
                scanner.read_changed(catalogue, scan, on_article)
            if scan.articles + scan.templates < catalogue.articles.count_files():
                present = {scanner.prefix + file.path for scanner in scanners for file in scanner._files()}  # noqa: SLF001
                gone = [path for path in catalogue.articles.paths() if path not in present]
                catalogue.articles.drop(gone)
                scan.dropped = len(gone)
            if (scan.read and not was_bare) or scan.dropped:
                catalogue.drop_unused_images()
            catalogue.sites.mark_scanned()
        return scan

    def require_articles(self, scan: ScanResult, catalogue: Catalogue) -> None:
        """Raise an error if a scan found nothing.

        Raises:
            ConfigError: there is no article and no reference; the message has the folders and globs.
        """
        if scan.articles or self._only is not None or catalogue.articles.counts()["references"]:
            return
        self.require_found(0)

    def require_found(self, count: int) -> None:
        """Refuses a site of which nothing was read.

        Args:
            count: the articles, or the references, that were found.

        Raises:
            ConfigError: none was; the message says where it looked and for what.
        """
        if count:
            return
        roots = ", ".join(str(scanner._site.root) for scanner in (self, *self._others))  # noqa: SLF001
        left_out = ", ".join(self._layout.left_out)
        raise ConfigError(
            f"no article found in {roots}: looked for {', '.join(self._globs)}, and not in folders named {left_out};"
            " name the folder of the site, or set `articles` in imgcache.yml"
        )

    def read_changed(self, catalogue: Catalogue, scan: ScanResult, on_article: Callable[[], None]) -> None:
        """Read what changed in its own site into the catalogue; one step of `scan`."""
        changed = self._changed(catalogue, scan, on_article)
        first = next(changed, None)
        if first is None:
            return
        from imgcache.scanner.pool import read_all

        with contextlib.closing(read_all(self._reader, itertools.chain([first], changed))) as batches:
            for batch in batches:
                self._put(batch, catalogue)
                scan.read += len(batch)

    def _put(self, batch: list[ReadArticle], catalogue: Catalogue) -> None:
        for article in batch:
            if article.trace:
                log(article.file.path, article.trace)
        catalogue.articles.put(self._prefixed(batch))

    def _changed(self, catalogue: Catalogue, scan: ScanResult, on_article: Callable[[], None]) -> Iterator[ArticleStat]:
        is_first = catalogue.articles.is_empty()
        walk = self._files()
        while files := list(itertools.islice(walk, _LOOKUP)):
            for file in files:
                if file.is_template or file.is_data:
                    scan.templates += 1
                else:
                    scan.articles += 1
                    on_article()
            yield from files if is_first else self._unread(files, catalogue)

    def _unread(self, files: list[ArticleStat], catalogue: Catalogue) -> Iterator[ArticleStat]:
        prefix = self.prefix
        named = [file._replace(path=prefix + file.path) for file in files] if prefix else files
        for file in catalogue.articles.changed(named):
            yield file._replace(path=file.path.removeprefix(prefix)) if prefix else file

    def _prefixed(self, articles: list[ReadArticle]) -> list[ReadArticle]:
        """Add the prefix to paths, and to own images: the same URL is another file in another site."""
        prefix = self.prefix
        if not prefix:
            return articles
        return [
            msgspec.structs.replace(
                article,
                file=article.file._replace(path=prefix + article.file.path),
                references=[
                    msgspec.structs.replace(mention, base=prefix + mention.base)
                    if mention.kind == Kind.OWN
                    else mention
                    for mention in article.references
                ],
            )
            for article in articles
        ]

    def reread(self, paths: Iterable[str], catalogue: Catalogue) -> None:
        """Read articles of its site again after they were written. `paths` are those of the catalogue."""
        files = (_file_at(self._site.root, path.removeprefix(self.prefix)) for path in paths)
        while batch := list(itertools.islice(files, _REREAD)):
            self._put(self._reader.read(batch), catalogue)


def _file_at(root: Path, path: str) -> ArticleStat:
    is_data = is_data_file(path)
    try:
        stat = (root / path).stat()
    except OSError:  # deleted since it was written; reading it reports that
        return ArticleStat(path, 0, 0, is_data=is_data)
    return ArticleStat(path, stat.st_mtime_ns, stat.st_size, is_data=is_data)
