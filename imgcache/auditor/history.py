"""Reads and writes what audits record: failures (shared with `sync`), first sightings, and a line for each day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from imgcache.auditor.probing import ProbeFailure
from imgcache.cache import Index, ProblemKey
from imgcache.core import DayLine, Failure, Finding, Problem, image_error
from imgcache.policy import Health, health

BATCH = 64  # records in one transaction
MAX_DAYS = 400


class AuditHistory:
    """The index as an audit uses it. Failures are few and kept in memory; records of other images are not read.

    Nothing is written before `confirm` is called: if no host answers, the network is down and no image can be judged.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._failures = dict(index.failures())
        self._forgotten = frozenset(index.forgotten_urls())
        self._changes: list[tuple[str, Failure | None, float]] = []  # None: it answers again
        self._is_confirmed = False

    def is_forgotten(self, url: str) -> bool:
        """Whether `imgcache forget` excluded this URL from requests."""
        return url in self._forgotten

    def failure(self, url: str) -> Failure | None:
        """Returns the recorded failure of a URL, if any."""
        return self._failures.get(url)

    def past(self, url: str) -> Health | None:
        """Returns the record of a URL that failed before and has answered since, if any."""
        return self._index.health(url)

    @property
    def knows_failures(self) -> bool:
        """Whether any URL is recorded as failing or excluded."""
        return bool(self._failures or self._forgotten)

    def failed(self, url: str, error: ProbeFailure, now: float) -> Failure:
        """Record a failure of a URL, and return it with its history."""
        past, copy = self.past(url), self._index.copy(url)
        status = msgspec.UNSET if error.status is None else error.status
        problem = Problem(error.code, url, error.message, retryable=error.retryable, status=status)
        last_good = copy.checked_at if copy else past.last_good if past else None
        failure = health.failed(self._failures.get(url), problem, now, last_good=last_good, wall=error.wall)
        self._change(url, failure, now)
        return failure

    def answered(self, url: str, now: float) -> Failure | None:
        """Record that a URL delivered the start of an image.

        Returns:
            The recorded failure, if it is one that only the whole image can refute.
        """
        failure = self._failures.get(url)
        if failure is None or _needs_whole(failure.code):
            return failure
        self._change(url, None, now)
        return None

    def confirm(self) -> None:
        """Allow writing: a host has answered, so the network is up."""
        self._is_confirmed = True

    def flush(self) -> None:
        """Write the recorded changes, if writing is allowed."""
        if not self._is_confirmed or not self._changes:
            return
        with self._index.batch():
            for url, failure, now in self._changes:
                if failure is not None:
                    self._index.put_failure(url, failure)
                elif (old := self._index.failure(url)) is not None:
                    if record := health.recovered(old, self._index.health(url), now):
                        self._index.put_health(url, record)
                    self._index.drop_failure(url)
        self._changes.clear()

    def _change(self, url: str, failure: Failure | None, now: float) -> None:
        self._changes.append((url, failure, now))
        if len(self._changes) >= BATCH:
            self.flush()

    # -- sightings and days ------------------------------------------------------------------------------------------

    def dated(self, findings: Iterable[Finding], now: float | None) -> list[Finding]:
        """Returns the findings with the time of the first audit that had them; new findings get `now`, if given."""
        known = dict(self._index.first_seen())
        dated = []
        for found in findings:
            first = known.get(_key(found), now)
            dated.append(found if first is None else msgspec.structs.replace(found, first_seen=_iso(first)))
        return dated

    def remember(self, findings: Iterable[Finding], line: DayLine | None, now: float) -> None:
        """Write when each finding was first seen, and the line of the day.

        `line` is None for an interrupted audit. A complete audit also deletes sightings that it did not confirm.
        """
        known = {key for key, _ in self._index.first_seen()}
        found = {_key(finding) for finding in findings}
        days = list(self._index.days())
        changes: dict[ProblemKey, float | None] = dict.fromkeys(sorted(found - known), now)
        with self._index.batch():
            if line is None:
                self._index.put_first_seen(changes)
                return
            self._index.put_first_seen(changes | dict.fromkeys(sorted(known - found)))
            if line not in days:
                self._index.put_day(line)
            for old in sorted({day.day for day in days} | {line.day})[:-MAX_DAYS]:
                self._index.drop_day(old)

    def days(self) -> tuple[DayLine, ...]:
        """Returns the last audit of each day, oldest first."""
        return tuple(self._index.days())


def day_of(now: float) -> str:
    """Returns the day in UTC as an ISO 8601 date; `now` is in seconds since the epoch."""
    return _iso(now)[:10]


def _key(found: Finding) -> ProblemKey:
    """Identifies a sighting. It has no line or full message, because these change."""
    return found.rule, found.url or found.article or found.message.partition(":")[0]


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _needs_whole(code: str) -> bool:
    """Whether only the whole image shows such a failure, so that a good beginning does not refute it."""
    kind = image_error(code)
    return code == "dimensions" if kind is None else kind.needs_whole
