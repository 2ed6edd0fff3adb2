"""Runs an audit: scans the site, checks own files and copies, probes remote images, and evaluates the results."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from imgcache.auditor import exposure
from imgcache.auditor.built_pages import BuiltPages
from imgcache.auditor.copies import MissingFiles, reconcile_copies
from imgcache.auditor.evaluation import Evaluation
from imgcache.auditor.finding_factory import count_failing, sorted_findings
from imgcache.auditor.history import AuditHistory, day_of
from imgcache.auditor.host_counts import HostCounts
from imgcache.auditor.remote_checks import RemoteChecks
from imgcache.cache import Catalogue, Index, Store
from imgcache.config import ReaderBudget
from imgcache.core import AuditReport, DayLine, Dimensions, Exposure, Finding, Limits, ReaderPage, Summary, split_url
from imgcache.policy import SyncPolicy
from imgcache.runners import Progress
from imgcache.scanner import Scanner, Site, check_local_images


class AuditPolicy(msgspec.Struct, frozen=True):
    """The settings that an audit compares the site with.

    `sync_policy` has the variants of imgcache.yml. `has_cache` is false if the site has no cache at all, as in a
    fresh clone.
    """

    sync_policy: SyncPolicy = SyncPolicy()
    dimensions: Dimensions = Dimensions.CHECK
    limits: Limits = Limits()
    budget: ReaderBudget = ReaderBudget()
    has_cache: bool = True


class Auditor:
    """One audit of one site.

    Without `remote_checks` the audit is offline: it checks own files, flags and the cache, contacts no host and writes
    nothing. With `remote_checks`, the caller must hold the lock of the cache. With `built`, the pages that it
    reads decide about exposure, and about how images are shown.
    """

    def __init__(
        self,
        *,
        site: Site,
        scanner: Scanner,
        catalogue: Catalogue,
        index: Index,
        store: Store,
        history: AuditHistory,
        remote_checks: RemoteChecks | None,
        policy: AuditPolicy,
        progress: Progress,
        clock: Callable[[], float],
        built: Callable[[], Iterable[ReaderPage]] | None = None,
    ) -> None:
        self._built = built
        self._site = site
        self._scanner = scanner
        self._catalogue = catalogue
        self._index = index
        self._store = store
        self._history = history
        self._remote = remote_checks
        self._policy = policy
        self._progress = progress
        self._clock = clock
        self._incomplete: list[MissingFiles] = []
        self._is_interrupted = False
        self.audit: AuditReport | None = None

    async def run(self) -> None:
        """Run the audit and leave the result in `audit`.

        If cancelled, the result covers what was checked so far, and CancelledError is raised.
        """
        self._prepare()
        try:
            if self._remote is not None:
                await self._remote.run()
        except asyncio.CancelledError:
            self._is_interrupted = True
            raise
        finally:
            self.audit = self._conclude()

    def run_offline(self) -> AuditReport:
        """Run an audit that contacts no host, and return its result."""
        self._prepare()
        self.audit = self._conclude()
        return self.audit

    def _prepare(self) -> None:
        self._catalogue.audit.clear()
        scan = self._scanner.scan(self._catalogue, self._progress.scanned)
        self._scanner.require_articles(scan, self._catalogue)
        check_local_images(self._site, self._catalogue, self._policy.limits)
        self._incomplete = reconcile_copies(self._catalogue, self._index, self._store, self._policy.sync_policy)

    def _conclude(self) -> AuditReport:
        now = self._clock()
        counts = self._remote.counts if self._remote else HostCounts()
        built = BuiltPages(self._built(), self._catalogue, self._index) if self._built else None
        exposed = self._measure_exposure(counts, built)
        evaluation = Evaluation(
            catalogue=self._catalogue,
            index=self._index,
            history=self._history,
            remote=self._remote,
            incomplete=self._incomplete,
            dimensions=self._policy.dimensions,
            has_cache=self._policy.has_cache,
            now=now,
        )
        findings = [*evaluation.findings(), *exposure.over_budget(exposed, self._policy.budget)]
        if built is not None:
            findings += built.findings()
        may_write = self._remote is not None and not self._remote.is_network_down
        findings = sorted_findings(self._history.dated(findings, now if may_write else None))
        summary = self._summary(findings)
        if may_write:
            line = DayLine(day_of(now), summary.images, summary.images - summary.ok)
            self._history.remember(findings, None if self._is_interrupted else line, now)
        hosts = counts.lines() if self._remote else ()
        unread = self._catalogue.articles.unread()
        return AuditReport(summary, tuple(findings), exposed, hosts, self._history.days(), unread)

    def _summary(self, findings: Sequence[Finding]) -> Summary:
        articles, references, images = self._catalogue.audit.totals()
        return Summary(
            references=references,
            images=images,
            ok=images - count_failing(findings),
            findings=len(findings),
            by_rule=dict(sorted(Counter(found.rule for found in findings).items())),
            articles=articles,
        )

    def _measure_exposure(self, counts: HostCounts, built: BuiltPages | None) -> Exposure:
        redirected = self._remote.redirected if self._remote else {}
        hosts = {image: frozenset(split_url(hop.url)[1] for hop in hops) for image, hops in redirected.items()}
        uses = built.uses() if built is not None else self._catalogue.audit.hotlinked()
        return exposure.measure_exposure(uses, hosts, counts)
