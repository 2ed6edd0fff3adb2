"""Decides whether to repeat a request, and when. Pure.

tenacity and stamina bring their own clock, sleep and random numbers, and decide by the type of the exception. Here the
error itself knows whether it may pass, and the server may name the time.
"""

from __future__ import annotations

import datetime
import random
import re

from imgcache.core import DiskFull, HostDown, HttpStatus, ImageError, NoOpenFiles, OverBudget, Robots

BASE = 0.5  # seconds before the second attempt, doubled for each further one
LONGEST_BACKOFF = 30.0
LONGEST_RETRY_AFTER = 60.0  # a server that asks for more is not asked again in this run

MOST = 999_999_999_999.0  # seconds; a longer Retry-After is read as this: 30,000 years
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
_NOT_RETRIED = (HostDown, OverBudget, DiskFull, Robots, NoOpenFiles)


def delay(attempt: int, error: ImageError, *, retries: int, rng: random.Random) -> float | None:
    """Return the seconds to wait after a failed attempt, None to give up.

    The backoff is exponential, with jitter over its upper half, so that URLs that failed together are not repeated
    together. It is never shorter than the server asked.

    Args:
        attempt: the number of the failed attempt, from 1.
        error: its failure.
        retries: the attempts after the first at most.
        rng: for the jitter.
    """
    if not error.retryable or attempt > retries or isinstance(error, _NOT_RETRIED):
        return None
    ceiling = min(LONGEST_BACKOFF, BASE * 2.0 ** min(attempt - 1, 16))
    backoff = ceiling * (0.5 + rng.random() / 2)
    requested = error.retry_after if isinstance(error, HttpStatus) else None
    if requested is None:
        return backoff
    return None if requested > LONGEST_RETRY_AFTER else requested + rng.random() * BASE


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After asks to wait (RFC 9110, section 10.2.3): delta-seconds, or an HTTP-date.

    Args:
        value: the value of the field, None where there is none.
        now: in seconds since the epoch.

    Returns:
        At most `MOST` seconds, 0 for a date that has passed, None for an invalid value.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0") or "0"
        return float(digits) if len(digits) <= _DIGITS else MOST
    when = http_date(text, now)
    return None if when is None else min(max(0.0, when - now), MOST)


def http_date(text: str, now: float) -> float | None:
    """Parse an HTTP-date (RFC 9110, section 5.6.7) in any of its three forms; its zone must be UTC.

    A wrong day of the week is ignored. email.utils is not used: it raises OverflowError for some texts, and accepts
    zones that the RFC does not allow.

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
    second = min(int(found["second"]), 59)  # 60 is a leap second, which time_t cannot express
    try:
        return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC).timestamp()
    except ValueError:  # the 31st of February, hour 25, year 0
        return None
