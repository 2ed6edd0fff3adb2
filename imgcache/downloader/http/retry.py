"""Whether to ask again, and when. Pure.

tenacity and stamina bring their own clock, sleep and random numbers and decide on the exception's type; here the error
itself knows whether it may pass, and the server may say when. What remains is this page.
"""

from __future__ import annotations

import datetime
import random
import re

from imgcache.core import DiskFull, HostDown, HttpStatus, ImageError, NoOpenFiles, OverBudget, Robots

BASE = 0.5  # seconds before the second attempt, doubled for each further one
LONGEST_BACKOFF = 30.0
LONGEST_RETRY_AFTER = 60.0  # who asks for more is left alone until the next run

MOST = 999_999_999_999.0  # seconds that a Retry-After is read as at most: 30,000 years
_DIGITS = 12

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-5][0-9]|60)"
_UTC = r"(?:GMT|UTC|[+-]0000)"  # only GMT by the RFC; the others are sent and mean the same
_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (
        rf"[a-z]{{3}}, ?(?P<day>[0-9]{{1,2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} {_UTC}",  # IMF-fixdate
        rf"[a-z]{{6,9}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} {_UTC}",  # RFC 850
        rf"[a-z]{{3}} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",  # asctime
    )
)
_NOT_IN_THIS_RUN = (HostDown, OverBudget, DiskFull, Robots, NoOpenFiles)


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

    Args:
        value: the field's value as it came, None where there is no such field.
        now: in seconds since the epoch; what the date is seen from.

    Returns:
        At most `MOST` seconds, 0 for a date that has passed, None where nothing can be read.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0") or "0"
        return float(digits) if len(digits) <= _DIGITS else MOST
    when = http_date(text, now)
    return None if when is None else min(max(0.0, when - now), MOST)


def http_date(text: str, now: float) -> float | None:
    """Read an HTTP-date (RFC 9110, section 5.6.7): any of its three forms, and a zone only where it means UTC.

    The day of the week is not held against the date. email.utils, which reads anything that is like a date, raises
    OverflowError for some of it, and reads zones that the RFC does not allow.

    Returns:
        Seconds since the epoch, None for anything else.
    """
    found = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    if found is None:
        return None
    year, month = int(found["year"]), 1 + _MONTHS.index(found["month"].lower())
    if len(found["year"]) == 2:
        # "a timestamp that appears to be more than 50 years in the future" is in the past (section 5.6.7)
        latest = datetime.datetime.fromtimestamp(now, datetime.UTC).year + 50
        year = latest - (latest - year) % 100
    day, hour, minute = int(found["day"]), int(found["hour"]), int(found["minute"])
    second = min(int(found["second"]), 59)  # 60 in a leap second, which time_t does not know
    try:
        return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC).timestamp()
    except ValueError:  # the 31st of February, hour 25, year 0
        return None
