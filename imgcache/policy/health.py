"""Derives the state of a URL from its failures, and when to ask again. Pure: time is passed in, in seconds."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from imgcache.core import Blame, Failure, Problem, UrlState, blame_for, plural

DAY = 86_400.0
MEMORY = 30 * DAY  # after this time without a failure, earlier failures do not count
DEAD_COUNT, DEAD_SPAN = 5, 7 * DAY
LONGEST_BACKOFF = 30  # days

# Causes that do not count against a URL: it is never dead because of them.
NOT_COUNTED = frozenset({Blame.ARTICLE, Blame.RULE, Blame.LOCAL})
# Causes that say nothing about the network: no host was asked, or the failure is on this machine.
NOT_ASKED = frozenset({Blame.ARTICLE, Blame.LOCAL})


class Health(msgspec.Struct, frozen=True, gc=False):
    """The failures of a URL that has answered since. Only failures within `MEMORY` count."""

    first_failure: float
    last_failure: float
    failures: int
    last_good: float


def url_state(failure: Failure | None, health: Health | None, now: float) -> UrlState:
    """Return the state of a URL by the failures since its last answer and those before."""
    if failure is None:
        return UrlState.FLAKY if health and now - health.last_failure <= MEMORY else UrlState.OK
    if failure.status == 410:
        return UrlState.GONE
    if failure.wall is not None:
        return UrlState.BLOCKED
    if _is_dead(failure):
        return UrlState.DEAD
    last_good = failure.last_good if failure.last_good is not None else -MEMORY
    if health and failure.first_at - health.last_failure <= MEMORY and now - last_good <= MEMORY:
        return UrlState.FLAKY
    return UrlState.SUSPECT


def failed(
    previous: Failure | None,
    problem: Problem,
    now: float,
    *,
    last_good: float | None = None,
    wall: str | None = None,
    digest: str | None = None,
) -> Failure:
    """Return the record of a URL after one more failure.

    Args:
        previous: the record before; None if the URL answered last time.
        problem: the failure.
        now: seconds since the epoch. If the clock was set back before the first failure, counting starts at `now`.
        last_good: when the URL last answered; used for the first failure.
        wall: the bot wall that refused the request, if any.
        digest: SHA-256 of bytes that were received and refused, if any.
    """
    failure = Failure(
        code=problem.code,
        message=problem.message,
        first_at=min(previous.first_at, now) if previous else now,
        last_at=now,
        count=previous.count + 1 if previous else 1,
        status=None if problem.status is msgspec.UNSET else problem.status,
        retryable=problem.retryable,
        last_good=previous.last_good if previous else last_good,
        wall=wall,
        digest=digest,
    )
    if failure.status == 410 or _is_dead(failure):
        return msgspec.structs.replace(failure, rests=(previous.rests if previous else 0) + 1)
    return failure


def recovered(failure: Failure, health: Health | None, now: float) -> Health | None:
    """Return the record of a URL that answers again; `health` as it was if the failure does not count against it."""
    if blame_for(failure.code) in NOT_COUNTED:
        return health
    if health is None or failure.first_at - health.last_failure > MEMORY:
        return Health(failure.first_at, failure.last_at, failure.count, now)
    return Health(health.first_failure, failure.last_at, health.failures + failure.count, now)


def next_attempt(failure: Failure) -> float | None:
    """Return when to ask a dead or gone URL again: after 1, 2, 4, … 30 days. None for other URLs: at every sync."""
    if failure.rests == 0:
        return None
    return failure.last_at + DAY * min(LONGEST_BACKOFF, 1 << min(failure.rests - 1, 10))


def is_backed_off(failure: Failure, now: float) -> bool:
    """Return whether a URL must not be asked now. A clock that was set back delays nothing."""
    due = next_attempt(failure)
    return due is not None and failure.last_at <= now < due


def describe_backoff(failure: Failure, health: Health | None, now: float) -> str:
    """Return the message for a URL that is not asked now."""
    times = f"failed {plural(failure.count, 'time')} since {format_day(failure.first_at)}"
    due = format_day(next_attempt(failure) or now)
    return (
        f"{failure.message}; {url_state(failure, health, now)}: {times};"
        f" asked again from {due}, or now with --only-failed or --refresh"
    )


def format_day(seconds: float) -> str:
    """Return a time for people: 2026-02-05 14:00 UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _is_dead(failure: Failure) -> bool:
    lasting = failure.count >= DEAD_COUNT and failure.last_at - failure.first_at >= DEAD_SPAN
    return lasting and blame_for(failure.code) not in NOT_COUNTED
