"""Builds a rewrite: what pages load is fetched by the parts of a sync, then the pages are rewritten."""

from __future__ import annotations

import filecmp
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path, PurePosixPath

import msgspec

from imgcache.cache import BuiltCounts
from imgcache.core import (
    MODERN_FORMATS,
    ConfigError,
    OutputFolder,
    Place,
    Problem,
    Severity,
    VariantFormat,
    display_path,
    raise_descriptor_limit,
    without_credentials,
)
from imgcache.core.version import __version__
from imgcache.downloader import ConnectTo
from imgcache.manifest import ManifestEntry
from imgcache.publisher.rewrite import (
    BuiltFolder,
    BuiltScanner,
    FolderTask,
    Options,
    PagePool,
    PageWriter,
    RewriteReport,
    broken_checksums,
    images_in_scripts,
    no_address,
    stale_precaches,
    structural,
)
from imgcache.runners import Progress
from imgcache.wiring.ignoring import keep_out_of_git
from imgcache.wiring.open_cache import OpenCache, folder_with, open_for_reading, open_for_writing
from imgcache.wiring.sync import SyncRequest, build_sync
from imgcache.wiring.workspace import BuiltSite, Clock, Workspace

DEFAULT_FOLDER = "assets/imgcache"  # in the built folder
REMOTE = "remote-image"  # the code of what --check finds


class RewriteRequest(msgspec.Struct, frozen=True):
    """What the flags of `imgcache rewrite` ask for. `to` is relative to the built folder. Times in seconds."""

    to: str = DEFAULT_FOLDER
    assets_url: str = ""
    check: bool = False
    dry_run: bool = False
    offline: bool = False
    refresh: bool = False
    jobs: int | None = None
    max_time: float | None = None
    max_bytes: int | None = None
    connect_to: tuple[ConnectTo, ...] = ()

    @property
    def touches_nothing(self) -> bool:
        """Whether no file may be written."""
        return self.check or self.dry_run


