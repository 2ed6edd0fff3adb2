"""What audits remember: failures in the records that `sync` keeps too, first sightings, and a line for each day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from imgcache.auditor.probing import ProbeFailure
from imgcache.cache import Index, Sighting
from imgcache.core import DayLine, Failure, Finding, Problem, image_error
from imgcache.policy import Health, health

BATCH = 64  # records in one transaction
DAYS = 400


class AuditHistory:
    """The index as an audit uses it: failures are few and kept at hand, of images that do well it reads nothing.

    Nothing is written before `confirm`: where no host answers, the network is down, and says nothing of any image.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._failures = dict(index.failures())
        self._forgotten = frozenset(index.forgotten_urls())
        self._changes: list[tuple[str, Failure | None, float]] = []  # None: it answers again
        self._is_confirmed = False

    def is_forgotten(self, url: str) -> bool:
        """Whether somebody asked never to ask for this URL."""
        return url in self._forgotten

    def failure(self, url: str) -> Failure | None:
        """What is remembered of a URL that fails."""
        return self._failures.get(url)

    def past(self, url: str) -> Health | None:
        """What is remembered of a URL that failed and has answered since."""
        return self._index.health(url)

    @property
    def knows_failures(self) -> bool:
        """Whether any URL is known to fail, or not to be asked for."""
        return bool(self._failures or self._forgotten)

    def failed(self, url: str, error: ProbeFailure, now: float) -> Failure:
        """A URL failed once more."""
        past, copy = self.past(url), self._index.copy(url)
        status = msgspec.UNSET if error.status is None else error.status
        problem = Problem(error.code, url, error.message, retryable=error.retryable, status=status)
        last_good = copy.checked_at if copy else past.last_good if past else None
        failure = health.failed(self._failures.get(url), problem, now, last_good=last_good, wall=error.wall)
        self._change(url, failure, now)
        return failure

    def answered(self, url: str, now: float) -> Failure | None:
        """A URL gave the beginning of a picture. What is still wrong with it is what only the whole one shows."""
        failure = self._failures.get(url)
        if failure is None or _needs_whole(failure.code):
            return failure
        self._change(url, None, now)
        return None

    def confirm(self) -> None:
        """The network is there: what was learned may be written."""
        self._is_confirmed = True

    def flush(self) -> None:
        """Write what was learned, if it is confirmed."""
        if not self._is_confirmed or not self._changes:
            return
        with self._index.batch():
            for url, failure, now in self._changes:
                if failure is not None:
                    self._index.put_failure(url, failure)
                elif (old := self._index.failure(url)) is not None:
                    self._index.put_health(url, health.recovered(old, self._index.health(url), now))
                    self._index.drop_failure(url)
        self._changes.clear()

    def _change(self, url: str, failure: Failure | None, now: float) -> None:
        self._changes.append((url, failure, now))
        if len(self._changes) >= BATCH:
            self.flush()

    # -- sightings and days ------------------------------------------------------------------------------------------

    def dated(self, findings: Iterable[Finding], now: float | None) -> list[Finding]:
        """The findings with the time of the first audit that had them; `now` is that of new ones, None: not known."""
        known = dict(self._index.sightings())
        dated = []
        for found in findings:
            first = known.get(_key(found), now)
            dated.append(found if first is None else msgspec.structs.replace(found, first_seen=_iso(first)))
        return dated

    def remember(self, findings: Iterable[Finding], line: DayLine | None, now: float) -> None:
        """Write when each finding was first there, and the line of the day; None for an audit that was cut short.

        One that was not has seen all there is: what it does not find is forgotten.
        """
        known = {key for key, _ in self._index.sightings()}
        found = {_key(finding) for finding in findings}
        days = list(self._index.days())
        changes: dict[Sighting, float | None] = dict.fromkeys(sorted(found - known), now)
        with self._index.batch():
            if line is None:
                self._index.put_sightings(changes)
                return
            self._index.put_sightings(changes | dict.fromkeys(sorted(known - found)))
            if line not in days:
                self._index.put_day(line)
            for old in sorted({day.day for day in days} | {line.day})[:-DAYS]:
                self._index.drop_day(old)

    def days(self) -> tuple[DayLine, ...]:
        """The last audit of each day, oldest first."""
        return tuple(self._index.days())


def day_of(now: float) -> str:
    """The day in UTC, as an ISO date."""
    return _iso(now)[:10]


def _key(found: Finding) -> Sighting:
    """What a sighting goes by: lines move, messages change."""
    return found.rule, found.url or found.article or found.message.partition(":")[0]


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _needs_whole(code: str) -> bool:
    """Whether only the whole image shows such a failure, so that a good beginning does not refute it."""
    kind = image_error(code)
    return code == "dimensions" if kind is None else kind.needs_whole
