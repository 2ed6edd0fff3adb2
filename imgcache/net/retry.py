"""Whether to ask again, and when. Pure.

tenacity and stamina bring their own clock, sleep and random numbers and decide on the exception's type; here the error
itself knows whether it may pass, and the server may say when. What remains is this page.
"""

from __future__ import annotations

import datetime
import email.utils
import random

from imgcache.errors import DiskFull, HostDown, HttpStatus, ImageError, OverBudget, Robots

BASE = 0.5  # seconds before the second attempt, doubled for each further one
LONGEST_BACKOFF = 30.0
LONGEST_RETRY_AFTER = 60.0  # who asks for more is left alone until the next run

_NOT_IN_THIS_RUN = (HostDown, OverBudget, DiskFull, Robots)


def delay(attempt: int, error: ImageError, *, retries: int, rng: random.Random) -> float | None:
    """Seconds to wait before attempt `attempt` + 1, None to give up; attempts count from 1.

    Exponential with jitter over its upper half, so that URLs that failed together do not come back together; never
    sooner than the server asked.
    """
    if not error.retryable or attempt > retries or isinstance(error, _NOT_IN_THIS_RUN):
        return None
    ceiling = min(LONGEST_BACKOFF, BASE * 2.0 ** min(attempt - 1, 16))
    backoff = ceiling * (0.5 + rng.random() / 2)
    asked = error.retry_after if isinstance(error, HttpStatus) else None
    if asked is None:
        return backoff
    return None if asked > LONGEST_RETRY_AFTER else asked + rng.random() * BASE


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After asks to wait (RFC 9110, section 10.2.3): delta-seconds, or an HTTP-date.

    `now`, in seconds since the epoch, is what the date is seen from. None where there is no such header, or none that
    can be read.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:  # a date without a zone is UTC (RFC 9110, section 5.6.7)
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, when.timestamp() - now)