class RewriteJob:
    """One rewrite over parts that are open."""

    def __init__(
        self,
        *,
        request: RewriteRequest,
        site: Workspace,
        folder: BuiltFolder,
        house: OpenCache,
        pool: PagePool,
        task: FolderTask,
        progress: Progress,
        clock: Clock,
    ) -> None:
        self._request = request
        self._site = site
        self._folder = folder
        self._house = house
        self._pool = pool
        self._task = task
        self._progress = progress
        self._clock = clock
        self._scanner = BuiltScanner(folder, pool, house.index)
        self._prefix = folder.prefix(site.root)
        self.report = RewriteReport(dry_run=request.touches_nothing or msgspec.UNSET)

    async def run(self) -> RewriteReport:
        """Do it all. Cancelled, it keeps what is finished, and raises CancelledError."""
        started = time.monotonic()
        try:
            if self._request.check:
                self._check()
            else:
                await self._rewrite()
        finally:
            self.report.problems = [self._placed(problem) for problem in self.report.problems]
            self.report.seconds = round(time.monotonic() - started, 3)
        return self.report

    def _check(self) -> None:
        catalogue = self._house.catalogue
        self._scanner.require_articles(self._scanner.scan(catalogue, self._progress.scanned), catalogue)
        self._count(catalogue.built.counts())
        self.report.left = self.report.references
        for url, places in _by_url(catalogue.built.remote_places(is_local_possible=True)):
            if self._is_possible(url):
                message = "is loaded from its host; `imgcache rewrite` makes it local"
                self.report.problems.append(Problem(REMOTE, without_credentials(url), message, references=places))
        self.report.problems += self._found_problems()

    def _is_possible(self, url: str) -> bool:
        """Whether an image is held, or may be: not where somebody forbade it, or the last try was in vain."""
        index = self._house.index
        return index.copy(url) is not None or not (index.forgotten(url) or index.failure(url))

    async def _rewrite(self) -> None:
        house, request, report = self._house, self._request, self.report
        config = self._site.config
        sync = build_sync(house, config, _sync_request(request), self._progress, self._clock, scanner=self._scanner)
        try:
            fetched = await sync.run()
        finally:
            report.fetched, report.failed = sync.report.fetched, sync.report.failed
            report.problems = list(sync.report.problems)
        report.pages = fetched.articles
        before = house.catalogue.built.counts()
        self._count(before)
        if request.dry_run:
            report.changed, report.rewritten = before.ready_pages, before.ready
            report.left = before.references - before.ready
        elif before.ready or self._folder.unfinished or fetched.articles:
            await self._write_pages(before)
        report.problems = [self._replaced(problem) for problem in report.problems]
        report.problems += self._found_problems()
        if request.offline:
            report.problems += self._not_held()

    def _count(self, before: BuiltCounts) -> None:
        self.report.pages = self._house.catalogue.articles.count_files()
        self.report.references, self.report.images = before.references, before.images

    async def _write_pages(self, before: BuiltCounts) -> None:
        house, request, report = self._house, self._request, self.report
        self._remove_unfinished()
        with folder_with(self._site, self._sizes(), self._folder.root / request.to) as cache:
            writer = PageWriter(
                root=self._folder.root,
                cache=cache,
                target=request.to,
                catalogue=house.catalogue,
                index=house.index,
                pool=self._pool,
                automatic={recipe.name for recipe in self._site.config.variants if recipe.format == "auto"},
            )
            try:
                await writer.run()
            finally:
                report.changed = len(writer.changed)
                report.left = house.catalogue.built.counts().references
                report.rewritten = max(before.references - report.left, 0)
                report.problems += writer.problems
                report.problems += broken_checksums(self._scanner.integrity, writer.changed)
                report.problems += stale_precaches(self._folder, writer.changed)

    def _sizes(self) -> dict[str, int]:
        """What an object store has to send: the files of the images that pages use. A folder has them."""
        if self._site.bucket_url is None:
            return {}
        index = self._house.index
        assets = (index.asset(digest) for _, _, digest in self._house.catalogue.images.held())
        return {path: size for asset in assets if asset for path, size in ManifestEntry.of(asset).files()}

    def _remove_unfinished(self) -> None:
        if self._folder.unfinished:
            with OutputFolder(self._folder.root) as root:
                for path in self._folder.unfinished:
                    root.remove(path)

    def _found_problems(self) -> Iterator[Problem]:
        """What is wrong with files of the folder, whatever is done."""
        catalogue = self._house.catalogue
        yield from self._scanner.problems()
        yield from catalogue.built.notes()
        yield from images_in_scripts(self._folder, lambda url: catalogue.images.number(url) is not None)
        if not self._task.options.site_url and not self._task.options.assets_url:
            places = (place for _, place in catalogue.built.remote_places(is_local_possible=False))
            yield from no_address(places)

    def _not_held(self) -> Iterator[Problem]:
        """Yields the images that an offline run leaves on their hosts because no copy is held."""
        known = {problem.url for problem in self.report.problems}
        for url, places in _by_url(self._house.catalogue.built.remote_places(is_local_possible=True)):
            shown = without_credentials(url)
            if self._house.index.copy(url) is None and shown not in known:
                message = "no copy is held, and --offline fetches nothing: run `imgcache rewrite` without it"
                yield Problem("not-held", shown, message, severity=Severity.WARNING, references=places)

    def _replaced(self, problem: Problem) -> Problem:
        """With the places of its image after pages were written, which moves columns."""
        places = self._house.catalogue.references.places(problem.url) if problem.url else ()
        return msgspec.structs.replace(problem, references=places) if places else problem

    def _placed(self, problem: Problem) -> Problem:
        """With paths relative to SITE, or absolute for a folder elsewhere."""
        places = tuple(
            msgspec.structs.replace(place, article=f"{self._prefix}{place.article}") for place in problem.references
        )
        return msgspec.structs.replace(problem, references=places)


