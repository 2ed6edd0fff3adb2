"""Writes rewritten pages: first the files that they refer to, then compressed copies, then the page itself.

If the process is killed, whole pages with all their files are left. Each file is replaced in one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from imgcache.cache import BUILT_FIELD, Catalogue, CopyUrls, Index
from imgcache.core import OutputFolder, Place, Problem, disk_errors
from imgcache.manifest import ManifestEntry
from imgcache.publisher import placement
from imgcache.publisher.rewrite.compressed_copies import refresh_compressed_copies
from imgcache.publisher.rewrite.offers import Held, held
from imgcache.publisher.rewrite.reading import same_file
from imgcache.publisher.rewrite.records import FoundPage, PageJob, RewrittenPage
from imgcache.publisher.rewrite.scan import UNREADABLE, record_pages
from imgcache.publisher.rewrite.workers import PagePool

_CHANGED = "article-changed"
_CHANGED_MESSAGE = "was changed while it was rewritten; it is left as it is, run again"
# Some file systems write a file out when it replaces another (ext4(5), auto_da_alloc): 4 ms a page, side by side.
_THREADS = 8
_MAX_WAITING = 64  # pages that are being written while further ones are computed; 2 MB
_KNOWN_IMAGES = 2048
_RECORDED_AT_ONCE = 8  # batches in one transaction


class PageWriter:
    """Rewrites the pages of one folder.

    Attributes:
        changed: the paths of the files that were written.
        problems: files that were left as they were.
    """

    def __init__(
        self,
        *,
        root: Path,
        cache: Path,
        bring_files: Callable[[Collection[str]], None],
        target: str,
        catalogue: Catalogue,
        index: Index,
        pool: PagePool,
        automatic: Collection[str],
    ) -> None:
        """Take the parts.

        Args:
            root: the built folder.
            cache: a folder whose `assets/` has the files of the images.
            bring_files: copies files into `assets/` before they are used; paths are relative to it.
            target: where these files are put, relative to `root`.
            catalogue: what was found in the files of the folder; gets what is written.
            index: the records of the images.
            pool: computes the new bytes.
            automatic: the names of the variants whose format is `auto`.
        """
        self._root = root
        self._assets = cache / "assets"
        self._cache = cache
        self._bring_files = bring_files
        self._target = root / target
        self._catalogue = catalogue
        self._index = index
        self._pool = pool
        self._automatic = automatic
        self._copies = CopyUrls(index)
        self._held = functools.lru_cache(maxsize=_KNOWN_IMAGES)(self._offer)
        self._placed: set[str] = set()
        self._waiting: deque[tuple[str, Future[FoundPage | None]]] = deque()
        self._written: list[FoundPage] = []
        self._remote: list[str] = []
        self.changed: set[str] = set()
        self.problems: list[Problem] = []

    async def run(self) -> None:
        """Rewrite every page that loads a remote image which is held, then remove files to which no page refers.

        Raises:
            DiskFull: the folder cannot be written.
        """
        with disk_errors(self._root), OutputFolder(self._root) as root, contextlib.ExitStack() as stack:
            threads = stack.enter_context(ThreadPoolExecutor(_THREADS))
            assets: OutputFolder | None = None
            batches = stack.enter_context(contextlib.closing(self._pool.map("rewrite", self._jobs())))
            try:
                for number, batch in enumerate(batches, 1):
                    if assets is None:
                        assets = stack.enter_context(OutputFolder(self._target))
                        placement.start_listing(assets)
                    self._write_batch(batch, root, assets, threads)
                    if number % _RECORDED_AT_ONCE == 0:
                        self._record()
                    await asyncio.sleep(0)  # a signal may end the run here
            finally:
                try:
                    self._collect()
                finally:
                    self._record()
        self._tidy()

    def _jobs(self) -> Iterator[PageJob]:
        after = ""
        while pages := self._catalogue.built.ready_pages(after):
            after = pages[-1][0]
            for path, digest, urls in pages:
                images = {url: image for url in urls if (image := self._held(url)) is not None}
                if images:
                    yield PageJob(path, digest, images)

    def _offer(self, url: str) -> Held | None:
        copy = self._index.copy(url)
        asset = self._index.asset(copy.digest) if copy else None
        return held(url, ManifestEntry.of(asset), self._automatic) if asset else None

    def _write_batch(
        self, batch: Sequence[RewrittenPage], root: OutputFolder, assets: OutputFolder, threads: ThreadPoolExecutor
    ) -> None:
        asked = {file for page in batch if page.found is not None for file in page.found.files} - self._placed
        if asked:
            self._bring_files(asked)
        for page in batch:
            if page.is_stale:
                self._leave(page.path, _CHANGED, _CHANGED_MESSAGE)
            elif page.error is not None:
                self._leave(page.path, UNREADABLE, page.error.message, page.error.line, page.error.column)
            elif page.data is None or page.found is None:
                self._remote.append(page.path)
            elif self._has_files(page, assets):
                self._waiting.append((page.path, threads.submit(_write, root, page)))
        self._collect(_MAX_WAITING)

    def _collect(self, leave: int = 0) -> None:
        """Wait until at most `leave` pages are still being written. Raises OSError if a page cannot be written."""
        while len(self._waiting) > leave:
            path, written = self._waiting.popleft()
            found = written.result()
            if found is None:
                self._leave(path, _CHANGED, _CHANGED_MESSAGE)
            else:
                self._written.append(found)

    def _record(self) -> None:
        """Record in one transaction what became of the pages since the last one."""
        with self._catalogue.transaction():
            record_pages(self._written, self._catalogue, self._copies)
            self._catalogue.built.leave_remote(self._remote)
        self.changed.update(page.path for page in self._written)
        self._written, self._remote = [], []

    def _has_files(self, page: RewrittenPage, assets: OutputFolder) -> bool:
        """Put the files of a page where it refers to them; return False if the cache lacks one."""
        files = [file for file in page.found.files if file not in self._placed] if page.found else []
        gone = [file for file in files if not (self._assets / file).is_file() and assets.stat(file) is None]
        if gone:
            message = f"needs assets/{gone[0]}, which the cache lacks; `imgcache verify --repair` restores it"
            self._leave(page.path, "missing-file", message)
            return False
        placement.add_files(files, self._assets, assets, self._target)
        self._placed.update(files)
        return True

    def _leave(self, path: str, code: str, message: str, line: int = 1, column: int = 1) -> None:
        self.problems.append(Problem(code, None, message, references=(Place(path, line, column, BUILT_FIELD),)))

    def _tidy(self) -> None:
        asked = self._catalogue.built.files()
        if asked or (self._target / placement.LISTING).is_file():
            self._bring_files([path for path in asked if not (self._target / path).is_file()])
            done = placement.place_assets(asked, self._cache, self._target, force=False, keep_placed=True)
            for path in done.missing:
                message = f"a page needs assets/{path}, which the cache lacks; `imgcache verify --repair` restores it"
                self.problems.append(Problem("missing-file", None, message))


def _write(root: OutputFolder, page: RewrittenPage) -> FoundPage | None:
    """Write a page and its compressed copies; return None if it was changed since it was read."""
    if page.data is None or page.found is None:
        return None
    try:
        with root.parent_of(page.path) as (folder, name):
            before = folder.stat(name)
            if before is None or not same_file(before, page.identity):
                return None
            refresh_compressed_copies(folder, name, page.data)
            after = folder.replace(name, page.data, before)
    except FileNotFoundError:  # its folder was removed
        return None
    return None if after is None else msgspec.structs.replace(page.found, mtime_ns=after.st_mtime_ns)
