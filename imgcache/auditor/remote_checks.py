"""Runs the part of an audit that contacts servers: probes every remote image, and alternative URLs of failing ones."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

import msgspec

from imgcache.auditor.history import AuditHistory
from imgcache.auditor.host_counts import HostCounts
from imgcache.auditor.probing import ImageProber, ProbeFailure, ProbeResult, probe_image
from imgcache.cache import Catalogue, PendingImage, ProbeRow
from imgcache.core import (
    Action,
    Blame,
    Failure,
    Hop,
    Outcome,
    ProbedImage,
    WorkerLost,
    blame_for,
    request_url,
    split_url,
)
from imgcache.policy import health, plan
from imgcache.runners import Budget, ClusterRunner, LocalRunner, Progress, Schedule, Shards, WorkerGroup

_BATCH = 512  # probe results in one transaction
EXPIRES_SOON = 14 * health.DAY


class ExpiringCertificate(msgspec.Struct):
    """A certificate that ends within `EXPIRES_SOON`: when (seconds since the epoch), and the images of its host."""

    ends: float
    images: list[int]


class RemoteChecks:
    """Probes the remote images of a site, and keeps only what is wrong with them."""

    def __init__(
        self,
        *,
        prober: ImageProber | WorkerGroup[str, ProbeResult],
        catalogue: Catalogue,
        history: AuditHistory,
        progress: Progress,
        per_host: int,
        concurrency: int,
        clock: Callable[[], float],
    ) -> None:
        """Take the parts.

        Args:
            prober: probes in this process, or a group of workers that do it.
            catalogue: receives the probe results.
            history: receives failures and recoveries.
            progress: is notified of every image.
            per_host: how many requests one host gets at once.
            concurrency: how many requests are made at once.
            clock: seconds since the epoch.
        """
        self._prober = prober
        self._catalogue = catalogue
        self._history = history
        self._progress = progress
        self._per_host = per_host
        self._at_once = concurrency
        self._clock = clock
        self._rows: list[ProbeRow] = []
        self._has_answer = False
        self._silent_hosts: set[str] = set()
        self.tried = 0  # images that a host was asked for
        self.counts = HostCounts()
        self.failures: dict[int, Failure] = {}
        self.alternatives: dict[int, str] = {}  # a URL that answers in place of one that fails
        self.insecure: dict[int, str | None] = {}  # the https URL with the same image
        self.redirected: dict[int, tuple[Hop, ...]] = {}
        self.trackers: list[int] = []
        self.expiring: dict[str, ExpiringCertificate] = {}

    async def run(self) -> None:
        """Probe all images. If cancelled, the results so far are written."""
        to_probe = self._select()
        self._progress.planned(self._catalogue.articles.counts()["images"], len(to_probe))
        try:
            async with self._prober:
                await self._run(self._catalogue.images.pending(to_probe))
            if not self.is_network_down:
                self._history.confirm()
        finally:
            self._write_rows()
            self._history.flush()

    @property
    def is_network_down(self) -> bool:
        """Whether no host answered although several hosts, or more than five images, were tried."""
        return not self._has_answer and (len(self._silent_hosts) > 1 or self.tried > 5)

    def _select(self) -> array[int]:
        """The images to probe. The recorded failures of images that are backed off are repeated without a request."""
        selected, now = array("q"), self._clock()
        for image, url in self._catalogue.audit.remote_images():
            failure = self._history.failure(url) if self._history.knows_failures else None
            if failure is not None and (health.is_backed_off(failure, now) or self._is_disproved(image, failure)):
                self.failures[image] = failure
            elif not self._history.is_forgotten(url):
                selected.append(image)
        return selected

    def _is_disproved(self, image: int, failure: Failure) -> bool:
        """Whether an image was only guessed, and is known to be none."""
        return plan.disproves_guess(failure.code, guessed=self._catalogue.images.is_guessed(image))

    async def _run(self, pending: Iterable[PendingImage]) -> None:
        prober, clock = self._prober, self._clock
        if not isinstance(prober, ImageProber):
            shards = Shards(pending, len(prober.capacity()))
            await ClusterRunner(shards, Budget(), prober, self, per_host=self._per_host, clock=clock).run()
            return

        async def work(pending: PendingImage) -> int:
            return self.end(pending, await probe_image(prober, self.begin(pending)))

        await LocalRunner(Schedule(pending, self._per_host), Budget(), concurrency=self._at_once, clock=clock).run(work)

    def begin(self, pending: PendingImage) -> str:
        """Return the URL to probe."""
        self._progress.started(pending.host)
        return self._catalogue.images.url(pending.image)

    def end(self, pending: PendingImage, result: ProbeResult) -> int:
        """Record the result of one image; returns how many bytes were received."""
        url, received = self._catalogue.images.url(pending.image), 0
        if result.failure is not None:
            self._record_failure(pending, url, result.failure)
            if result.alternative is not None:
                self.alternatives[pending.image] = result.alternative
        elif result.probed is not None:
            received = result.probed.received
            self._record_answer()
            self._record_image(pending, url, result, result.probed)
        self._progress.ended(pending.host, Outcome(url, Action.REUSED, bytes_fetched=received, delay=result.delay))
        return received

    def give_up(self, pending: PendingImage, error: WorkerLost) -> None:
        """Record that workers died while they probed one image."""
        self.end(pending, ProbeResult(failure=ProbeFailure.from_error(error)))

    def _record_answer(self) -> None:
        self.tried += 1
        if not self._has_answer:
            self._has_answer = True
            self._history.confirm()

    def _record_image(self, pending: PendingImage, url: str, result: ProbeResult, probed: ProbedImage) -> None:
        image = pending.image
        self.counts.add_answer(pending.host, probed)
        failure = self._history.answered(url, self._clock()) if self._history.knows_failures else None
        if failure is not None:
            self.failures[image] = failure
        self._rows.append(ProbeRow(image, probed.size.width, probed.size.height, probed.total, probed.head))
        if len(self._rows) >= _BATCH:
            self._write_rows()
        if probed.size.width * probed.size.height == 1:
            self.trackers.append(image)
        if probed.certificate_ends is not None and probed.certificate_ends < self._clock() + EXPIRES_SOON:
            self._record_certificate(image, url, probed, probed.certificate_ends)
        if result.hops:
            self.redirected[image] = result.hops
        if result.is_insecure:
            self.insecure[image] = result.secure

    def _record_certificate(self, image: int, url: str, probed: ProbedImage, ends: float) -> None:
        host = split_url(probed.hops[-1].url if probed.hops else request_url(url))[1]
        certificate = self.expiring.setdefault(host, ExpiringCertificate(ends, []))
        certificate.ends = min(certificate.ends, ends)
        certificate.images.append(image)

    def _record_failure(self, pending: PendingImage, url: str, error: ProbeFailure) -> None:
        blame = blame_for(error.code)
        if blame is Blame.NETWORK:
            self.tried += 1
            self._silent_hosts.add(pending.host)
        elif blame not in health.NOT_ASKED:
            self._record_answer()
        if blame not in health.NOT_ASKED:
            self.counts.add_failure(pending.host)
        self.failures[pending.image] = self._history.failed(url, error, self._clock())

    def _write_rows(self) -> None:
        self._catalogue.audit.put_probes(self._rows)
        self._rows.clear()