@contextmanager
def prepare_rewrite(
    built: Path, site: Workspace, request: RewriteRequest, progress: Progress, clock: Clock
) -> Iterator[RewriteJob]:
    """A rewrite of one folder, ready to run.

    Raises:
        CacheBusy: another run holds the cache.
        ConfigError: the folder lies in the cache.
    """
    raise_descriptor_limit()
    folder = BuiltFolder(built, left_out=[site.cache, site.own_cache, built / request.to])
    if folder.root.is_relative_to(os.path.realpath(site.cache)):
        raise ConfigError("lies in the cache; name the folder that a generator wrote", where=display_path(folder.root))
    task = FolderTask(str(folder.root), site.config.site_url, _options(site, request, folder))
    ground = msgspec.structs.replace(site, root=folder.root)
    of_site = BuiltSite(site, _scope(task))
    opened = (
        open_for_reading(ground, built=of_site)
        if request.touches_nothing
        else open_for_writing(ground, "rewrite", clock, built=of_site)
    )
    with ExitStack() as stack:
        house = stack.enter_context(opened)
        if not request.touches_nothing:
            keep_out_of_git(site)
        pool = stack.enter_context(PagePool(task, request.jobs))
        yield RewriteJob(
            request=request,
            site=site,
            folder=folder,
            house=house,
            pool=pool,
            task=task,
            progress=progress,
            clock=clock,
        )


def _options(site: Workspace, request: RewriteRequest, folder: BuiltFolder) -> Options:
    address = site.config.site_url or ""
    policy = site.config.rewrite
    return Options(
        assets=request.to,
        assets_url=request.assets_url,
        site_url=address.rstrip("/") if "://" in address else "",
        links=policy.links,
        picture=policy.picture,
        styles=policy.styles,
        placeholder=policy.placeholder,
        structural=_structural(folder) if policy.picture and _has_several_formats(site) else (),
    )


def _has_several_formats(site: Workspace) -> bool:
    """Whether images may be offered in several formats, so that a `<picture>` may stand around an `<img>`."""
    formats = {recipe.format for recipe in site.config.variants}
    return VariantFormat.BEST in formats or len(formats.intersection(MODERN_FORMATS)) > 1


def _structural(folder: BuiltFolder) -> tuple[str, ...]:
    return tuple(sorted({selector for sheet in folder.sheets() for selector in structural(sheet)}))


def _scope(task: FolderTask) -> str:
    return hashlib.sha256(msgspec.json.encode((__version__, task))).hexdigest()


def _sync_request(request: RewriteRequest) -> SyncRequest:
    return SyncRequest(
        refresh=request.refresh,
        offline=request.offline,
        dry_run=request.dry_run,
        jobs=request.jobs,
        max_time=request.max_time,
        max_bytes=request.max_bytes,
        connect_to=request.connect_to,
    )


def _by_url(found: Iterable[tuple[str, Place]]) -> Iterator[tuple[str, tuple[Place, ...]]]:
    for url, group in groupby(found, key=lambda one: one[0]):
        yield url, tuple(place for _, place in group)


def site_of(built: Path) -> Path:
    """Returns the nearest folder at or above `built` with an imgcache.yml or a cache, else the working directory."""
    return nearest_site(built) or Path()


def nearest_site(folder: Path) -> Path | None:
    """Returns the nearest folder at or above `folder` with an imgcache.yml or a cache, None where there is none."""
    folder = folder.resolve()
    found = (one for one in (folder, *folder.parents) if (one / "imgcache.yml").is_file() or (one / "cache").is_dir())
    nearest, above = next(found, None), next(found, None)
    return above if nearest == folder and above is not None and _is_copy(folder, above) else nearest


def _is_copy(built: Path, site: Path) -> bool:
    """Whether the settings and the cache in a built folder are copies of the site's: Jekyll copies both."""
    names = [name for name in ("imgcache.yml", "cache/manifest.json") if (built / name).is_file()]
    return all((site / name).is_file() and filecmp.cmp(built / name, site / name, shallow=False) for name in names)


def check_target(text: str) -> str:
    """Returns the path in the built folder to which images are copied. Raises ConfigError if it is not inside."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or not text.isprintable():
        raise ConfigError(f"{text!r} is not a path inside BUILT, such as {DEFAULT_FOLDER}", where="--to")
    return path.as_posix()
