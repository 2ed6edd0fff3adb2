"""Reads the index without changing it: failures, declared sizes, the time of the last run.

Limit: the files are private to `imgcache.cache.index` and `imgcache.cache.catalogue`, and a cache that was copied here
without them has none; then nothing is reported.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from imgcache.cache import connect_read_only
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
            with closing(connect_read_only(self._folder / "cache.db", timeout=1, is_brief=True)) as database:
                rows = database.execute(_FAILURES, (b"f", b"g"))
                return Counter(_failures.decode(value).code for (value,) in rows)
        except (OSError, sqlite3.Error, msgspec.DecodeError, TypeError):
            return {}

    def declared(self, url: str) -> Size | None:
        """Returns the largest size that an article declares for an image."""
        try:
            with closing(connect_read_only(self._folder / "catalogue.db", timeout=1, is_brief=True)) as database:
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
