"""Writes key-value records of bytes to an SQLite file of diskcache, and replaces a file that is damaged."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import diskcache

from imgcache.cache.index.read_only import connect_read_only
from imgcache.cache.index.record_reader import FILE, RecordReader, as_bytes, key_range, rows
from imgcache.core import IndexDamaged, disk_errors, display_path, touch

_PRIVATE = b"-"  # first byte of keys that are not records
_LAYOUT_KEY = b"-layout"
_RECENT = 1024  # records that a writer keeps in memory, those of current images: a megabyte or two


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Stores keys and values as plain bytes: diskcache's own Disk would pickle and unpickle them."""

    def put(self, key: bytes) -> tuple[bytes, bool]:
        return key, True

    def get(self, key: object, raw: object) -> bytes:  # noqa: ARG002  # diskcache's signature
        return as_bytes(key)

    def store(self, value: bytes, read: bool, key: object = None) -> tuple[int, int, None, bytes]:  # noqa: ARG002
        return 0, diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:  # noqa: ARG002
        return as_bytes(value)


# Every setting is given, so that none is read from the file. Nothing is evicted. No mmap: truncating a mapped file
# kills the process. synchronous is NORMAL while opening, or each of twenty settings would wait for the disk.
_SETTINGS: dict[str, Any] = {
    **diskcache.DEFAULT_SETTINGS,
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": 2**62,
    "sqlite_cache_size": 512,  # pages of 4 KiB: memory does not grow with the cache
    "sqlite_mmap_size": 0,
    "sqlite_synchronous": 1,
}
_NORMAL_SYNC, _FULL_SYNC = 1, 2  # with a write-ahead log: fsync at a checkpoint, or at each commit


