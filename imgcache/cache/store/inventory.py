"""What one machine knows of the objects in a store, so that a run with nothing to do asks the store nothing."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from imgcache.cache.index.tables import TableLayout, open_tables
from imgcache.cache.store import StoreUsage
from imgcache.cache.store.paths import ORIGINAL
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
_WHOLE = "whole"
_NOTED = "noted "
_ORIGINAL = f'"{ORIGINAL}'.encode()
_AT_ONCE = 1000

_names = msgspec.json.Decoder(dict[str, int])


class Inventory:
    """The names and bytes of the files of each asset, in one SQLite file. Methods may be called from many threads.

    It can be had again by listing the store: a file that is damaged, or tells of another place, is thrown away.
    """

    def __init__(self, file: Path, where: str) -> None:
        """`where` is the place that it tells of. The file is opened when it is first needed."""
        self._file = file
        self._where = where
        self._turn = threading.RLock()
        self._opened: sqlite3.Connection | None = None

    def close(self) -> None:
        """Gives the file back."""
        with self._turn:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    @property
    def is_whole(self) -> bool:
        """Whether the store was ever listed: before that, what is not known may be there all the same."""
        return self._ask("SELECT 1 FROM meta WHERE key = ?", _WHOLE) is not None

    def files(self, digest: str) -> dict[str, int] | None:
        """Names and bytes of an asset's files; None where nothing is known of it."""
        row = self._row(digest)
        return None if row is None else _names.decode(row)

    def stamp(self, digest: str) -> int | None:
        """Another number for other files; None where no original is known."""
        row = self._row(digest)
        if row is None or _ORIGINAL not in row:  # without decoding: a run with nothing to do asks this of every image
            return None
        return int.from_bytes(hashlib.blake2b(row, digest_size=7).digest())

    def add(self, digest: str, files: Mapping[str, int]) -> None:
        """These are there, beside what else is known."""
        with self._turn:
            self._put(digest, (self.files(digest) or {}) | dict(files))

    def lose(self, digest: str, names: Iterable[str]) -> None:
        """These are there no more."""
        with self._turn:
            gone = set(names)
            self._put(digest, {name: size for name, size in (self.files(digest) or {}).items() if name not in gone})

    def drop(self, digest: str) -> None:
        """Nothing of it is there any more."""
        self._put(digest, {})

    def digests(self) -> Iterator[str]:
        """Every digest of which a file is known, sorted, in flat memory."""
        last = ""
        while True:
            with self._turn:
                asked = "SELECT digest FROM asset WHERE digest > ? ORDER BY digest LIMIT ?"
                found = [row[0] for row in self._db.execute(asked, (last, _AT_ONCE))]
            if not found:
                return
            yield from found
            last = found[-1]

    def usage(self) -> StoreUsage:
        """Sizes in total."""
        row = self._ask("SELECT count(*), coalesce(sum(files), 0), coalesce(sum(bytes), 0) FROM asset")
        return StoreUsage(*row)

    def replace(self, assets: Iterable[tuple[str, Mapping[str, int]]]) -> None:
        """All that there is, each digest once: what was known before is forgotten. All or nothing."""
        with self._turn:
            self._db.execute("BEGIN")
            try:
                self._db.execute("DELETE FROM asset")
                self._db.executemany(_PUT, (_row(digest, files) for digest, files in assets))
                self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (_WHOLE,))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def notes(self, key: str) -> bool:
        """Whether `note` was told of it."""
        return self._ask("SELECT 1 FROM meta WHERE key = ?", _NOTED + key) is not None

    def note(self, key: str) -> None:
        """Remembers an object that is no asset's."""
        with self._turn, disk_errors(self._file):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (_NOTED + key,))

    def unnote(self, key: str) -> None:
        """Takes `note` back."""
        with self._turn, disk_errors(self._file):
            self._db.execute("DELETE FROM meta WHERE key = ?", (_NOTED + key,))

    def _put(self, digest: str, files: Mapping[str, int]) -> None:
        with self._turn, disk_errors(self._file):
            if files:
                self._db.execute(_PUT, _row(digest, files))
            else:
                self._db.execute("DELETE FROM asset WHERE digest = ?", (digest,))

    def _row(self, digest: str) -> bytes | None:
        row: tuple[bytes] | None = self._ask("SELECT names FROM asset WHERE digest = ?", digest)
        return row[0] if row else None

    def _ask(self, sql: str, *values: str) -> Any:
        with self._turn:
            return self._db.execute(sql, values).fetchone()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = open_tables(self._file, _LAYOUT, self._where)
        return self._opened


def _row(digest: str, files: Mapping[str, int]) -> tuple[str, bytes, int, int]:
    return digest, msgspec.json.encode(dict(sorted(files.items()))), len(files), sum(files.values())
