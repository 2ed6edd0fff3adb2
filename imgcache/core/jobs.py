"""Jobs and outcomes: what a sync does for one URL, and the result."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from imgcache.core.errors import ImageError
from imgcache.core.models import Asset, Copy, Declared, Problem, Severity


class Job(msgspec.Struct, frozen=True):
    """One URL to bring up to date, with its records."""

    url: str
    copy: Copy | None = None
    asset: Asset | None = None
    rest: Problem | None = None  # why its server is not asked now
    declared: tuple[Declared, ...] = ()  # by the articles, where a copy is cached
    rejected: tuple[str, ...] = ()  # digests that a person rejected
    focus: tuple[float, float] | None = None  # from its articles, for crops


class Action(StrEnum):
    """What was done for one URL."""

    REUSED = "reused"
    FETCHED = "fetched"
    REVALIDATED = "revalidated"
    RENDERED = "rendered"  # its variants were made again from the original on disk
    FAILED = "failed"
    RESTED = "rested"  # dead or gone: not asked this time
    SKIPPED = "skipped"  # nothing: it needs a network that is not to be used, or must never be fetched
    DOUBTED = "doubted"  # what came is doubtful: the older copy stays until somebody decides


class Doubtful(msgspec.Struct, frozen=True):
    """A picture from a refresh that may replace the cached copy only after a person has accepted it."""

    copy: Copy
    asset: Asset
    reason: str


class RequestCosts(Protocol):
    """What the requests for one image cost, as `downloader.http.statistics` counts it."""

    busy: int
    timeouts: int
    waited: float


class Delay(msgspec.Struct, frozen=True):
    """What delayed one image: answers 429 or 503, time-outs, and seconds of waiting before further requests."""

    busy: int = 0
    timeouts: int = 0
    waited: float = 0.0

    @classmethod
    def of(cls, spent: RequestCosts) -> Delay | None:
        """Returns the delay that statistics show, or None if there was none."""
        return cls(spent.busy, spent.timeouts, spent.waited) if spent.busy or spent.timeouts else None


class Outcome(msgspec.Struct, frozen=True):
    """The result of one job.

    `copy` and `asset` are what is cached now: with action FAILED they are the older copy, which is kept and still good.
    `bytes_fetched` counts bodies, those of refused responses too.
    """

    url: str
    action: Action
    copy: Copy | None = None
    asset: Asset | None = None
    problem: Problem | None = None
    bytes_fetched: int = 0
    wall: str | None = None  # the bot wall that refused the request
    doubtful: Doubtful | None = None
    delay: Delay | None = None  # by its server
    notes: tuple[str, ...] = ()  # harmless defects of the original


def rested_outcome(job: Job, held: Asset | None, problem: Problem) -> Outcome:
    """Returns the outcome of a URL without a new body: the cached asset stays, if there is one."""
    if held is None:
        return Outcome(job.url, Action.RESTED, problem=problem)
    kept = msgspec.structs.replace(
        problem, message=f"{problem.message}; the cached copy stays", severity=Severity.WARNING
    )
    return Outcome(job.url, Action.RESTED, job.copy, held, kept)


def failed_outcome(job: Job, held: Asset | None, error: ImageError) -> Outcome:
    """Returns the outcome of a URL that failed now, with the error that ended it."""
    status = msgspec.UNSET if error.status is None else error.status
    problem = Problem(error.code, job.url, error.message, retryable=error.retryable, status=status)
    return with_action(rested_outcome(job, held, problem), Action.FAILED, wall=error.wall)


def with_action(outcome: Outcome, action: Action, **changes: object) -> Outcome:
    """Returns the outcome with another action and other changed fields."""
    return msgspec.structs.replace(outcome, action=action, **changes)
