"""What a URL's failures say of it, and when it is asked again. Pure: the clock is passed in, in seconds."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from imgcache.core import Blame, Failure, Problem, UrlState, blame_for, plural

DAY = 86_400.0
MEMORY = 30 * DAY  # without a failure for so long, the earlier ones say nothing any more
DEAD_COUNT, DEAD_SPAN = 5, 7 * DAY
LONGEST_BACKOFF = 30  # days

# Causes that do not count against a URL: it is never dead because of them.
NOT_COUNTED = frozenset({Blame.ARTICLE, Blame.RULE, Blame.LOCAL})
# Causes that say nothing about the network: no host was asked, or the failure is on this machine.
NOT_ASKED = frozenset({Blame.ARTICLE, Blame.LOCAL})


class Health(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a URL that failed and has answered since; all failures within one `MEMORY`."""

    first_failure: float
    last_failure: float
    failures: int
    last_good: float


def url_state(failure: Failure | None, health: Health | None, now: float) -> UrlState:
    """The state of a URL by the failures since it last answered, and by those before."""
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
    """What is remembered of a URL after one more failure in a row.

    Args:
        previous: what was remembered, None where it answered before.
        problem: what is wrong now.
        now: seconds since the epoch. Set back before the first failure, it begins the row anew.
        last_good: when it last answered, for the first failure of a row.
        wall: the bot wall that refused, if one did.
        digest: of the bytes that came and were refused, if any did.
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


def recovered(failure: Failure, health: Health | None, now: float) -> Health:
    """What is remembered of a URL that answers again."""
    if health is None or failure.first_at - health.last_failure > MEMORY:
        return Health(failure.first_at, failure.last_at, failure.count, now)
    return Health(health.first_failure, failure.last_at, health.failures + failure.count, now)


def next_attempt(failure: Failure) -> float | None:
    """When a dead or gone URL is asked again: after 1 day, then 2, 4, … up to 30; None: at every sync."""
    if failure.rests == 0:
        return None
    return failure.last_at + DAY * min(LONGEST_BACKOFF, 1 << min(failure.rests - 1, 10))


def is_backed_off(failure: Failure, now: float) -> bool:
    """Whether a URL is not to be asked now. A clock that was set back makes nothing silent."""
    due = next_attempt(failure)
    return due is not None and failure.last_at <= now < due


def describe_backoff(failure: Failure, health: Health | None, now: float) -> str:
    """The words for a URL that is not asked now."""
    times = f"failed {plural(failure.count, 'time')} since {format_day(failure.first_at)}"
    due = format_day(next_attempt(failure) or now)
    return (
        f"{failure.message}; {url_state(failure, health, now)}: {times};"
        f" asked again from {due}, or now with --only-failed or --refresh"
    )


def format_day(seconds: float) -> str:
    """A time for people: 2026-02-05 14:00 UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _is_dead(failure: Failure) -> bool:
    lasting = failure.count >= DEAD_COUNT and failure.last_at - failure.first_at >= DEAD_SPAN
    return lasting and blame_for(failure.code) not in NOT_COUNTED
