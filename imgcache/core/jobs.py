"""What is to be done for one URL, and what became of it: frozen, comparable, picklable."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from imgcache.core.errors import ImageError
from imgcache.core.models import Asset, Copy, Declared, Problem, Severity


class Job(msgspec.Struct, frozen=True):
    """One URL to be brought up to date, with what is recorded of it."""

    url: str
    copy: Copy | None = None
    asset: Asset | None = None
    rest: Problem | None = None  # why its server is not to be asked now
    declared: tuple[Declared, ...] = ()  # by the articles, where a copy is held
    rejected: tuple[str, ...] = ()  # digests that somebody decided against
    focus: tuple[float, float] | None = None  # that its articles give: where crops are laid


class Action(StrEnum):
    """What was done for one URL."""

    REUSED = "reused"
    FETCHED = "fetched"
    REVALIDATED = "revalidated"
    RENDERED = "rendered"  # variants made again from the original on disk
    FAILED = "failed"
    RESTED = "rested"  # dead or gone: not asked this time
    SKIPPED = "skipped"  # nothing: it needs a network that is not to be used, or must never be fetched
    DOUBTED = "doubted"  # what came is doubtful: the older copy stays until somebody decides


class Doubtful(msgspec.Struct, frozen=True):
    """A picture that came at a refresh and may not take the place of the copy held without a person's word."""

    copy: Copy
    asset: Asset
    reason: str


class Spent(Protocol):
    """What asking for one image cost, as `net.statistics` counts it."""

    busy: int
    timeouts: int
    waited: float


class Delay(msgspec.Struct, frozen=True):
    """What held one image up: so many answers 429 or 503, so many time-outs, seconds until it was asked for again."""

    busy: int = 0
    timeouts: int = 0
    waited: float = 0.0

    @classmethod
    def of(cls, spent: Spent) -> Delay | None:
        """What was counted while an image was asked for; None where nothing held it up."""
        return cls(spent.busy, spent.timeouts, spent.waited) if spent.busy or spent.timeouts else None


class Outcome(msgspec.Struct, frozen=True):
    """What became of one job.

    `copy` and `asset` are what is held now: with action FAILED they are the older copy, which is kept and still good.
    `bytes_fetched` are those of bodies, of an answer that was refused too.
    """

    url: str
    action: Action
    copy: Copy | None = None
    asset: Asset | None = None
    problem: Problem | None = None
    bytes_fetched: int = 0
    wall: str | None = None  # the bot wall that refused
    doubtful: Doubtful | None = None
    delay: Delay | None = None  # by its server, where there was any
    notes: tuple[str, ...] = ()  # what is not quite right with the original, and did no harm


def without_answer(job: Job, held: Asset | None, problem: Problem) -> Outcome:
    """What is left of a URL that gave nothing: what is held of it in full, if anything is."""
    if held is None:
        return Outcome(job.url, Action.RESTED, problem=problem)
    kept = msgspec.structs.replace(
        problem, message=f"{problem.message}; the copy that is held stays", severity=Severity.WARNING
    )
    return Outcome(job.url, Action.RESTED, job.copy, held, kept)


def failed(job: Job, held: Asset | None, error: ImageError) -> Outcome:
    """The same for a URL that failed just now, by the error that ended it."""
    status = msgspec.UNSET if error.status is None else error.status
    problem = Problem(error.code, job.url, error.message, retryable=error.retryable, status=status)
    return but(without_answer(job, held, problem), Action.FAILED, wall=error.wall)


def but(outcome: Outcome, action: Action, **changes: object) -> Outcome:
    """An outcome with another action, and with these fields changed."""
    return msgspec.structs.replace(outcome, action=action, **changes)
