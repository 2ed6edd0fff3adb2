"""Reads the files of a built folder that changed, and records what they load in the catalogue."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from imgcache.cache import (
    BUILT_FIELD,
    ArticleStat,
    BuiltPage,
    Catalogue,
    CopyUrls,
    Index,
    ReadArticle,
    ReadError,
    ReferenceRow,
)
from imgcache.core import Kind, Place, Problem, Severity, host_if_any
from imgcache.publisher.rewrite.records import FoundImage, FoundPage, Integrity
from imgcache.publisher.rewrite.walk import BuiltFolder, is_page
from imgcache.publisher.rewrite.workers import PagePool
from imgcache.scanner import ScanResult

UNREADABLE = "article-unreadable"
_LOOKED_UP = 500  # files that are compared with the catalogue at once


class BuiltScanner:
    """Brings the catalogue of a built folder up to date.

    Attributes:
        integrity: places, in the files that the last scan read, where a file is named with its checksum.
    """

    def __init__(self, folder: BuiltFolder, pool: PagePool, index: Index) -> None:
        self._folder = folder
        self._pool = pool
        self._index = index
        self._copies = CopyUrls(index)
        self._has_pages = False
        self.integrity: list[tuple[str, Integrity]] = []

    def scan(self, catalogue: Catalogue, on_article: Callable[[], None] = lambda: None) -> ScanResult:
        """Read the files that changed, and drop those that are gone."""
        scan, was_bare = ScanResult(), catalogue.articles.is_empty()
        present: set[str] = set()
        catalogue.built.prepare()
        with catalogue.transaction(), catalogue.articles.bulk_insert():
            changed = self._changed(catalogue, scan, present, on_article)
            with contextlib.closing(self._pool.map("find", changed)) as batches:
                for batch in batches:
                    self._put(batch, catalogue)
                    scan.read += len(batch)
            if scan.articles < catalogue.articles.count_files():
                gone = [path for path in catalogue.articles.paths() if path not in present]
                catalogue.articles.drop(gone)
                catalogue.built.drop_missing()
                scan.dropped = len(gone)
            if (scan.read and not was_bare) or scan.dropped:
                catalogue.drop_unused_images()
            catalogue.sites.mark_scanned()
        self._share_copies(catalogue)
        return scan

    def require_articles(self, scan: ScanResult, catalogue: Catalogue) -> None:  # noqa: ARG002 (as of any scanner)
        """Check that there is a page.

        Raises:
            ConfigError: the folder has none.
        """
        if not self._has_pages:
            raise self._folder.without_pages()

    def problems(self) -> Iterator[Problem]:
        """Yield the links that lead out of the folder: what they lead to is not changed."""
        for path in self._folder.outside:
            message = "is a link that leads out of the built folder; what it leads to is left as it is"
            place = Place(path, 1, 1, BUILT_FIELD)
            yield Problem(UNREADABLE, None, message, severity=Severity.WARNING, references=(place,))

    def _changed(
        self, catalogue: Catalogue, scan: ScanResult, present: set[str], on_article: Callable[[], None]
    ) -> Iterator[ArticleStat]:
        is_first = catalogue.articles.is_empty()
        walk = self._folder.files()
        while files := list(itertools.islice(walk, _LOOKED_UP)):
            for file in files:
                scan.articles += 1
                present.add(file.path)
                self._has_pages = self._has_pages or is_page(file.path)
                on_article()
            yield from files if is_first else catalogue.articles.changed(files)

    def _share_copies(self, catalogue: Catalogue) -> None:
        """Record the copies of images under their URLs in pages too, where articles write these in another way.

        Also for pages that were read before the copy was there.
        """
        with self._index.batch():
            for image in catalogue.images.remote():
                url = catalogue.images.url(image.image) if image.digest is None else ""
                copy = self._index.copy(self._copies.recorded(url)) if url else None
                if copy is not None:
                    self._index.put_copy(url, copy)

    def _put(self, pages: Sequence[FoundPage], catalogue: Catalogue) -> None:
        self.integrity += [(page.path, one) for page in pages for one in page.integrity]
        record_pages(pages, catalogue, self._copies)


def record_pages(pages: Iterable[FoundPage], catalogue: Catalogue, copies: CopyUrls) -> None:
    """Record files as they are now. Call it in a transaction."""
    pages = list(pages)
    catalogue.articles.put([_article(page, copies) for page in pages])
    catalogue.built.put(BuiltPage(page.path, page.files, _error(page)) for page in pages)


def _article(page: FoundPage, copies: CopyUrls) -> ReadArticle:
    named = ((one.url or copies.of_digest(one.digest), one) for one in page.images)
    references = [_reference(url, image) for url, image in named if url]
    return ReadArticle(ArticleStat(page.path, page.mtime_ns, page.size), page.digest, "", references)


def _reference(url: str, image: FoundImage) -> ReferenceRow:
    is_local = bool(image.digest)
    return ReferenceRow(
        url=url,
        base="",
        kind=Kind.REMOTE.value,
        host=_host(url),
        line=image.line,
        column=image.column,
        field=BUILT_FIELD,
        width=None,
        height=None,
        is_cached=is_local if is_local or image.is_possible else None,
        flaggable=False,
    )


@functools.lru_cache(maxsize=4096)  # the pages of a site share most of their images
def _host(url: str) -> str:
    return host_if_any(url)


def _error(page: FoundPage) -> ReadError | None:
    error = page.error
    return ReadError(UNREADABLE, error.message, error.line, error.column) if error else None
