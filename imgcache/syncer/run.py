"""Runs a sync: scans the articles, has missing images fetched and rendered, and sets the flags."""

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
    ConfigError,
    Job,
    Outcome,
    OverBudget,
    Problem,
    Severity,
    WorkerLost,
    blame_for,
    clean_text,
    rested_outcome,
    without_credentials,
)
from imgcache.manifest import FlagWriter, FlagWriters, Manifest
from imgcache.policy import health, plan, shared_placeholders
from imgcache.runners import Budget, ClusterRunner, LocalRunner, Progress, Schedule, Shards, WorkerGroup
from imgcache.scanner import Site, check_local_images
from imgcache.syncer.options import SyncOptions
from imgcache.syncer.recorder import Recorder
from imgcache.syncer.reference_scanner import ReferenceScanner
from imgcache.syncer.report import SyncReport

if TYPE_CHECKING:  # loaded where there is something to fetch
    from imgcache.syncer.dry_run import DryRun
    from imgcache.syncer.pipeline import Pipeline

_NOTED = "color-profile"  # the code of a note on an outcome; there is no other kind of note yet


class Sync:
    """One run over one site, or over several as one.

    The parts are passed in ready for use. The caller holds the cache's lock.
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
        workers: WorkerGroup[Job, Outcome] | None,
        budget: Budget,
        options: SyncOptions,
        progress: Progress,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        restore_removed: Callable[[], object] = lambda: None,
    ) -> None:
        """Take the parts of a run.

        `pipeline` builds what handles one image; its argument is whether images without a copy are among them.
        `workers`, if there are any, handle the images in its place. `clock` dates records; `monotonic`, which nobody
        sets, measures the budget and the duration. `restore_removed` is called after the scan: it restores images that
        gc removed and articles use again.
        """
        self._restore_removed = restore_removed
        self._monotonic = monotonic
        self._site = site
        self._scanner = scanner
        self._catalogue = catalogue
        self._index = index
        self._manifest = manifest
        self._flags = flags
        self._recorder = recorder
        self._pipeline = pipeline
        self._workers = workers
        self._budget = budget
        self._options = options
        self._progress = progress
        self._clock = clock
        self._problems: list[Problem] = []
        self._warnings: list[tuple[Problem, list[str]]] = []  # each with the URLs that it is about
        self._tried = self._answered = 0  # images whose server was contacted, and that answered
        self._is_cut_short = False
        self._is_catalogue_new = False  # beside an index that has copies
        self.report = SyncReport(dry_run=options.dry_run or msgspec.UNSET)

    async def run(self) -> SyncReport:
        """Run the sync.

        Raises:
            CancelledError: the run was cancelled. Finished images are kept, and their flags are set.
        """
        began, started, self._is_cut_short = self._clock(), self._monotonic(), True
        self._is_catalogue_new = self._catalogue.articles.is_empty() and next(self._index.copies(), None) is not None
        scan = self._scanner.scan(self._catalogue, self._progress.scanned)
        self._scanner.require_articles(scan, self._catalogue)
        self._require_article()
        check_local_images(self._site, self._catalogue, self._options.limits)
        self._restore_removed()
        try:
            await self._bring_up_to_date()
            self._is_cut_short = False
        finally:
            self._recorder.flush()
            self._recorder.recheck()
            if not self._options.dry_run:
                self._refuse_placeholders(began)
            self._finish()
            self.report.seconds = round(self._monotonic() - started, 3)
        return self.report

    def _require_article(self) -> None:
        article = self._options.article
        if article is not None and self._catalogue.articles.digest(article) is None:
            message = "is not an article of the site: see `articles` and `exclude` in imgcache.yml"
            raise ConfigError(message, where=clean_text(article, 300))

    # -- images ------------------------------------------------------------------------------------------------------

    async def _bring_up_to_date(self) -> None:
        waiting, article = array("q"), self._options.article
        has_new = False
        wanted = None if article is None else self._catalogue.articles.remote_images(article)
        for recorded in self._catalogue.images.remote():
            if wanted is not None and recorded.image not in wanted:
                continue
            is_complete = self._recorder.is_complete(recorded)
            if is_complete and not self._recorder.is_due(recorded):
                self.report.reused += 1
                continue
            if recorded.digest is None and self._is_disproved(recorded.image):
                continue
            waiting.append(recorded.image)
            has_new = has_new or recorded.digest is None
            if not is_complete and (recorded.digest is not None or self._is_catalogue_new):
                self._recorder.mark_incomplete(recorded)
        if self._options.only_failed:
            waiting = array("q", filter(self._has_failed, waiting))
        self._progress.planned(self._catalogue.articles.counts()["images"], len(waiting))
        if waiting:
            pending, workers = self._catalogue.images.pending(waiting), self._workers
            async with self._recorder:
                if workers is None:
                    rest = await self._run_locally(pending, has_new)
                else:
                    rest = await self._run_on_workers(pending, workers)
                for image in rest:
                    self._report_over_budget(image)

    async def _run_locally(self, pending: Iterable[PendingImage], has_new: bool) -> Iterable[int]:
        """Handle the images in this process. Returns those that the budget did not allow to start."""
        schedule = Schedule(pending, self._options.per_host)
        runner = LocalRunner(schedule, self._budget, concurrency=self._options.at_once, clock=self._monotonic)
        async with self._pipeline(has_new) as pipeline:

            async def work(pending: PendingImage) -> int:
                job = self.begin(pending)
                return 0 if job is None else self.end(pending, await pipeline.run(job))

            await runner.run(work)
        return schedule.remaining()

    async def _run_on_workers(
        self, pending: Iterable[PendingImage], workers: WorkerGroup[Job, Outcome]
    ) -> Iterable[int]:
        """Handle the images on the workers of a cluster. Returns those that the budget did not allow to start."""
        async with workers:
            shards = Shards(pending, len(workers.capacity()))
            runner = ClusterRunner(
                shards, self._budget, workers, self, per_host=self._options.per_host, clock=self._monotonic
            )
            await runner.run()
            return runner.remaining()

    def _is_disproved(self, image: int) -> bool:
        """Whether an image was only guessed, and an earlier run found that it is none."""
        if self._options.policy.refresh or self._options.only_failed or not self._catalogue.images.is_guessed(image):
            return False
        failure = self._index.failure(self._catalogue.images.url(image))
        return failure is not None and plan.disproves_guess(failure.code, guessed=True)

    def _has_failed(self, image: int) -> bool:
        return self._index.failure(self._catalogue.images.url(image)) is not None

    def begin(self, pending: PendingImage) -> Job | None:
        """Returns the job for one image; None where the user asked never to fetch it."""
        self._progress.started(pending.host)
        if self._index.forgotten(self._catalogue.images.url(pending.image)):
            self._catalogue.images.mark_missing(pending.image)
            self._skip(pending)
            return None
        return self._recorder.job(pending.image, wake=self._options.only_failed)

    def end(self, pending: PendingImage, outcome: Outcome) -> int:
        """Record the outcome of one image. Returns how many bytes were fetched."""
        if outcome.action is Action.SKIPPED:
            self._skip(pending)
            return 0
        problem = outcome.problem
        if problem and plan.disproves_guess(problem.code, guessed=self._catalogue.images.is_guessed(pending.image)):
            outcome = msgspec.structs.replace(outcome, problem=plan.disproved_guess(problem))
        if self._options.dry_run:
            self.report.count(outcome)
            self._simulate_success(pending.image, outcome)
        else:
            self._recorder.record(pending.image, outcome)
            self._note(outcome)
        self._progress.ended(pending.host, outcome)
        return outcome.bytes_fetched

    def _simulate_success(self, image: int, outcome: Outcome) -> None:
        """Record in the catalogue, for a dry run, what the image would be after a real one."""
        self._recorder.mark_handled(image)
        if outcome.problem is None:
            self._catalogue.images.simulate_held(image, outcome.asset.size if outcome.asset else None)
            return
        self._problems.append(outcome.problem)
        if outcome.asset is None:
            self._catalogue.images.mark_missing(image)

    def _skip(self, pending: PendingImage) -> None:
        """Report to the progress that an image was started and nothing was done."""
        self._progress.ended(pending.host, Outcome(self._catalogue.images.url(pending.image), Action.SKIPPED))

    def give_up(self, pending: PendingImage, error: WorkerLost) -> None:
        """Record that workers died of one image. Its copy stays, if it is complete."""
        job = self._recorder.job(pending.image)
        held = job.asset if self._recorder.has_all_files(job) else None
        problem = Problem(error.code, job.url, error.message, retryable=error.retryable)
        left = rested_outcome(job, held, problem)
        self.end(pending, msgspec.structs.replace(left, action=Action.FAILED))

    def _note(self, outcome: Outcome) -> None:
        self.report.count(outcome)
        self._problems += [Problem(_NOTED, outcome.url, note, severity=Severity.WARNING) for note in outcome.notes]
        if outcome.problem is not None and outcome.action is not Action.FAILED:
            self._problems.append(outcome.problem)  # from an earlier run: this one did not contact the server
            return
        blame = blame_for(outcome.problem.code) if outcome.problem else None
        self._tried += blame not in health.NOT_ASKED
        self._answered += blame not in health.NOT_ASKED | {Blame.NETWORK}
        if outcome.problem is not None:
            self._problems.append(outcome.problem)

    def _report_over_budget(self, image: int) -> None:
        url = self._catalogue.images.url(image)
        error = OverBudget("the run's budget was spent before its turn; run again to go on")
        self._problems.append(Problem(error.code, url, error.message, retryable=True))

    def _refuse_placeholders(self, began: float) -> None:
        """Refuse pictures that stand for missing ones: only at the end is it known that many URLs share them."""
        found = shared_placeholders.find_shared_placeholders(
            self._catalogue.shared_bytes.references(shared_placeholders.SHARED_BY, self._index.placeholders())
        )
        self._warnings = found.warnings
        for host, digest in found.placeholders:
            self._index.put_placeholder(host, digest, self._clock())
        refused = [(image, self._catalogue.images.url(image)) for image in found.refused]
        with self._recorder.batch():
            for image, url in refused:
                problem = shared_placeholders.placeholder_problem(url)
                self._problems.append(problem)
                self.report.retract(self._recorder.refuse(image, problem, began))
            self._recorder.confirm_recovered()
        self._recorder.remove_released()
        if not self._may_clear:  # these flags are wrong in any case
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
        if not self._options.dry_run:
            self._manifest.export(self._index)
        if self._options.policy.crops:
            for url, place in self._catalogue.focal_points.misread():
                self._problems.append(plan.misread_focus(without_credentials(url), place))
        self._problems += self._catalogue.articles.unreadable()
        for url, base, code, message, guessed in self._catalogue.images.broken_local():
            severity, places = (
                plan.severity_of_own_image(code, guessed=guessed),
                self._catalogue.references.places(url, base),
            )
            self._problems.append(Problem(code, url, message, severity=severity, references=places))
        article = self._options.article
        articles = self._catalogue.articles
        counts = articles.counts() if article is None else articles.counts_of(article)
        for key, value in counts.items():
            setattr(self.report, key, value)
        if article is None:
            self.report.unread = articles.unread()
        found = (problem for problem in self._problems if article is None or _concerns(problem, article))
        self.report.problems = sorted(found, key=_sort_key)

    def _placed(self, problem: Problem, *urls: str) -> Problem:
        """Add the places that name the problem's image, and remove credentials from its URL: reports end up in logs.

        Called after the flags are written, which moves lines.
        """
        about = urls or (problem.url or "",)
        places = tuple(place for url in about for place in self._catalogue.references.places(url))
        url = problem.url and without_credentials(problem.url)
        return msgspec.structs.replace(problem, url=url, references=places)

    @property
    def _may_clear(self) -> bool:
        """Whether flags may be cleared. Not where no server answered: then the network is down."""
        is_down = self._tried > 0 and self._answered == 0
        return not (is_down or self._options.policy.offline or self._is_cut_short or self._options.only_failed)


def _concerns(problem: Problem, article: str) -> bool:
    return not problem.references or any(place.article == article for place in problem.references)


def _sort_key(problem: Problem) -> tuple[str, str, str]:
    place = problem.references[0] if problem.references else None
    return (problem.code, problem.url or "", f"{place.article}:{place.line:09}" if place else "")
