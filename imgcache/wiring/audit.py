"""Builds an audit, from the options of the command line or of the Python API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from imgcache.auditor import (
    AuditHistory,
    Auditor,
    AuditPolicy,
    ProbeResult,
    RemoteChecks,
    remaining_findings,
)
from imgcache.config import Config
from imgcache.core import AuditReport, ReaderPage
from imgcache.downloader import ConnectTo
from imgcache.policy import SyncPolicy
from imgcache.runners import Progress, WorkerGroup
from imgcache.wiring.factories import build_prober
from imgcache.wiring.open_cache import OpenCache, open_for_reading, open_for_writing
from imgcache.wiring.option_values import parse_connect_to
from imgcache.wiring.workspace import Clock, Workspace

if TYPE_CHECKING:
    from imgcache.auditor import FixResult


class AuditRequest(msgspec.Struct, frozen=True):
    """The options of one audit."""

    offline: bool = False
    fix: bool = False
    connect_to: tuple[ConnectTo, ...] = ()
    dask: str | None = None
    built: Path | None = None

    @classmethod
    def from_options(
        cls,
        *,
        offline: bool = False,
        fix: bool = False,
        connect_to: str | Iterable[str] = (),
        dask: str | None = None,
        built: Path | None = None,
    ) -> Self:
        """Parse options as people write them. Raises ConfigError."""
        return cls(offline=offline, fix=fix, connect_to=parse_connect_to(connect_to), dask=dask, built=built)


@contextmanager
def prepare_audit(
    workspace: Workspace, request: AuditRequest, progress: Progress, clock: Clock
) -> Iterator[tuple[OpenCache, Auditor]]:
    """Open the cache and build an audit. An offline audit changes nothing, unless it is to fix articles.

    Raises:
        CacheBusy: another run holds the cache.
        ConfigError: the cache or the workers cannot be used.
    """
    only_reads = request.offline and not request.fix
    pages = built_pages(workspace, request.built) if request.built else None
    opening = (
        open_for_reading(workspace) if only_reads else open_for_writing(workspace, "audit", clock, stores=request.fix)
    )
    with opening as cache, _connect_workers(workspace.config, request) as workers:
        auditor = build_audit(cache, workspace.config, request, progress, clock, workers=workers, pages=pages)
        yield cache, auditor


def built_pages(workspace: Workspace, built: Path) -> Callable[[], Iterable[ReaderPage]]:
    """Returns what reads the pages of a built folder when the rest of an audit is done.

    Raises:
        ConfigError: the folder has no HTML page.
    """
    from imgcache.publisher.rewrite import BuiltFolder, FolderTask, Options, ReaderPages

    folder = BuiltFolder(built, left_out=[workspace.cache, workspace.own_cache])
    folder.require_page()
    address = workspace.config.site_url or ""
    options = Options(site_url=address.rstrip("/") if "://" in address else "")
    task = FolderTask(str(folder.root), workspace.config.site_url, options)
    return ReaderPages(folder, task, workspace.config.limits, folder.prefix(workspace.root)).read


@contextmanager
def _connect_workers(config: Config, request: AuditRequest) -> Iterator[WorkerGroup[str, ProbeResult] | None]:
    """Connect the workers that --dask names; an offline audit has none."""
    if request.dask is None or request.offline:
        yield None
        return
    from imgcache.wiring import cluster

    spec = cluster.AuditSpec(cluster.run_name(), config, request.connect_to)
    with cluster.audit_workers(request.dask, spec) as workers:
        yield workers


def build_audit(
    cache: OpenCache,
    config: Config,
    request: AuditRequest,
    progress: Progress,
    clock: Clock,
    *,
    workers: WorkerGroup[str, ProbeResult] | None = None,
    pages: Callable[[], Iterable[ReaderPage]] | None = None,
) -> Auditor:
    """Build an audit over an open cache; with `workers`, these contact the servers."""
    history = AuditHistory(cache.index)
    checks = None
    if not request.offline:
        checks = RemoteChecks(
            prober=workers or build_prober(config, request.connect_to, clock),
            catalogue=cache.catalogue,
            history=history,
            progress=progress,
            per_host=config.fetch.per_host,
            concurrency=config.fetch.concurrency,
            clock=clock,
        )
    return Auditor(
        site=cache.site,
        scanner=cache.scanner,
        catalogue=cache.catalogue,
        index=cache.index,
        store=cache.store,
        history=history,
        remote_checks=checks,
        policy=AuditPolicy(
            SyncPolicy.for_variants(config.variants),
            config.dimensions,
            config.limits,
            config.budget,
            has_cache=_has_cache(cache),
        ),
        progress=progress,
        clock=clock,
        built=pages,
    )


def fix_articles(report: AuditReport, cache: OpenCache) -> tuple[AuditReport, FixResult]:
    """Write the certain corrections of an audit into the articles.

    Returns:
        The report without the places that were corrected, and what was corrected.
    """
    from imgcache.auditor import fixes

    digest = cache.catalogue.articles.digest
    fixed = fixes.apply(report.findings, site=cache.site, manifest=cache.manifest, digest=digest)
    unfixed = {place for problem in fixed.problems for place in problem.references}
    return remaining_findings(report, unfixed), fixed


def _has_cache(cache: OpenCache) -> bool:
    """Whether any image was ever held here. An index alone may have been made by an audit."""
    has_manifest = bool(cache.manifest.mark())
    return has_manifest or any(True for _ in cache.index.copies()) or any(True for _ in cache.store.digests())
