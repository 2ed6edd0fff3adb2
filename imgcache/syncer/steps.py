"""Chooses the next step of one URL, where its server may be one that is not to be contacted now. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from imgcache.core import Action, Job, Outcome, rested_outcome
from imgcache.policy import Step, SyncPolicy, plan


def choose_step(job: Job, missing: Sequence[str], policy: SyncPolicy, now: float) -> Step:
    """Returns the next step of a URL. Its server may be one that is not to be contacted now."""
    step = plan.next_step(job.copy, job.asset, missing, policy, now)
    if job.rest is None or step not in (Step.FETCH, Step.REVALIDATE) or policy.offline:
        return step
    offline = msgspec.structs.replace(policy, offline=True)
    without_network = plan.next_step(job.copy, job.asset, missing, offline, now)
    return without_network if without_network is Step.RENDER else Step.REST


def unchanged(job: Job, missing: Sequence[str], step: Step) -> Outcome:
    """Returns the outcome of a URL whose server was not contacted, with the problem that was the reason, if any."""
    if step is not Step.REUSE and job.rest is not None:
        held = None if job.asset is None or job.asset.original in missing else job.asset
        return rested_outcome(job, held, job.rest)
    return Outcome(job.url, Action.REUSED, job.copy, job.asset)
