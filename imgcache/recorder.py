"""Writes down what became of each image: in the index by URL, in the catalogue for the next run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from imgcache import plan
from imgcache.catalogue import Catalogue
from imgcache.index import Index
from imgcache.models import Action, Asset, Job, Outcome
from imgcache.plan import Wish
from imgcache.store import Store

# Outcomes in one transaction: enough to make a write cheap, few enough to lose little in a crash (their blobs stay and
# are found again by their digest when they are fetched anew).
BATCH = 64


class Recorder:
    """The only writer of the index and of what the catalogue says of images, during a sync."""

    def __init__(
        self, *, index: Index, catalogue: Catalogue, store: Store, wish: Wish, clock: Callable[[], float]
    ) -> None:
        self._index = index
        self._catalogue = catalogue
        self._store = store
        self._wish = wish
        self._clock = clock
        self._open = contextlib.ExitStack()
        self._waiting = 0

    def job(self, image: int) -> Job:
        """The job for one image of the catalogue, with what is recorded of it."""
        url = self._catalogue.url(image)
        copy = self._index.copy(url)
        return Job(url, copy, self._index.asset(copy.digest) if copy else None)

    def asset_of(self, digest: str) -> Asset | None:
        """What is recorded of a digest, the open transaction included."""
        return self._index.asset(digest)

    def is_settled(self, digest: str | None, stamp: int | None, recipes: str | None, due: float | None) -> bool:
        """Whether an image needs nothing: held, with all its files where they were, and not due."""
        if digest is None or stamp is None or recipes != self.recipes or due is None:
            return False
        if not self._wish.offline and (self._wish.refresh or not -1e9 < self._clock() < due):
            return False
        return self._store.stamp(digest) == stamp

    @property
    def recipes(self) -> str:
        """All recipes as one word."""
        return " ".join(self._wish.recipes)

    def record(self, image: int, outcome: Outcome) -> None:
        """Write one outcome down; it is durable after `flush`."""
        if self._waiting == 0:
            self._open.enter_context(self._index.batch())
            self._open.enter_context(self._catalogue.transaction())
        self._write(image, outcome)
        self._waiting += 1
        if self._waiting >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Make all that was recorded durable."""
        self._open.close()
        self._waiting = 0

    def _write(self, image: int, outcome: Outcome) -> None:
        if outcome.action is Action.FAILED and outcome.problem:
            previous = self._index.failure(outcome.url)
            self._index.put_failure(outcome.url, plan.failed(previous, outcome.problem, self._clock()))
        else:
            self._index.drop_failure(outcome.url)
        if outcome.copy is None or outcome.asset is None:
            self._index.drop_copy(outcome.url)
            self._catalogue.unsettle(image)
            return
        if outcome.action is not Action.REUSED:
            self._index.put_asset(outcome.asset)
            self._index.put_copy(outcome.url, outcome.copy)
        self._catalogue.settle(
            image,
            outcome.asset,
            stamp=self._store.stamp(outcome.asset.digest),
            recipes=self.recipes,
            due=outcome.copy.checked_at + self._wish.refresh_after,
        )
