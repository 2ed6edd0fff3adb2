"""The main job: scan, fetch what is missing, check, resize, record, and set the flags."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from imgcache.cache import Catalogue, Index, PendingImage, quarantine
from imgcache.core import (
    Action,
    Blame,
    Job,
    Limits,
    Outcome,
    OverBudget,
    Problem,
    Severity,
    WorkerLost,
    blame_for,
    without_answer,
    without_credentials,
)
from imgcache.manifest import FlagWriter, FlagWriters, Manifest
from imgcache.policy import SyncPolicy, health, plan
from imgcache.policy import shared_placeholders as cards
from imgcache.runners import Budget, ClusterRunner, LocalRunner, Progress, Schedule, Shards, WorkerGroup
from imgcache.scanner import Site, check_local_images
from imgcache.syncer.recorder import Recorder
from imgcache.syncer.reference_scanner import ReferenceScanner
from imgcache.syncer.report import SyncReport

if TYPE_CHECKING:  # loaded where there is something to fetch
    from imgcache.syncer.pipeline import DryRun, Pipeline

_NOTED = "color-profile"  # the code of what an outcome notes: nothing else is noted so far


class SyncOptions(msgspec.Struct, frozen=True):
    """What one sync is asked for beyond the configuration of its parts."""

    wish: SyncPolicy
    only_failed: bool = False
    dry_run: bool = False
    per_host: int = 6
    at_once: int = 64
    limits: Limits = Limits()


class Sync:
    """One run over one site, or over several as one.

    The parts are handed in ready for use; the cache's lock is held by the caller.
    """

    def __init__(
        self,
        *,
        site: Site,
        scanner: ReferenceScanner,
        catalogue: Catalogue,
        index: Index,
        manifest: Manifest,
        flags: FlagWriter | FlagWriters,
        recorder: Recorder,
        pipeline: Callable[[bool], Pipeline | DryRun],
        crew: WorkerGroup[Job, Outcome | None] | None,
        budget: Budget,
        settings: SyncOptions,
        progress: Progress,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        take_back: Callable[[], object] = lambda: None,
    ) -> None:
        """The parts of a run.

        `clock` dates what is recorded. `monotonic` is the clock of the budget and of the time taken, which nobody sets.
        `take_back` brings back what gc removed, as far as articles name it again: called when they are read.
        """
        self._take_back = take_back
        self._monotonic = monotonic
        self._site = site
        self._scanner = scanner
        self._catalogue = catalogue
        self._index = index
        self._manifest = manifest
        self._flags = flags
        self._recorder = recorder
        self._pipeline = pipeline
        self._crew = crew
        self._budget = budget
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._problems: list[Problem] = []
        self._warnings: list[tuple[Problem, list[str]]] = []  # each about several URLs
        self._tried = self._answered = 0
        self._is_cut_short = False
        self._is_anew = False  # the catalogue, beside an index that knows what is held
        self.report = SyncReport(dry_run=settings.dry_run or msgspec.UNSET)

    async def run(self) -> SyncReport:
        """Do it all. Cancelled, it keeps what is finished, sets the flags of that, and raises CancelledError."""
        began, started, self._is_cut_short = self._clock(), self._monotonic(), True
        self._is_anew = self._catalogue.articles.is_empty() and next(self._index.copies(), None) is not None
        scan = self._scanner.scan(self._catalogue, self._progress.scanned)
        self._scanner.require(scan, self._catalogue)
        check_local_images(self._site, self._catalogue, self._settings.limits)
        self._take_back()
        try:
            await self._bring_up_to_date()
            self._is_cut_short = False
        finally:
            self._recorder.flush()
            self._recorder.recheck()
            if not self._settings.dry_run:
                self._refuse_cards(began)
            self._finish()
            self.report.seconds = round(self._monotonic() - started, 3)
        return self.report

    # -- images ------------------------------------------------------------------------------------------------------

    async def _bring_up_to_date(self) -> None:
        waiting = array("q")
        are_new = False
        for settled in self._catalogue.images.remote():
            is_whole = self._recorder.is_whole(settled)
            if is_whole and not self._recorder.is_due(settled):
                self.report.reused += 1
                continue
            waiting.append(settled.image)
            are_new = are_new or settled.digest is None
            if not is_whole and (settled.digest is not None or self._is_anew):
                self._recorder.doubt(settled)
        if self._settings.only_failed:
            waiting = array("q", filter(self._has_failed, waiting))
        self._progress.planned(self._catalogue.articles.counts()["images"], len(waiting))
        if waiting:
            pending, crew = self._catalogue.images.pending(waiting), self._crew
            async with self._recorder:
                rest = await (self._run_here(pending, are_new) if crew is None else self._run_there(pending, crew))
                for image in rest:
                    self._leave_out(image)

    async def _run_here(self, pending: Iterable[PendingImage], are_new: bool) -> Iterable[int]:
        """Do the jobs. Returns the images that the budget left no room for."""
        schedule = Schedule(pending, self._settings.per_host)
        runner = LocalRunner(schedule, self._budget, at_once=self._settings.at_once, clock=self._monotonic)
        async with self._pipeline(are_new) as pipeline:

            async def work(pending: PendingImage) -> int:
                job = self.begin(pending)
                return 0 if job is None else self.end(pending, await pipeline.run(job))

            await runner.run(work)
        return schedule.rest()

    async def _run_there(
        self, pending: Iterable[PendingImage], crew: WorkerGroup[Job, Outcome | None]
    ) -> Iterable[int]:
        """The same, by the workers of a crew."""
        async with crew:
            shards = Shards(pending, len(crew.room()))
            runner = ClusterRunner(
                shards, self._budget, crew, self, per_host=self._settings.per_host, clock=self._monotonic
            )
            await runner.run()
            return runner.rest()

    def _has_failed(self, image: int) -> bool:
        return self._index.failure(self._catalogue.images.url(image)) is not None

    def begin(self, pending: PendingImage) -> Job | None:
        """The job for one image; None where somebody asked never to fetch it."""
        self._progress.started(pending.host)
        if self._index.forgotten(self._catalogue.images.url(pending.image)):
            self._catalogue.images.mark_missing(pending.image)
            self._pass_over(pending)
            return None
        return self._recorder.job(pending.image, wake=self._settings.only_failed)

    def end(self, pending: PendingImage, outcome: Outcome | None) -> int:
        """Write down what became of one image; returns how many bytes were fetched."""
        if outcome is None:
            self._pass_over(pending)
            return 0
        if self._settings.dry_run:
            self.report.count(outcome)
            self._suppose(pending.image, outcome)
        else:
            self._recorder.record(pending.image, outcome)
            self._note(outcome)
        self._progress.ended(pending.host, outcome)
        return outcome.bytes_fetched

    def _suppose(self, image: int, outcome: Outcome) -> None:
        """Take an image for what it would be if the run were not a dry one."""
        self._recorder.decided(image)
        if outcome.problem is None:
            self._catalogue.images.simulate_held(image, outcome.asset.size if outcome.asset else None)
            return
        self._problems.append(outcome.problem)
        if outcome.asset is None:
            self._catalogue.images.mark_missing(image)

    def _pass_over(self, pending: PendingImage) -> None:
        """Nothing is done for an image that was begun."""
        self._progress.ended(pending.host, Outcome(self._catalogue.images.url(pending.image), Action.RESTED))

    def give_up(self, pending: PendingImage, error: WorkerLost) -> None:
        """Write down that workers died of one image: what is held of it stays."""
        job = self._recorder.job(pending.image)
        held = job.asset if self._recorder.holds(job) else None
        problem = Problem(error.code, job.url, error.message, retryable=error.retryable)
        left = without_answer(job, held, problem)
        self.end(pending, msgspec.structs.replace(left, action=Action.FAILED))

    def _note(self, outcome: Outcome) -> None:
        self.report.count(outcome)
        self._problems += [Problem(_NOTED, outcome.url, note, severity=Severity.WARNING) for note in outcome.notes]
        if outcome.problem is not None and outcome.action is not Action.FAILED:
            self._problems.append(outcome.problem)  # of earlier runs: this one did not ask
            return
        blame = blame_for(outcome.problem.code) if outcome.problem else None
        self._tried += blame not in health.NOT_ASKED
        self._answered += blame not in health.NOT_ASKED | {Blame.NETWORK}
        if outcome.problem is not None:
            self._problems.append(outcome.problem)

    def _leave_out(self, image: int) -> None:
        url = self._catalogue.images.url(image)
        error = OverBudget("the run's budget was spent before its turn; run again to go on")
        self._problems.append(Problem(error.code, url, error.message, retryable=True))

    def _refuse_cards(self, began: float) -> None:
        """Before any flag is written: only now it is known which pictures are one and the same."""
        found = cards.find_shared_placeholders(
            self._catalogue.shared_bytes.references(cards.SHARED_BY, self._index.cards())
        )
        self._warnings = found.warnings
        for host, digest in found.cards:
            self._index.put_card(host, digest, self._clock())
        refused = [(image, self._catalogue.images.url(image)) for image in found.refused]
        with self._recorder.batch():
            for image, url in refused:
                problem = cards.placeholder_problem(url)
                self._problems.append(problem)
                self.report.take_back(self._recorder.take_back(image, problem, began))
            self._recorder.confirm()
        self._recorder.tidy()
        if not self._may_clear:  # these flags are known to be wrong, whatever else is not known
            for _, url in refused:
                self.report.flags_cleared += self._flags.write(may_clear=True, url=url).cleared

    # -- articles and manifest ---------------------------------------------------------------------------------------

    def _finish(self) -> None:
        flags = self._flags.write(may_clear=self._may_clear)
        self.report.flags_set += flags.set
        self.report.flags_cleared += flags.cleared
        self.report.sizes_fixed += flags.sized
        self._problems += quarantine.problems(self._index, self._catalogue)
        self._problems = (
            [self._placed(problem) for problem in self._problems] + flags.problems + self._flags.size_mismatches()
        )
        self._problems += [self._placed(problem, *urls) for problem, urls in self._warnings]
        if not self._settings.dry_run:
            self._manifest.export(self._index)
        if self._settings.wish.crops:
            for url, place in self._catalogue.focal_points.misread():
                self._problems.append(plan.misread_focus(without_credentials(url), place))
        self._problems += self._catalogue.articles.unreadable()
        for url, base, code, message in self._catalogue.images.broken_local():
            severity, places = plan.own_severity(code), self._catalogue.references.places(url, base)
            self._problems.append(Problem(code, url, message, severity=severity, references=places))
        counts = self._catalogue.articles.counts()
        for key, value in counts.items():
            setattr(self.report, key, value)
        self.report.problems = sorted(self._problems, key=_order)

    def _placed(self, problem: Problem, *urls: str) -> Problem:
        """With where its images are named: asked for when the flags are written, which moves lines.

        A password in a URL leaves it here: reports end in the logs of others.
        """
        about = urls or (problem.url or "",)
        places = tuple(place for url in about for place in self._catalogue.references.places(url))
        url = problem.url and without_credentials(problem.url)
        return msgspec.structs.replace(problem, url=url, references=places)

    @property
    def _may_clear(self) -> bool:
        """Not where nothing answered: then the network is down, and says nothing of any image."""
        is_down = self._tried > 0 and self._answered == 0
        return not (is_down or self._settings.wish.offline or self._is_cut_short or self._settings.only_failed)


def _order(problem: Problem) -> tuple[str, str, str]:
    place = problem.references[0] if problem.references else None
    return (problem.code, problem.url or "", f"{place.article}:{place.line:09}" if place else "")
