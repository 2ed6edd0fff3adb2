"""Walks a site and reads the articles that changed: their references go into the catalogue."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pathspec

from imgcache.catalogue import Catalogue, File
from imgcache.errors import ConfigError
from imgcache.read_pool import read_all
from imgcache.reader import Reader
from imgcache.site import Site

# Never entered, wherever they stand: repositories, built sites, other people's code.
NEVER_ENTERED = frozenset({".git", "_site", "node_modules", "vendor"})


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
        self._reader = Reader(site, flag)
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
            with contextlib.closing(read_all(self._reader, self._changed(catalogue, scan, on_article))) as batches:
                for batch in batches:
                    catalogue.put_articles(batch)
                    scan.read += len(batch)
            if scan.articles < catalogue.counts()["articles"]:
                present = {file.path for file in self.walk()}
                gone = [path for path in catalogue.article_paths() if path not in present]
                catalogue.drop_articles(gone)
                scan.dropped = len(gone)
            if scan.read or scan.dropped:
                catalogue.drop_unused_images()
        return scan

    def _changed(self, catalogue: Catalogue, scan: Scan, on_article: Callable[[], None]) -> Iterator[File]:
        is_first = not catalogue.counts()["articles"]
        for file in self.walk():
            scan.articles += 1
            on_article()
            if is_first or not catalogue.is_unchanged(file):
                yield file

    def reread(self, path: str, catalogue: Catalogue) -> None:
        """Read one article again, after it was written."""
        stat = (self._site.root / path).stat()
        catalogue.put_articles([self._reader.read(File(path, stat.st_mtime_ns, stat.st_size))])
