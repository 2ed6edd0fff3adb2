"""What takes the place of the pipeline in a dry run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

from imgcache.cache import Store
from imgcache.core import Action, Asset, Job, Outcome
from imgcache.policy import Step, SyncPolicy
from imgcache.syncer.steps import choose_step, unchanged

_ACTIONS = {
    Step.REUSE: Action.REUSED,
    Step.RENDER: Action.RENDERED,
    Step.REVALIDATE: Action.REVALIDATED,
    Step.FETCH: Action.FETCHED,
}


class DryRun:
    """Takes the place of a Pipeline in a dry run: returns what would be done, and does nothing."""

    def __init__(
        self, *, store: Store, policy: SyncPolicy, clock: Callable[[], float], kept: Mapping[str, Asset]
    ) -> None:
        """`kept` are the images that gc removed and a run would restore, by URL."""
        self._store = store
        self._policy = policy
        self._clock = clock
        self._kept = kept

    async def __aenter__(self) -> Self:
        """Do nothing."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing."""

    async def run(self, job: Job) -> Outcome:
        """Returns the outcome of one URL if its server gave a good answer."""
        missing = self._store.missing(job.asset) if job.asset else ()
        step = choose_step(job, missing, self._policy.for_focus(job.focus), self._clock())
        if job.copy is None and (kept := self._kept.get(job.url)) is not None:
            return Outcome(job.url, Action.REUSED, asset=kept)
        if step is Step.FETCH and self._policy.offline:
            return Outcome(job.url, Action.SKIPPED)
        if step is Step.REST:
            return unchanged(job, missing, step)
        return Outcome(job.url, _ACTIONS[step], asset=None if step is Step.FETCH else job.asset)
