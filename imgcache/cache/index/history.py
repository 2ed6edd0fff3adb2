"""What happened, as records: failures of URLs, what came and was doubtful, cards of hosts, and what audits found."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from imgcache.cache.index.records import Records
from imgcache.core import DayLine, Failure
from imgcache.policy import Health, QuarantineRecord

FAILURE = b"f"
_HEALTH, _DOUBT, _CARD, _SIGHTING, _DAY = b"h", b"q", b"k", b"s", b"d"

_BUCKETS = 256

_T = TypeVar("_T")
Sighting = tuple[str, str]  # the rule of a finding, and the URL, article or host that it is about

_failures = msgspec.json.Decoder(Failure)
_healths = msgspec.json.Decoder(Health)
_doubts = msgspec.json.Decoder(QuarantineRecord)
_times = msgspec.json.Decoder(float)
_days = msgspec.json.Decoder(DayLine)
_sightings = msgspec.json.Decoder(dict[str, float])
encode = msgspec.json.Encoder().encode


class HistoryRecords:
    """The part of an index that remembers what happened; `Index` says what is held."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def failure(self, url: str) -> Failure | None:
        """What is remembered of a URL that fails."""
        return self._get(FAILURE, url, _failures)

    def put_failure(self, url: str, failure: Failure) -> None:
        """Remembers a failure."""
        self._records.set(key_of(FAILURE, url), encode(failure))

    def drop_failure(self, url: str) -> None:
        """The URL works again."""
        self._records.delete(key_of(FAILURE, url))

    def health(self, url: str) -> Health | None:
        """What is remembered of a URL that failed and has answered since."""
        return self._get(_HEALTH, url, _healths)

    def put_health(self, url: str, health: Health) -> None:
        """Remembers that a URL failed and answers again."""
        self._records.set(key_of(_HEALTH, url), encode(health))

    def doubt(self, url: str) -> QuarantineRecord:
        """What came at a URL and is doubtful, and what was rejected there."""
        return self._get(_DOUBT, url, _doubts) or QuarantineRecord()

    def put_doubt(self, url: str, doubt: QuarantineRecord) -> None:
        """Remembers what is doubtful; an empty doubt is no record."""
        if doubt == QuarantineRecord():
            self._records.delete(key_of(_DOUBT, url))
        else:
            self._records.set(key_of(_DOUBT, url), encode(doubt))

    def put_card(self, host: str, digest: str, now: float) -> None:
        """Remembers that a host sends these bytes in place of pictures that it does not have."""
        self._records.set(key_of(_CARD, f"{host} {digest}"), encode(now))

    def drop_history(self, url: str) -> None:
        """Nothing is remembered of what a URL did: no failure, no doubt."""
        for kind in (FAILURE, _HEALTH, _DOUBT):
            self._records.delete(key_of(kind, url))

    def failures(self) -> Iterator[tuple[str, Failure]]:
        """Every failure by URL, in order."""
        return self._scan(FAILURE, _failures)

    def healths(self) -> Iterator[tuple[str, Health]]:
        """Every URL that failed and has answered since, in order."""
        return self._scan(_HEALTH, _healths)

    def doubts(self) -> Iterator[tuple[str, QuarantineRecord]]:
        """Every URL of which something is doubtful or rejected, in order."""
        return self._scan(_DOUBT, _doubts)

    def cards(self) -> Iterator[tuple[str, str]]:
        """Every host and digest that `put_card` has remembered."""
        for key, _ in self._scan(_CARD, _times):
            host, _, digest = key.partition(" ")
            yield host, digest

    def put_sightings(self, changes: Mapping[Sighting, float | None]) -> None:
        """Remembers when an audit first found each, in seconds; None: it is found no more.

        A record is a bucket of them, so that the first audit of a site with 100,000 images writes some hundred.
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

    def sightings(self) -> Iterator[tuple[Sighting, float]]:
        """Everything that `put_sightings` has remembered, and when, in seconds."""
        for name, bucket in self._scan(_SIGHTING, _sightings):
            rule = name.partition(" ")[0]
            yield from (((rule, subject), time) for subject, time in bucket.items())

    def put_day(self, line: DayLine) -> None:
        """Remembers the last audit of a day."""
        self._records.set(key_of(_DAY, line.day), encode(line))

    def drop_day(self, day: str) -> None:
        """The day is too long ago."""
        self._records.delete(key_of(_DAY, day))

    def days(self) -> Iterator[DayLine]:
        """The last audit of each day, oldest first."""
        return (line for _, line in self._scan(_DAY, _days))

    def _carry_histories_over(self) -> None:
        """Takes from a damaged file what can still be read of it."""
        self._carry_over(FAILURE, _failures)
        self._carry_over(_HEALTH, _healths)
        self._carry_over(_DOUBT, _doubts)
        self._carry_over(_CARD, _times)
        self._carry_over(_SIGHTING, _sightings)
        self._carry_over(_DAY, _days)

    def _carry_over(self, kind: bytes, decoder: msgspec.json.Decoder[_T]) -> None:
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
    """The key of a record: one letter for its kind, then a URL or a digest."""
    return kind + name.encode("utf-8", "surrogatepass")