class Records(RecordReader):
    """The records of a folder, for its only writer. Readers may open the file at the same time.

    Every method raises `IndexDamaged` if the file cannot be read, `DiskFull` if it cannot be written, and `CacheBusy`
    if another process keeps it locked for a minute. A batch belongs to the thread that began it.
    """

    def __init__(self, folder: Path, layout: bytes, *, mend: bool) -> None:
        """Opens or creates the file.

        Args:
            folder: created if it is missing.
            layout: version of the records; a file with another one counts as damaged.
            mend: read the whole file to check it, and rename a damaged one.

        Raises:
            IndexDamaged: it is damaged, and `mend` is false.
        """
        super().__init__(folder)
        self._condemned = folder / f"{FILE}.condemned"
        self._layout = layout
        self._inside = False
        self._is_loose = False  # a power cut may undo the last commits
        self._is_writer = mend
        self._vacant: dict[bytes, bool] = {}
        self._recent: dict[bytes, bytes | None] = {}
        self.damaged = False
        self.fresh = False
        try:
            self._cache = self._open(layout, thorough=mend)
        except IndexDamaged:
            if not mend:
                raise
            with disk_errors(self._file):
                self._rename_damaged()
            self.damaged = True
            self._cache = self._open(layout, thorough=False)

    def close(self) -> None:
        """Closes the file."""
        self._cache.close()

    def get(self, key: bytes) -> bytes | None:
        """Returns the value of a key, also if an open batch has written it; None if there is none."""
        if self._is_vacant(key[:1]):
            return None
        if key in self._recent:
            return self._recent[key]
        with self._translated_errors():
            value: bytes | None = self._cache.get(key)
        self._remember(key, value)
        return value

    def set(self, key: bytes, value: bytes) -> None:
        """Writes one record. It is durable when the batch ends."""
        self._vacant[key[:1]] = False
        with self.batch(), self._translated_errors():
            self._cache.set(key, value)
        self._remember(key, value)

    def delete(self, key: bytes) -> bool:
        """Deletes one record; returns False if there was none."""
        if self._is_vacant(key[:1]):
            return False
        with self.batch(), self._translated_errors():
            was_there = bool(self._cache.delete(key))
        self._remember(key, None)
        return was_there

    def _is_vacant(self, prefix: bytes) -> bool:
        """Returns whether there is no record of a kind: most sites have none of most kinds, and need no query."""
        if self._is_writer and prefix not in self._vacant:
            self._vacant[prefix] = self.count(prefix) == 0
        return self._vacant.get(prefix, False)

    def salvage(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yields records of a prefix from the renamed damaged file, up to the first unreadable place."""
        aside = self._file.with_name("cache.db.damaged")
        if aside.exists():
            with suppress(sqlite3.DatabaseError, IndexDamaged), closing(connect_read_only(aside)) as database:
                yield from rows(database, prefix)

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """Commits all records of a block in one transaction. A batch inside another one is part of it.

        A durable batch ends with one fsync. One that is not survives a killed process, but a power cut may undo it as a
        whole until the next durable batch or `settle`.
        """
        if self._inside:
            yield
            return
        with ExitStack() as stack:
            with self._translated_errors():
                self._cache.reset("sqlite_synchronous", _FULL_SYNC if durable else _NORMAL_SYNC, update=False)
                stack.enter_context(self._cache.transact())
            self._inside = True
            stack.callback(self._leave)
            try:
                yield
                with self._translated_errors():
                    self._commit(stack)
            except BaseException:
                self._recent.clear()  # the writes were rolled back
                with suppress(sqlite3.OperationalError):  # after some errors SQLite has already rolled back
                    stack.pop_all().__exit__(*sys.exc_info())
                raise
        self._is_loose = not durable

    def make_durable(self) -> None:
        """Makes all commits durable. Does nothing if they are."""
        if self._is_loose:  # only a commit that writes something also syncs earlier ones
            with self.batch():
                self.set(_LAYOUT_KEY, self._layout)

    def condemn(self, key: bytes) -> IndexDamaged:
        """Returns the error for a record that cannot be decoded. The next writer that opens the file renames it."""
        with suppress(OSError):  # a reader may have no permission to write
            touch(self._condemned)
        return super().condemn(key)

    def _remember(self, key: bytes, value: bytes | None) -> None:
        """Keeps a record in memory: those of an image are used several times in a run. There is no other writer."""
        if not self._is_writer:
            return
        if len(self._recent) >= _RECENT:
            self._recent.clear()
        self._recent[key] = value

    def _commit(self, batch: ExitStack) -> None:
        try:
            batch.close()
        except sqlite3.Error:
            self._cache.close()  # which rolls back what could not be committed
            raise

    def _leave(self) -> None:
        self._inside = False

    def _open(self, layout: bytes, *, thorough: bool) -> Any:
        with self._translated_errors():
            if self._condemned.exists():
                raise IndexDamaged(f"{display_path(self._file)} has a record that cannot be read")
            if self._file.exists() and self._file.stat().st_size:
                if thorough:
                    _roll_back(self._file)
                _check(self._file, layout, thorough=thorough)
            with disk_errors(self._file):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                cache = diskcache.Cache(str(self._file.parent), disk=_BytesDisk, **_SETTINGS)
            if cache.get(_LAYOUT_KEY) is None:
                cache.set(_LAYOUT_KEY, layout)
            self.fresh = _has_no_record(self._file)
            return cache

    def _rename_damaged(self) -> None:
        is_worth_keeping = not _has_no_record(self._file)
        for end in ("", "-wal", "-journal"):
            part = self._file.with_name(f"cache.db{end}")
            aside = self._file.with_name(f"cache.db.damaged{end}")
            if not is_worth_keeping:
                part.unlink(missing_ok=True)
                continue
            aside.unlink(missing_ok=True)
            if part.exists():
                part.replace(aside)
        for stale in ("cache.db-shm", *["cache.db.damaged-shm"] * is_worth_keeping, f"{FILE}.condemned"):
            self._file.with_name(stale).unlink(missing_ok=True)


def _roll_back(file: Path) -> None:
    """Rolls back a transaction that was killed before the file was in WAL mode: a read-only connection cannot."""
    if file.with_name(f"{file.name}-journal").exists():
        with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
            database.execute("SELECT 1 FROM sqlite_master").fetchone()


def _check(file: Path, layout: bytes, *, thorough: bool) -> None:
    """Checks the file without diskcache, which would read settings from it and change it."""
    with closing(connect_read_only(file)) as database:
        settings = {row[0] for row in database.execute("SELECT key FROM Settings")}
        if not settings <= {*_SETTINGS, *diskcache.core.METADATA}:
            raise IndexDamaged(f"{display_path(file)} has settings that imgcache did not write")
        found = database.execute("SELECT value FROM Cache WHERE key = ?", (_LAYOUT_KEY,)).fetchall()
        if found != [(layout,)] and database.execute("SELECT raw, mode, filename FROM Cache LIMIT 1").fetchall():
            raise IndexDamaged(f"{display_path(file)} was written by another version of imgcache")
        if thorough and database.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            raise IndexDamaged(f"{display_path(file)} is damaged")


def _has_no_record(file: Path) -> bool:
    """Returns whether a file can be read and holds no record: creating it was interrupted."""
    try:
        with closing(connect_read_only(file)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Cache'").fetchone():
                if database.execute("SELECT 1 FROM sqlite_master WHERE tbl_name != 'Settings'").fetchone():
                    return False
                settings = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Settings'").fetchone()
                counted = "SELECT 1 FROM Settings WHERE key = 'count' AND value != 0"  # diskcache counts its records
                return not (settings and database.execute(counted).fetchone())
            query = "SELECT 1 FROM Cache WHERE key < ? OR key >= ? LIMIT 1"
            return database.execute(query, key_range(_PRIVATE)).fetchone() is None
    except sqlite3.DatabaseError:
        return False
