"""Caches the list of a bucket's objects locally, so that a run with nothing to do sends no request."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from imgcache.cache.index.tables import TableLayout, open_tables
from imgcache.cache.store.paths import ORIGINAL
from imgcache.cache.store.values import StoreUsage
from imgcache.core import disk_errors

_LAYOUT = TableLayout(
    version=1,
    threads=True,
    thorough=True,
    schema="""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE asset (digest TEXT PRIMARY KEY, names BLOB NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL)
  WITHOUT ROWID;
""",
)
_PUT = "INSERT OR REPLACE INTO asset VALUES (?, ?, ?, ?)"
_COMPLETE = "whole"  # key in `meta`
_NOTED = "noted "
_ORIGINAL = f'"{ORIGINAL}'.encode()
_BATCH = 1000  # rows read at once

_names = msgspec.json.Decoder(dict[str, int])


class Inventory:
    """Names and bytes of the files of each asset, in one SQLite file. Methods may be called from many threads.

    The list can be rebuilt from the store: a file that is damaged, or belongs to another bucket, is deleted.
    """

    def __init__(self, file: Path, where: str) -> None:
        """`where` identifies the bucket. The file is opened when it is first needed."""
        self._file = file
        self._where = where
        self._lock = threading.RLock()
        self._opened: sqlite3.Connection | None = None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    @property
    def is_whole(self) -> bool:
        """Whether the store was ever listed completely. Before that, unknown objects may exist."""
        return self._ask("SELECT 1 FROM meta WHERE key = ?", _COMPLETE) is not None

    def files(self, digest: str) -> dict[str, int] | None:
        """Returns names and bytes of an asset's files; None if the asset is unknown."""
        row = self._row(digest)
        return None if row is None else _names.decode(row)

    def stamp(self, digest: str) -> int | None:
        """Returns a number that changes with the files; None if no original is known."""
        row = self._row(digest)
        if row is None or _ORIGINAL not in row:  # not decoded: a run with nothing to do calls this for every image
            return None
        return int.from_bytes(hashlib.blake2b(row, digest_size=7).digest())

    def add(self, digest: str, files: Mapping[str, int]) -> None:
        """Adds files to those that are known."""
        with self._lock:
            self._put(digest, (self.files(digest) or {}) | dict(files))

    def lose(self, digest: str, names: Iterable[str]) -> None:
        """Removes files from those that are known."""
        with self._lock:
            gone = set(names)
            self._put(digest, {name: size for name, size in (self.files(digest) or {}).items() if name not in gone})

    def drop(self, digest: str) -> None:
        """Removes all files of an asset."""
        self._put(digest, {})

    def digests(self) -> Iterator[str]:
        """Yields every digest with a known file, sorted, in constant memory."""
        last = ""
        while True:
            with self._lock:
                query = "SELECT digest FROM asset WHERE digest > ? ORDER BY digest LIMIT ?"
                found = [row[0] for row in self._db.execute(query, (last, _BATCH))]
            if not found:
                return
            yield from found
            last = found[-1]

    def usage(self) -> StoreUsage:
        """Returns sizes in total."""
        # Unlike sum(), total() cannot overflow, whatever sizes a store reports (sqlite.org/lang_aggfunc.html).
        row = self._ask("SELECT count(*), cast(total(files) AS INTEGER), cast(total(bytes) AS INTEGER) FROM asset")
        return StoreUsage(*row)

    def replace(self, assets: Iterable[tuple[str, Mapping[str, int]]]) -> None:
        """Replaces everything that is known, in one transaction. `assets` yields each digest once."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                self._db.execute("DELETE FROM asset")
                self._db.executemany(_PUT, (_row(digest, files) for digest, files in assets))
                self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (_COMPLETE,))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def notes(self, key: str) -> bool:
        """Returns whether `note` was called for this key."""
        return self._ask("SELECT 1 FROM meta WHERE key = ?", _NOTED + key) is not None

    def note(self, key: str) -> None:
        """Notes an object that belongs to no asset."""
        with self._lock, disk_errors(self._file):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (_NOTED + key,))

    def unnote(self, key: str) -> None:
        """Reverts `note`."""
        with self._lock, disk_errors(self._file):
            self._db.execute("DELETE FROM meta WHERE key = ?", (_NOTED + key,))

    def _put(self, digest: str, files: Mapping[str, int]) -> None:
        with self._lock, disk_errors(self._file):
            if files:
                self._db.execute(_PUT, _row(digest, files))
            else:
                self._db.execute("DELETE FROM asset WHERE digest = ?", (digest,))

    def _row(self, digest: str) -> bytes | None:
        row: tuple[bytes] | None = self._ask("SELECT names FROM asset WHERE digest = ?", digest)
        return row[0] if row else None

    def _ask(self, sql: str, *values: str) -> Any:
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = open_tables(self._file, _LAYOUT, self._where)
        return self._opened


def _row(digest: str, files: Mapping[str, int]) -> tuple[str, bytes, int, int]:
    return digest, msgspec.json.encode(dict(sorted(files.items()))), len(files), sum(files.values())
