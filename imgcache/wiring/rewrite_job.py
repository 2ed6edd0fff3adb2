"""Runs a rewrite: a sync of the images that pages load, then the pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from pathlib import Path

import msgspec

from imgcache.cache import BuiltCounts
from imgcache.core import Place, Problem, Severity, without_credentials
from imgcache.manifest import ManifestEntry
from imgcache.publisher.rewrite import (
    BuiltFolder,
    BuiltScanner,
    FolderTask,
    PagePool,
    PageWriter,
    RewriteReport,
    broken_checksums,
    images_in_scripts,
    no_address,
    published_copies,
    stale_precaches,
)
from imgcache.runners import Progress
from imgcache.wiring.open_cache import OpenCache, folder_with
from imgcache.wiring.rewrite_site import DEFAULT_FOLDER
from imgcache.wiring.sync import SyncRequest, build_sync
from imgcache.wiring.workspace import Clock, Workspace

_REMOTE = "remote-image"  # the code of what --check finds


class RewriteRequest(msgspec.Struct, frozen=True):
    """The options of one rewrite.

    Attributes:
        to: where images are copied, relative to the built folder.
        assets_url: where that folder is published, if not in the built folder.
        check: change nothing, and report what could be local.
        sync: how images are fetched. With `dry_run`, no page is written either.
    """

    to: str = DEFAULT_FOLDER
    assets_url: str = ""
    check: bool = False
    sync: SyncRequest = SyncRequest()

    @property
    def only_reads(self) -> bool:
        """Whether no file may be written."""
        return self.check or self.sync.dry_run


class RewriteJob:
    """One rewrite over an open cache.

    Attributes:
        report: what the run did so far.
    """

    def __init__(
        self,
        *,
        request: RewriteRequest,
        site: Workspace,
        folder: BuiltFolder,
        cache: OpenCache,
        pool: PagePool,
        task: FolderTask,
        progress: Progress,
        clock: Clock,
    ) -> None:
        self._request = request
        self._site = site
        self._folder = folder
        self._cache = cache
        self._pool = pool
        self._task = task
        self._progress = progress
        self._clock = clock
        self._scanner = BuiltScanner(folder, pool, cache.index)
        self._prefix = folder.prefix(site.root)
        self.report = RewriteReport(dry_run=request.only_reads or msgspec.UNSET)

    async def run(self) -> RewriteReport:
        """Run the rewrite.

        Raises:
            CancelledError: the run was cancelled. What was finished is kept.
        """
        started = time.monotonic()
        try:
            if self._request.check:
                self._check()
            else:
                await self._rewrite()
        finally:
            self.report.problems = [self._with_prefix(problem) for problem in self.report.problems]
            self.report.seconds = round(time.monotonic() - started, 3)
        return self.report

    def _check(self) -> None:
        catalogue = self._cache.catalogue
        self._scanner.require_articles(self._scanner.scan(catalogue, self._progress.scanned), catalogue)
        self._count(catalogue.built.counts())
        self.report.left = self.report.references
        for url, places in _by_url(catalogue.built.remote_places(is_local_possible=True)):
            if self._may_be_local(url):
                message = "is loaded from its host; `imgcache rewrite` makes it local"
                self.report.problems.append(Problem(_REMOTE, without_credentials(url), message, references=places))
        self.report.problems += self._folder_problems()

    def _may_be_local(self, url: str) -> bool:
        """Return whether an image is held or may be fetched: the user did not forbid it, and no try failed."""
        index = self._cache.index
        return index.copy(url) is not None or not (index.forgotten(url) or index.failure(url))

    async def _rewrite(self) -> None:
        request, report = self._request.sync, self.report
        config = self._site.config
        sync = build_sync(self._cache, config, request, self._progress, self._clock, scanner=self._scanner)
        try:
            await sync.run()
        finally:
            report.fetched, report.failed = sync.report.fetched, sync.report.failed
            report.problems = list(sync.report.problems)
        before = self._cache.catalogue.built.counts()
        self._count(before)
        if request.dry_run:
            report.changed, report.rewritten = before.ready_pages, before.ready
            report.left = before.references - before.ready
        else:
            await self._write_pages(before)
        report.problems = [self._with_new_places(problem) for problem in report.problems]
        report.problems += self._folder_problems()
        if request.offline:
            report.problems += self._not_held()

    def _count(self, before: BuiltCounts) -> None:
        self.report.pages = self._cache.catalogue.articles.count_files()
        self.report.references, self.report.images = before.references, before.images

    async def _write_pages(self, before: BuiltCounts) -> None:
        cache, report, target = self._cache, self.report, self._folder.root / self._request.to
        self._folder.remove_unfinished()
        with folder_with(self._site, {}, target) as files:
            writer = PageWriter(
                root=self._folder.root,
                cache=files,
                bring_files=self._downloads(files, target),
                target=self._request.to,
                catalogue=cache.catalogue,
                index=cache.index,
                pool=self._pool,
                automatic={recipe.name for recipe in self._site.config.variants if recipe.format == "auto"},
            )
            try:
                await writer.run()
            finally:
                report.changed = len(writer.changed)
                report.left = cache.catalogue.built.counts().references
                report.rewritten = max(before.references - report.left, 0)
                report.problems += writer.problems
                report.problems += broken_checksums(self._scanner.integrity, writer.changed)
                report.problems += stale_precaches(self._folder, writer.changed)

    def _downloads(self, folder: Path, earlier: Path) -> Callable[[Collection[str]], None]:
        """Return what downloads files from an object store into `folder`; a cache in a folder has them already."""
        if self._site.bucket_url is None:
            return lambda _: None
        from imgcache.cache import connect_bucket, mirror_files

        bucket, index = connect_bucket(self._site.bucket_url), self._cache.index

        def download(files: Collection[str]) -> None:
            sizes: dict[str, int] = {}
            for digest in {file.split("/")[1] for file in files}:
                asset = index.asset(digest)
                sizes |= ManifestEntry.of(asset).files() if asset else {}
            wanted = {path: sizes[path] for path in (f"assets/{file}" for file in files) if path in sizes}
            mirror_files(bucket, wanted, folder, earlier)

        return download

    def _folder_problems(self) -> Iterator[Problem]:
        """Yields what is wrong with files of the built folder, whether pages are written or not."""
        catalogue = self._cache.catalogue
        yield from self._scanner.problems()
        yield from catalogue.built.notes()
        yield from published_copies(self._folder, self._site.root, self._site.own_cache)
        yield from images_in_scripts(self._folder, lambda url: catalogue.images.number(url) is not None)
        if not self._task.options.site_url and not self._task.options.assets_url:
            places = (place for _, place in catalogue.built.remote_places(is_local_possible=False))
            yield from no_address(places)

    def _not_held(self) -> Iterator[Problem]:
        """Yields the images that an offline run leaves on their hosts because no copy is held."""
        known = {problem.url for problem in self.report.problems}
        for url, places in _by_url(self._cache.catalogue.built.remote_places(is_local_possible=True)):
            shown = without_credentials(url)
            if self._cache.index.copy(url) is None and shown not in known:
                message = "no copy is held, and --offline fetches nothing: run `imgcache rewrite` without it"
                yield Problem("not-held", shown, message, severity=Severity.WARNING, references=places)

    def _with_new_places(self, problem: Problem) -> Problem:
        """Return a problem with the places that its image has after pages were written, which moves columns."""
        places = self._cache.catalogue.references.places(problem.url) if problem.url else ()
        return msgspec.structs.replace(problem, references=places) if places else problem

    def _with_prefix(self, problem: Problem) -> Problem:
        """Return a problem with paths relative to the site, or absolute if the built folder is elsewhere."""
        places = tuple(
            msgspec.structs.replace(place, article=f"{self._prefix}{place.article}") for place in problem.references
        )
        return msgspec.structs.replace(problem, references=places)


def _by_url(found: Iterable[tuple[str, Place]]) -> Iterator[tuple[str, tuple[Place, ...]]]:
    for url, group in groupby(found, key=lambda one: one[0]):
        yield url, tuple(place for _, place in group)
