"""Records of what happened: failures of URLs, quarantine, placeholder images of hosts, and results of audits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from imgcache.cache.index.record_reader import RecordReader
from imgcache.core import DayLine, Failure
from imgcache.policy import Health, QuarantineRecord

FAILURE = b"f"
_HEALTH, _DOUBT, _CARD, _SIGHTING, _DAY = b"h", b"q", b"k", b"s", b"d"

_BUCKETS = 256

_T = TypeVar("_T")
ProblemKey = tuple[str, str]  # the rule of a finding, and the URL, article or host that it is about

_failures = msgspec.json.Decoder(Failure)
_healths = msgspec.json.Decoder(Health)
_doubts = msgspec.json.Decoder(QuarantineRecord)
_times = msgspec.json.Decoder(float)
_days = msgspec.json.Decoder(DayLine)
_sightings = msgspec.json.Decoder(dict[str, float])
encode = msgspec.json.Encoder().encode


class HistoryRecords:
    """The part of an index that records what happened; `Index` adds what is cached."""

    def __init__(self, records: RecordReader) -> None:
        self._records = records

    def failure(self, url: str) -> Failure | None:
        """Returns the failure of a URL; None if it works."""
        return self._get(FAILURE, url, _failures)

    def put_failure(self, url: str, failure: Failure) -> None:
        """Records a failure."""
        self._records.set(key_of(FAILURE, url), encode(failure))

    def drop_failure(self, url: str) -> None:
        """Deletes the failure of a URL that works again."""
        self._records.delete(key_of(FAILURE, url))

    def health(self, url: str) -> Health | None:
        """Returns the history of a URL that failed and works again; None if there is none."""
        return self._get(_HEALTH, url, _healths)

    def put_health(self, url: str, health: Health) -> None:
        """Records that a URL failed and works again."""
        self._records.set(key_of(_HEALTH, url), encode(health))

    def quarantine_record(self, url: str) -> QuarantineRecord:
        """Returns the quarantined image of a URL, and those that were rejected."""
        return self._get(_DOUBT, url, _doubts) or QuarantineRecord()

    def put_quarantine_record(self, url: str, doubt: QuarantineRecord) -> None:
        """Records what is quarantined or rejected; an empty record is deleted."""
        if doubt == QuarantineRecord():
            self._records.delete(key_of(_DOUBT, url))
        else:
            self._records.set(key_of(_DOUBT, url), encode(doubt))

    def put_placeholder(self, host: str, digest: str, now: float) -> None:
        """Records that a host sends these bytes in place of missing images."""
        self._records.set(key_of(_CARD, f"{host} {digest}"), encode(now))

    def drop_history(self, url: str) -> None:
        """Deletes failure and quarantine records of a URL."""
        for kind in (FAILURE, _HEALTH, _DOUBT):
            self._records.delete(key_of(kind, url))

    def failures(self) -> Iterator[tuple[str, Failure]]:
        """Yields every failure by URL, sorted."""
        return self._scan(FAILURE, _failures)

    def healths(self) -> Iterator[tuple[str, Health]]:
        """Yields every URL that failed and works again, sorted."""
        return self._scan(_HEALTH, _healths)

    def quarantine_records(self) -> Iterator[tuple[str, QuarantineRecord]]:
        """Yields every URL with a quarantined or rejected image, sorted."""
        return self._scan(_DOUBT, _doubts)

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yields every host and digest that `put_card` recorded."""
        for key, _ in self._scan(_CARD, _times):
            host, _, digest = key.partition(" ")
            yield host, digest

    def put_first_seen(self, changes: Mapping[ProblemKey, float | None]) -> None:
        """Records when an audit first found each problem, in seconds; None deletes it.

        One record holds many of them: the first audit of a site with 100,000 images writes a few hundred records.
        """
        buckets: dict[str, dict[str, float | None]] = {}
        for (rule, subject), time in changes.items():
            number = zlib.crc32(subject.encode("utf-8", "surrogatepass")) % _BUCKETS
            buckets.setdefault(f"{rule} {number:02x}", {})[subject] = time
        for name, changed in buckets.items():
            known = self._get(_SIGHTING, name, _sightings) or {}
            kept = {subject: time for subject, time in (known | changed).items() if time is not None}
            if kept:
                self._records.set(key_of(_SIGHTING, name), encode(kept))
            else:
                self._records.delete(key_of(_SIGHTING, name))

    def first_seen(self) -> Iterator[tuple[ProblemKey, float]]:
        """Yields everything that `put_sightings` recorded, with the time in seconds."""
        for name, bucket in self._scan(_SIGHTING, _sightings):
            rule = name.partition(" ")[0]
            yield from (((rule, subject), time) for subject, time in bucket.items())

    def put_day(self, line: DayLine) -> None:
        """Records the last audit of a day."""
        self._records.set(key_of(_DAY, line.day), encode(line))

    def drop_day(self, day: str) -> None:
        """Deletes the record of a day."""
        self._records.delete(key_of(_DAY, day))

    def days(self) -> Iterator[DayLine]:
        """Yields the last audit of each day, oldest first."""
        return (line for _, line in self._scan(_DAY, _days))

    def _salvage_histories(self) -> None:
        """Copies all readable records from the damaged file."""
        self._salvage(FAILURE, _failures)
        self._salvage(_HEALTH, _healths)
        self._salvage(_DOUBT, _doubts)
        self._salvage(_CARD, _times)
        self._salvage(_SIGHTING, _sightings)
        self._salvage(_DAY, _days)

    def _salvage(self, kind: bytes, decoder: msgspec.json.Decoder[_T]) -> None:
        for key, value in self._records.salvage(kind):
            try:
                decoder.decode(value)
            except msgspec.DecodeError:
                continue
            self._records.set(kind + key, value)

    def _get(self, kind: bytes, name: str, decoder: msgspec.json.Decoder[_T]) -> _T | None:
        key = key_of(kind, name)
        value = self._records.get(key)
        return None if value is None else self._decode(key, value, decoder)

    def _scan(self, kind: bytes, decoder: msgspec.json.Decoder[_T]) -> Iterator[tuple[str, _T]]:
        for key, value in self._records.scan(kind):
            yield self._name(key), self._decode(key, value, decoder)

    def _name(self, key: bytes) -> str:
        try:
            return key.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise self._records.condemn(key) from error

    def _decode(self, key: bytes, value: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
        try:
            return decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._records.condemn(key) from error


def key_of(kind: bytes, name: str) -> bytes:
    """Returns the key of a record: one letter for its kind, then a URL or a digest."""
    return kind + name.encode("utf-8", "surrogatepass")
