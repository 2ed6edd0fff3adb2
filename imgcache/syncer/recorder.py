"""Records the outcome of each image: in the index by URL, and in the catalogue for the next run.

The files of an outcome are durable before it is recorded. Outcomes are collected briefly and written together.
"""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Self

import msgspec

from imgcache.cache import Catalogue, Index, RecordedImage, Store, remove_unused_assets
from imgcache.core import Action, Asset, Copy, Job, Outcome, Problem
from imgcache.policy import QuarantineRecord, SyncPolicy, health

# Seconds from an outcome to the transaction that records it: images end in groups, as they become durable. Outcomes
# that are not recorded when the process is killed are fetched again.
_PAUSE = 0.003

_FILES, _VARIANTS = 1, 2  # what an image lacks: files that were recorded, or only variants configured since
_ANSWERED = frozenset({Action.FETCHED, Action.REVALIDATED, Action.DOUBTED})


class Recorder:
    """The only writer of the index, and of the image columns of the catalogue, during a sync.

    Within `async with recorder`, outcomes are written in the background. `flush` writes all of them.
    """

    def __init__(
        self, *, index: Index, catalogue: Catalogue, store: Store, policy: SyncPolicy, clock: Callable[[], float]
    ) -> None:
        self._index = index
        self._catalogue = catalogue
        self._store = store
        self._policy = policy
        self._clock = clock
        self._recipes, self._crops = " ".join(policy.recipes), policy.crops
        self._has_waiting = asyncio.Event()
        self._waiting: dict[int, Outcome] = {}
        self._writer: asyncio.Task[None] | None = None
        self._recovering = array("q")  # images that brought again a picture that was refused before
        self._incomplete = bytearray()  # by image: _FILES or _VARIANTS; 0 where nothing is missing
        self._released: set[str] = set()  # digests that a refused image or a quarantined one no longer uses

    async def __aenter__(self) -> Self:
        """Start writing outcomes in the background."""
        self._writer = asyncio.create_task(self._write_in_background())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)  # `flush` raises its error again
            self._writer = None

    async def _write_in_background(self) -> None:
        while True:
            await self._has_waiting.wait()
            await asyncio.sleep(_PAUSE)
            self._has_waiting.clear()
            self._write_waiting()

    def job(self, image: int, *, wake: bool = False) -> Job:
        """Returns the job for one image of the catalogue; `wake`: contact servers also while they are backed off."""
        url = self._catalogue.images.url(image)
        copy = self._index.copy(url)
        return Job(
            url,
            copy,
            self._index.asset(copy.digest) if copy else None,
            rest=None if wake or self._policy.refresh else self._backoff_problem(url),
            declared=self._catalogue.references.declared_sizes(url) if copy else (),
            rejected=self._index.quarantine_record(url).rejected,
            focus=self._catalogue.focal_points.of_image(image),
        )

    def _backoff_problem(self, url: str) -> Problem | None:
        failure, now = self._index.failure(url), self._clock()
        if failure is None or not health.is_backed_off(failure, now):
            return None
        message = health.describe_backoff(failure, self._index.health(url), now)
        status = msgspec.UNSET if failure.status is None else failure.status
        return Problem(failure.code, url, message, retryable=failure.retryable, status=status)

    def asset_of(self, digest: str) -> Asset | None:
        """Returns the asset of a digest, recorded or waiting to be recorded."""
        for outcome in self._waiting.values():
            if outcome.asset is not None and outcome.asset.digest == digest:
                return outcome.asset
        return self._index.asset(digest)

    def is_complete(self, image: RecordedImage) -> bool:
        """Whether an image is held with all its files and all configured variants."""
        return image.recipes == self._wanted_recipes(image.focus) and self._has_files(image)

    def _has_files(self, image: RecordedImage) -> bool:
        return image.digest is not None and image.stamp is not None and self._store.stamp(image.digest) == image.stamp

    def is_due(self, image: RecordedImage) -> bool:
        """Whether the copy is to be revalidated."""
        is_late = image.due is None or not -1e9 < self._clock() < image.due
        return not self._policy.offline and (self._policy.refresh or is_late)

    def has_all_files(self, job: Job) -> bool:
        """Whether the original and every configured variant of a URL are on disk."""
        recipes = self._policy.for_focus(job.focus).recipes
        return job.asset is not None and job.asset.recipes == recipes and not self._store.missing(job.asset)

    def mark_incomplete(self, image: RecordedImage) -> None:
        """Have `recheck` check an image that is recorded as held and is incomplete, unless it gets an outcome first."""
        lacks_variants = image.recipes != self._wanted_recipes(image.focus) and self._has_files(image)
        self._incomplete.extend(bytes(max(0, image.image + 1 - len(self._incomplete))))
        self._incomplete[image.image] = _VARIANTS if lacks_variants else _FILES

    def _wanted_recipes(self, focus: tuple[float, float] | None) -> str:
        """Returns all recipes as one text, with the focal point of their crops."""
        return self._recipes if focus is None or not self._crops else f"{self._recipes} {focus}"

    def record(self, image: int, outcome: Outcome) -> None:
        """Record one outcome soon, at the latest at `flush`. Its files have to be durable.

        Raises:
            DiskFull: an earlier outcome could not be written.
        """
        if self._writer is not None and self._writer.done():
            self._writer.result()
        self._waiting[image] = outcome
        self._has_waiting.set()
        self.mark_handled(image)

    def mark_handled(self, image: int) -> None:
        """Note that an image got an outcome: `recheck` need not check it."""
        if image < len(self._incomplete):
            self._incomplete[image] = 0

    def flush(self) -> None:
        """Make everything that was recorded durable. Flags may be set afterwards."""
        self._write_waiting()
        self._index.make_durable()

    def _write_waiting(self) -> None:
        """Write in one transaction. Until `flush`, a power cut may undo it: then the images are fetched again."""
        if not self._waiting:
            return
        with self.batch(durable=False):
            for image, outcome in self._waiting.items():
                self._write(image, outcome)
        self._waiting = {}

    def recheck(self) -> None:
        """Compare images that were marked incomplete and got no outcome with the disk. Call it after `flush`."""
        if any(self._incomplete):
            with self.batch():
                for image, lack in enumerate(self._incomplete):
                    if lack:
                        self._reconcile(image, has_files=lack == _VARIANTS)

    def _reconcile(self, image: int, *, has_files: bool = False) -> None:
        """Make the record of an image say what is on disk. An incomplete image does not count as held."""
        url = self._catalogue.images.url(image)
        copy = self._index.copy(url)
        asset = self._index.asset(copy.digest) if copy else None
        if asset and not has_files and self._store.stamp(asset.digest) is None:  # faster than looking at each file
            asset = None
        missing = self._store.missing(asset) if asset and not has_files else ()
        if asset is None or asset.original in missing:
            self._index.drop_copy(url)
        else:
            if missing:
                asset = _without(asset, missing)
                self._index.put_asset(asset)
            focus = self._catalogue.focal_points.of_image(image)
            if copy and asset.recipes == self._policy.for_focus(focus).recipes:
                self._settle(image, copy, asset, self._wanted_recipes(focus))
                return
        self._catalogue.images.mark_missing(image)

    def _settle(self, image: int, copy: Copy, asset: Asset, recipes: str) -> None:
        stamp, due = self._store.stamp(asset.digest), copy.checked_at + self._policy.refresh_after
        self._catalogue.images.mark_held(image, asset, stamp=stamp, recipes=recipes, due=due)

    @contextlib.contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """Write everything in the block in one transaction of the index and one of the catalogue."""
        # The one entered last commits first: the index, because the catalogue must not record what the index lacks.
        with self._catalogue.transaction(), self._index.batch(durable=durable):
            yield

    def remove_released(self) -> None:
        """Remove the blobs that this run released and nothing else uses. Call it after the last `batch`."""
        remove_unused_assets(self._released, self._index, self._store)
        self._released.clear()

    def refuse(self, image: int, problem: Problem, began: float) -> Action:
        """Record that an image which is held is refused. Call it in a `batch`, after `flush`.

        Args:
            image: the number of the image in the catalogue.
            problem: why it is refused.
            began: when the run began, in seconds since the epoch.

        Returns:
            What this run had done for the image.
        """
        assert problem.url is not None  # noqa: S101 (it is about an image)
        url = problem.url
        copy = self._index.copy(url)
        previous = self._index.failure(url)
        past = self._index.health(url)
        failure = health.failed(
            previous,
            problem,
            self._clock(),
            last_good=past.last_good if past else None,
            digest=copy.digest if copy else None,
        )
        self._index.put_failure(url, failure)
        self._index.drop_copy(url)
        self._catalogue.images.mark_missing(image)
        if copy is None:
            return Action.REUSED
        self._released.add(copy.digest)
        if copy.fetched_at >= began:
            return Action.FETCHED
        return Action.REVALIDATED if copy.checked_at >= began else Action.REUSED

    def confirm_recovered(self) -> None:
        """Record that images which were refused before and are still held are good now. Call it after all `refuse`."""
        for image in self._recovering:
            url = self._catalogue.images.url(image)
            if self._index.copy(url) is not None:
                self._recover(url)
        self._recovering = array("q")

    def _write(self, image: int, outcome: Outcome) -> None:
        if outcome.action is Action.FAILED and outcome.problem:
            self._fail(outcome, outcome.problem)
        elif outcome.action in _ANSWERED and outcome.copy:
            self._answer(image, outcome, outcome.copy)
        if outcome.copy is None or outcome.asset is None:
            self._reconcile(image)
            return
        if outcome.action is not Action.REUSED:
            self._index.put_asset(outcome.asset)
            self._index.put_copy(outcome.url, outcome.copy)
        focus = self._catalogue.focal_points.of_image(image)
        # Equal bytes at another URL may have been cropped around the focal point given there: the next run decides.
        is_as_wanted = outcome.problem is not None or outcome.asset.recipes == self._policy.for_focus(focus).recipes
        self._settle(image, outcome.copy, outcome.asset, self._wanted_recipes(focus) if is_as_wanted else "")

    def _fail(self, outcome: Outcome, problem: Problem) -> None:
        url, past = outcome.url, self._index.health(outcome.url)
        copy = self._index.copy(url)
        last_good = copy.checked_at if copy else past.last_good if past else None
        failure = health.failed(
            self._index.failure(url), problem, self._clock(), last_good=last_good, wall=outcome.wall
        )
        self._index.put_failure(url, failure)

    def _answer(self, image: int, outcome: Outcome, copy: Copy) -> None:
        failure = self._index.failure(outcome.url)
        if failure is not None and failure.digest == copy.digest:  # the end of the run decides whether it is good now
            self._recovering.append(image)
        elif failure is not None:
            self._recover(outcome.url)
        doubt = self._index.quarantine_record(outcome.url)
        new = QuarantineRecord(rejected=doubt.rejected)
        if outcome.doubtful:
            candidate = outcome.doubtful.copy
            is_same = doubt.candidate is not None and doubt.candidate.digest == candidate.digest
            since = doubt.since if is_same else candidate.fetched_at
            new = QuarantineRecord(candidate, outcome.doubtful.reason, since, doubt.rejected)
            self._index.put_asset(outcome.doubtful.asset)
        if new != doubt:
            self._index.put_quarantine_record(outcome.url, new)
            self._released |= {doubt.candidate.digest} if doubt.candidate else set()

    def _recover(self, url: str) -> None:
        failure = self._index.failure(url)
        if failure is not None:
            if record := health.recovered(failure, self._index.health(url), self._clock()):
                self._index.put_health(url, record)
            self._index.drop_failure(url)


def _without(asset: Asset, missing: Collection[str]) -> Asset:
    """Returns the record without the missing files, and without their recipes, so that these are rendered again."""
    there = tuple(variant for variant in asset.variants if variant.path not in missing)
    gone = {variant.recipe for variant in asset.variants if variant.path in missing}
    return msgspec.structs.replace(
        asset, variants=there, recipes=tuple(recipe for recipe in asset.recipes if recipe not in gone)
    )
