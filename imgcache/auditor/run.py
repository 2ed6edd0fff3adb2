"""The audit: scan, look at every image, judge, remember."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from imgcache.auditor import exposure
from imgcache.auditor.copies import MissingFiles, reconcile_copies
from imgcache.auditor.evaluation import Evaluation
from imgcache.auditor.finding_factory import count_failing, sorted_findings
from imgcache.auditor.history import AuditHistory, day_of
from imgcache.auditor.host_counts import HostCounts
from imgcache.auditor.remote_checks import RemoteChecks
from imgcache.cache import Catalogue, Index, Store
from imgcache.config import ReaderBudget
from imgcache.core import AuditReport, DayLine, Dimensions, Exposure, Finding, Limits, Summary, split_url
from imgcache.policy import SyncPolicy
from imgcache.runners import Progress
from imgcache.scanner import Scanner, Site, check_local_images


class AuditPolicy(msgspec.Struct, frozen=True):
    """What an audit holds the site against.

    `wish` says which variants are asked for, `has_cache` whether there is a cache at all.
    """

    wish: SyncPolicy = SyncPolicy()
    dimensions: Dimensions = Dimensions.CHECK
    limits: Limits = Limits()
    budget: ReaderBudget = ReaderBudget()
    has_cache: bool = True


class Auditor:
    """One audit of one site. The parts are handed in ready for use; with `looking`, the caller holds the cache's lock.

    Without `looking` it is the audit of own files, flags and cache: no host is asked, and nothing is written.
    """

    def __init__(
        self,
        *,
        site: Site,
        scanner: Scanner,
        catalogue: Catalogue,
        index: Index,
        store: Store,
        memory: AuditHistory,
        looking: RemoteChecks | None,
        terms: AuditPolicy,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self._site = site
        self._scanner = scanner
        self._catalogue = catalogue
        self._index = index
        self._store = store
        self._memory = memory
        self._looking = looking
        self._terms = terms
        self._progress = progress
        self._clock = clock
        self._lacks: list[MissingFiles] = []
        self._is_cut_short = False
        self.audit: AuditReport | None = None

    async def run(self) -> None:
        """Do it all, and leave the result in `audit`. Cancelled, it is of what was looked at, and CancelledError."""
        self._prepare()
        try:
            if self._looking is not None:
                await self._looking.run()
        except asyncio.CancelledError:
            self._is_cut_short = True
            raise
        finally:
            self.audit = self._conclude()

    def offline(self) -> AuditReport:
        """The audit without a look at any host."""
        self._prepare()
        self.audit = self._conclude()
        return self.audit

    def _prepare(self) -> None:
        self._catalogue.begin_looks()
        scan = self._scanner.scan(self._catalogue, self._progress.scanned)
        self._scanner.require(scan, self._catalogue)
        check_local_images(self._site, self._catalogue, self._terms.limits)
        self._lacks = reconcile_copies(self._catalogue, self._index, self._store, self._terms.wish)

    # -- the result --------------------------------------------------------------------------------------------------

    def _conclude(self) -> AuditReport:
        now = self._clock()
        tally = self._looking.tally if self._looking else HostCounts()
        exposed = self._expose(tally)
        survey = Evaluation(
            catalogue=self._catalogue,
            index=self._index,
            memory=self._memory,
            looking=self._looking,
            lacks=self._lacks,
            dimensions=self._terms.dimensions,
            has_cache=self._terms.has_cache,
            now=now,
        )
        findings = [*survey.findings(), *exposure.over_budget(exposed, self._terms.budget)]
        may_write = self._looking is not None and not self._looking.is_network_down
        findings = sorted_findings(self._memory.dated(findings, now if may_write else None))
        summary = self._summary(findings)
        if may_write:
            line = DayLine(day_of(now), summary.images, summary.images - summary.ok)
            self._memory.remember(findings, None if self._is_cut_short else line, now)
        hosts = tally.lines() if self._looking else ()
        return AuditReport(summary, tuple(findings), exposed, hosts, self._memory.days())

    def _summary(self, findings: Sequence[Finding]) -> Summary:
        articles, references, images = self._catalogue.audited()
        return Summary(
            references=references,
            images=images,
            ok=images - count_failing(findings),
            findings=len(findings),
            by_rule=dict(sorted(Counter(found.rule for found in findings).items())),
            articles=articles,
        )

    def _expose(self, tally: HostCounts) -> Exposure:
        redirected = self._looking.redirected if self._looking else {}
        ways = {image: frozenset(split_url(hop.url)[1] for hop in hops) for image, hops in redirected.items()}
        return exposure.measure_exposure(self._catalogue.linked(), ways, tally)
