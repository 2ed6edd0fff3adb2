"""Writes down what became of each image: in the index by URL, in the catalogue for the next run.

What they speak of is durable already. They gather for a moment and are written in one transaction.
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

# Seconds from an outcome to the transaction that it is written in: images end in groups, as they become durable. What
# is not written when a process is killed is fetched anew.
_PAUSE = 0.003

_FILES, _VARIANTS = 1, 2  # what an image lacks: files that are not where they were, or only variants wished since
_ANSWERED = frozenset({Action.FETCHED, Action.REVALIDATED, Action.DOUBTED})


class Recorder:
    """The only writer of the index and of what the catalogue says of images, during a sync.

    Use as `async with recorder`; what is recorded there is written in the background, and all of it by `flush`.
    """

    def __init__(
        self, *, index: Index, catalogue: Catalogue, store: Store, wish: SyncPolicy, clock: Callable[[], float]
    ) -> None:
        self._index = index
        self._catalogue = catalogue
        self._store = store
        self._wish = wish
        self._clock = clock
        self._recipes, self._crops = " ".join(wish.recipes), wish.crops
        self._more = asyncio.Event()
        self._waiting: dict[int, Outcome] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._pending = array("q")  # images that brought again what was refused before
        self._incomplete = bytearray()  # by image: what one lacks that was taken for held
        self._released: set[str] = set()  # digests that something let go of: few, for only cards and candidates do

    async def __aenter__(self) -> Self:
        """Outcomes are written down as they come."""
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)  # what went wrong, `flush` meets again
            self._keeper = None

    async def _keep(self) -> None:
        while True:
            await self._more.wait()
            await asyncio.sleep(_PAUSE)
            self._more.clear()
            self._write_waiting()

    def job(self, image: int, *, wake: bool = False) -> Job:
        """The job for one image of the catalogue, with what is recorded of it; `wake`: ask dead servers as well."""
        url = self._catalogue.images.url(image)
        copy = self._index.copy(url)
        return Job(
            url,
            copy,
            self._index.asset(copy.digest) if copy else None,
            rest=None if wake or self._wish.refresh else self._rest(url),
            declared=self._catalogue.references.declared_sizes(url) if copy else (),
            rejected=self._index.doubt(url).rejected,
            focus=self._catalogue.focal_points.of_image(image),
        )

    def _rest(self, url: str) -> Problem | None:
        failure, now = self._index.failure(url), self._clock()
        if failure is None or not health.is_backed_off(failure, now):
            return None
        message = health.describe_backoff(failure, self._index.health(url), now)
        status = msgspec.UNSET if failure.status is None else failure.status
        return Problem(failure.code, url, message, retryable=failure.retryable, status=status)

    def asset_of(self, digest: str) -> Asset | None:
        """What is known of a digest, written down or not yet."""
        for outcome in self._waiting.values():
            if outcome.asset is not None and outcome.asset.digest == digest:
                return outcome.asset
        return self._index.asset(digest)

    def is_whole(self, image: RecordedImage) -> bool:
        """Whether an image is held, with all its files where they were, and all variants that are wished."""
        return image.recipes == self._wished(image.focus) and self._is_there(image)

    def _is_there(self, image: RecordedImage) -> bool:
        return image.digest is not None and image.stamp is not None and self._store.stamp(image.digest) == image.stamp

    def is_due(self, image: RecordedImage) -> bool:
        """Whether its server is to be asked again."""
        is_late = image.due is None or not -1e9 < self._clock() < image.due
        return not self._wish.offline and (self._wish.refresh or is_late)

    def holds(self, job: Job) -> bool:
        """Whether all that is wished of a URL is on disk."""
        recipes = self._wish.aimed(job.focus).recipes
        return job.asset is not None and job.asset.recipes == recipes and not self._store.missing(job.asset)

    def doubt(self, image: RecordedImage) -> None:
        """Have `recheck` look at an image that is taken for held and is not whole, unless an outcome comes first."""
        lacks_variants = image.recipes != self._wished(image.focus) and self._is_there(image)
        self._incomplete.extend(bytes(max(0, image.image + 1 - len(self._incomplete))))
        self._incomplete[image.image] = _VARIANTS if lacks_variants else _FILES

    def _wished(self, focus: tuple[float, float] | None) -> str:
        """All recipes as one word, with the focal point that they are laid around."""
        return self._recipes if focus is None or not self._crops else f"{self._recipes} {focus}"

    def record(self, image: int, outcome: Outcome) -> None:
        """Write one outcome down, soon: at `flush` at the latest. Its files are durable.

        Raises:
            DiskFull: what came before it could not be written.
        """
        if self._keeper is not None and self._keeper.done():
            self._keeper.result()
        self._waiting[image] = outcome
        self._more.set()
        self.decided(image)

    def decided(self, image: int) -> None:
        """An outcome came of an image: `recheck` has no need to look."""
        if image < len(self._incomplete):
            self._incomplete[image] = 0

    def flush(self) -> None:
        """Make all that was recorded durable: flags may be set after it."""
        self._write_waiting()
        self._index.settle()

    def _write_waiting(self) -> None:
        """In one transaction, which a power cut may take back until `flush`: then they are fetched anew."""
        if not self._waiting:
            return
        with self.batch(durable=False):
            for image, outcome in self._waiting.items():
                self._write(image, outcome)
        self._waiting = {}

    def recheck(self) -> None:
        """Hold against the disk the images in `doubt` that no outcome came of. Comes after `flush`."""
        if any(self._incomplete):
            with self.batch():
                for image, lack in enumerate(self._incomplete):
                    if lack:
                        self._take_stock(image, has_files=lack == _VARIANTS)

    def _take_stock(self, image: int, *, has_files: bool = False) -> None:
        """Of an image that nothing came of: if it is not whole it is not held, and its record says what is there."""
        url = self._catalogue.images.url(image)
        copy = self._index.copy(url)
        asset = self._index.asset(copy.digest) if copy else None
        if asset and not has_files and self._store.stamp(asset.digest) is None:  # sooner seen than file by file
            asset = None
        missing = self._store.missing(asset) if asset and not has_files else ()
        if asset is None or asset.original in missing:
            self._index.drop_copy(url)
        else:
            if missing:
                asset = _without(asset, missing)
                self._index.put_asset(asset)
            focus = self._catalogue.focal_points.of_image(image)
            if copy and asset.recipes == self._wish.aimed(focus).recipes:
                self._settle(image, copy, asset, self._wished(focus))
                return
        self._catalogue.images.mark_missing(image)

    def _settle(self, image: int, copy: Copy, asset: Asset, recipes: str) -> None:
        stamp, due = self._store.stamp(asset.digest), copy.checked_at + self._wish.refresh_after
        self._catalogue.images.mark_held(image, asset, stamp=stamp, recipes=recipes, due=due)

    @contextlib.contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """All that is written in the block, or nothing."""
        # The last one entered commits first: the index, for what it lacks the catalogue must not believe.
        with self._catalogue.transaction(), self._index.batch(durable=durable):
            yield

    def tidy(self) -> None:
        """Remove the blobs that this run let go of and nothing else uses. Comes after every `batch`."""
        remove_unused_assets(self._released, self._index, self._store)
        self._released.clear()

    def take_back(self, image: int, problem: Problem, began: float) -> Action:
        """Record that an image which is held is refused after all, and say what was done for it since `began`.

        Belongs into a `batch`, after `flush`; so does `confirm`.
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

    def confirm(self) -> None:
        """Record that what was refused before and is still held passes now. Comes after every `take_back`."""
        for image in self._pending:
            url = self._catalogue.images.url(image)
            if self._index.copy(url) is not None:
                self._recover(url)
        self._pending = array("q")

    def _write(self, image: int, outcome: Outcome) -> None:
        if outcome.action is Action.FAILED and outcome.problem:
            self._fail(outcome, outcome.problem)
        elif outcome.action in _ANSWERED and outcome.copy:
            self._answer(image, outcome, outcome.copy)
        if outcome.copy is None or outcome.asset is None:
            self._take_stock(image)
            return
        if outcome.action is not Action.REUSED:
            self._index.put_asset(outcome.asset)
            self._index.put_copy(outcome.url, outcome.copy)
        focus = self._catalogue.focal_points.of_image(image)
        # Equal bytes at another address may just have been cropped around the point given there: the next run decides.
        is_as_wished = outcome.problem is not None or outcome.asset.recipes == self._wish.aimed(focus).recipes
        self._settle(image, outcome.copy, outcome.asset, self._wished(focus) if is_as_wished else "")

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
        if failure is not None and failure.digest == copy.digest:  # whether they pass now is said at the end of the run
            self._pending.append(image)
        elif failure is not None:
            self._recover(outcome.url)
        doubt = self._index.doubt(outcome.url)
        new = QuarantineRecord(rejected=doubt.rejected)
        if outcome.doubtful:
            candidate = outcome.doubtful.copy
            is_same = doubt.candidate is not None and doubt.candidate.digest == candidate.digest
            since = doubt.since if is_same else candidate.fetched_at
            new = QuarantineRecord(candidate, outcome.doubtful.reason, since, doubt.rejected)
            self._index.put_asset(outcome.doubtful.asset)
        if new != doubt:
            self._index.put_doubt(outcome.url, new)
            self._released |= {doubt.candidate.digest} if doubt.candidate else set()

    def _recover(self, url: str) -> None:
        failure = self._index.failure(url)
        if failure is not None:
            self._index.put_health(url, health.recovered(failure, self._index.health(url), self._clock()))
            self._index.drop_failure(url)


def _without(asset: Asset, missing: Collection[str]) -> Asset:
    """The record of what is left: fewer recipes than are wished, so that these files are made again."""
    there = tuple(variant for variant in asset.variants if variant.path not in missing)
    gone = {variant.recipe for variant in asset.variants if variant.path in missing}
    return msgspec.structs.replace(
        asset, variants=there, recipes=tuple(recipe for recipe in asset.recipes if recipe not in gone)
    )
