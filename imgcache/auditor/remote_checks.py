"""The part of an audit that asks servers: one look at every image, and at the other addresses it may be had from."""

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
from imgcache.policy import health
from imgcache.runners import Budget, ClusterRunner, LocalRunner, Progress, Schedule, Shards, WorkerGroup

_BATCH = 512  # looks entered at once
SOON = 14 * health.DAY


class ExpiringCertificate(msgspec.Struct):
    """A host whose certificate ends within `SOON`: when, in seconds, and the images that showed it."""

    ends: float
    images: list[int]


class RemoteChecks:
    """Looks at the remote images of a site, and keeps only what is not as it should be."""

    def __init__(
        self,
        *,
        prober: ImageProber | WorkerGroup[str, ProbeResult],
        catalogue: Catalogue,
        memory: AuditHistory,
        progress: Progress,
        per_host: int,
        at_once: int,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is in seconds since the epoch. In place of a prober, the workers of a crew may do the asking."""
        self._prober = prober
        self._catalogue = catalogue
        self._memory = memory
        self._progress = progress
        self._per_host = per_host
        self._at_once = at_once
        self._clock = clock
        self._seen: list[ProbeRow] = []
        self._is_answered = False
        self._hosts: set[str] = set()
        self._asked = 0
        self.tally = HostCounts()
        self.failures: dict[int, Failure] = {}
        self.nearer: dict[int, str] = {}  # an address that answers in place of one that fails
        self.insecure: dict[int, str | None] = {}  # the https address with the same picture
        self.redirected: dict[int, tuple[Hop, ...]] = {}
        self.trackers: list[int] = []
        self.endings: dict[str, ExpiringCertificate] = {}

    async def run(self) -> None:
        """Look at all. Cancelled, what was seen is entered, and written down."""
        waiting = self._waiting()
        self._progress.planned(self._catalogue.counts()["images"], len(waiting))
        try:
            async with self._prober:
                await self._run(self._catalogue.pending(waiting))
            if not self.is_network_down:
                self._memory.confirm()
        finally:
            self._enter()
            self._memory.flush()

    @property
    def tried(self) -> int:
        """How many images a host was asked for."""
        return self._asked

    @property
    def is_network_down(self) -> bool:
        """Whether nothing answered, and enough was asked to tell: several hosts, or more than five images."""
        return not self._is_answered and (len(self._hosts) > 1 or self._asked > 5)

    def _waiting(self) -> array[int]:
        """The images to look at. Dead ones that rest are not asked for: what is remembered of them is said again."""
        waiting, now = array("q"), self._clock()
        for image, url in self._catalogue.remote_images():
            failure = self._memory.failure(url) if self._memory.knows_failures else None
            if failure is not None and health.is_backed_off(failure, now):
                self.failures[image] = failure
            elif not self._memory.is_forgotten(url):
                waiting.append(image)
        return waiting

    async def _run(self, pending: Iterable[PendingImage]) -> None:
        hands, clock = self._prober, self._clock
        if not isinstance(hands, ImageProber):
            shards = Shards(pending, len(hands.room()))
            await ClusterRunner(shards, Budget(), hands, self, per_host=self._per_host, clock=clock).run()
            return

        async def work(pending: PendingImage) -> int:
            return self.end(pending, await probe_image(hands, self.begin(pending)))

        await LocalRunner(Schedule(pending, self._per_host), Budget(), at_once=self._at_once, clock=clock).run(work)

    def begin(self, pending: PendingImage) -> str:
        """The URL to ask for."""
        self._progress.started(pending.host)
        return self._catalogue.url(pending.image)

    def end(self, pending: PendingImage, told: ProbeResult) -> int:
        """Write down what was told of one image; returns how many bytes came."""
        url, received = self._catalogue.url(pending.image), 0
        if told.refusal is not None:
            self._failed(pending, url, told.refusal)
            if told.nearer is not None:
                self.nearer[pending.image] = told.nearer
        elif told.look is not None:
            received = told.look.received
            self._answer()
            self._saw(pending, url, told, told.look)
        self._progress.ended(pending.host, Outcome(url, Action.REUSED, bytes_fetched=received, delay=told.delay))
        return received

    def give_up(self, pending: PendingImage, error: WorkerLost) -> None:
        """Write down that workers died of one image."""
        self.end(pending, ProbeResult(refusal=ProbeFailure.of(error)))

    def _answer(self) -> None:
        self._asked += 1
        if not self._is_answered:
            self._is_answered = True
            self._memory.confirm()

    # -- pictures ----------------------------------------------------------------------------------------------------

    def _saw(self, pending: PendingImage, url: str, told: ProbeResult, look: ProbedImage) -> None:
        image = pending.image
        self.tally.answered(pending.host, look)
        failure = self._memory.answered(url, self._clock()) if self._memory.knows_failures else None
        if failure is not None:
            self.failures[image] = failure
        self._seen.append(ProbeRow(image, look.size.width, look.size.height, look.total, look.head))
        if len(self._seen) >= _BATCH:
            self._enter()
        if look.size.width * look.size.height == 1:
            self.trackers.append(image)
        if look.certificate_ends is not None and look.certificate_ends < self._clock() + SOON:
            self._note_ending(image, url, look, look.certificate_ends)
        if told.hops:
            self.redirected[image] = told.hops
        if told.is_insecure:
            self.insecure[image] = told.secure

    def _note_ending(self, image: int, url: str, look: ProbedImage, ends: float) -> None:
        host = split_url(look.hops[-1].url if look.hops else request_url(url))[1]
        ending = self.endings.setdefault(host, ExpiringCertificate(ends, []))
        ending.ends = min(ending.ends, ends)
        ending.images.append(image)

    # -- failures ----------------------------------------------------------------------------------------------------

    def _failed(self, pending: PendingImage, url: str, error: ProbeFailure) -> None:
        blame = blame_for(error.code)
        if blame is Blame.NETWORK:
            self._asked += 1
            self._hosts.add(pending.host)
        elif blame not in health.NOT_ASKED:
            self._answer()
        if blame not in health.NOT_ASKED:
            self.tally.failed(pending.host)
        self.failures[pending.image] = self._memory.failed(url, error, self._clock())

    def _enter(self) -> None:
        self._catalogue.put_looks(self._seen)
        self._seen.clear()
