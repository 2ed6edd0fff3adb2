"""Reads the index without changing it: failures, declared sizes, the time of the last run.

Limit: it knows the tables of `imgcache.cache.index` and `imgcache.cache.catalogue`. A cache that was copied without its
index has neither; the results are then empty.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from imgcache.core import Size

_FAILURES = "SELECT value FROM Cache WHERE key >= ? AND key < ?"  # imgcache.cache.index.history: `f` before the URL
_DECLARED = (
    "SELECT r.width, r.height FROM reference r JOIN image i ON i.id = r.image WHERE i.url = ? AND i.kind = 'remote'"
    " AND r.width IS NOT NULL AND r.height IS NOT NULL ORDER BY r.width DESC LIMIT 1"
)


class _Failure(msgspec.Struct, frozen=True, gc=False):
    code: str


_failures = msgspec.json.Decoder(_Failure)


class IndexReader:
    """The index of one cache, read-only. Every method waits for the disk; its result is empty where it cannot read."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "index"
        self._manifest = cache / "manifest.json"

    def failures(self) -> Mapping[str, int]:
        """Returns the number of failing images by error code."""
        try:
            with closing(_reader(self._folder / "cache.db")) as database:
                rows = database.execute(_FAILURES, (b"f", b"g"))
                return Counter(_failures.decode(value).code for (value,) in rows)
        except (OSError, sqlite3.Error, msgspec.DecodeError, TypeError):
            return {}

    def declared(self, url: str) -> Size | None:
        """Returns the largest size that an article declares for an image."""
        try:
            with closing(_reader(self._folder / "catalogue.db")) as database:
                row = database.execute(_DECLARED, (url,)).fetchone()
        except (OSError, sqlite3.Error, UnicodeError):
            return None
        return Size(*row) if row and min(row) > 0 else None

    def last_run(self) -> float | None:
        """Returns when a command last used the cache, in seconds since the epoch: each one writes into index/."""
        times = []
        for path in (self._folder, self._manifest):
            try:
                times.append(path.stat().st_mtime)
            except OSError:
                continue
        return max(times, default=None)


def _reader(file: Path) -> sqlite3.Connection:
    """Opens a database read-only; as immutable, which creates no log, where it has none (sqlite.org/uri.html)."""
    has_no_log = not file.with_name(f"{file.name}-wal").exists()
    uri = f"{file.resolve(strict=True).as_uri()}?mode=ro{'&immutable=1' if has_no_log else ''}"
    return sqlite3.connect(uri, uri=True, timeout=1)
