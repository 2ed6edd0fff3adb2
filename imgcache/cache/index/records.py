"""Bytes under bytes in one SQLite file that diskcache keeps, and what to do when that file cannot be trusted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import diskcache

from imgcache.core import CacheBusy, DiskFull, IndexDamaged, clean_text, disk_errors, display_path, touch

_PRIVATE = b"-"  # of the first byte of keys that are no records
_LAYOUT_KEY = b"-layout"
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR})
_REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_RECENT = 1024  # records that a writer keeps at hand: those of the images under way, a megabyte or two


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys and values are bytes in the database, as they are: diskcache's own Disk would pickle and unpickle."""

    def put(self, key: bytes) -> tuple[bytes, bool]:
        return key, True

    def get(self, key: object, raw: object) -> bytes:  # noqa: ARG002  # diskcache's signature
        return _bytes(key)

    def store(self, value: bytes, read: bool, key: object = None) -> tuple[int, int, None, bytes]:  # noqa: ARG002
        return 0, diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:  # noqa: ARG002
        return _bytes(value)


# Every setting is named, so that none is taken from the file. Nothing is ever evicted. No mmap: a file that is cut off
# while it is mapped kills the process. NORMAL while opening, or each of twenty settings would wait for the disk.
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


class Records:
    """The file `cache.db` in a folder. Readers may open it beside one writer.

    Every method raises `IndexDamaged` where the file cannot be read, `DiskFull` where it cannot be written, and
    `CacheBusy` where another process keeps it locked for a minute. A batch belongs to the thread that began it.

    Attributes:
        fresh: there was no file, none that could be read, or one without a record: it was made by a run that was
            killed before it wrote any.
        damaged: there was one that could not be read: it lies beside the new one as `cache.db.damaged`.
    """

    def __init__(self, folder: Path, layout: bytes, *, mend: bool) -> None:
        """Opens or makes the file.

        Args:
            folder: made where it is missing.
            layout: names the meaning of the records; a file of another layout counts as damaged.
            mend: read the whole file to check it, and set a damaged one aside.

        Raises:
            IndexDamaged: it is damaged, and `mend` is false.
        """
        self._file = folder / "cache.db"
        self._condemned = folder / "cache.db.condemned"
        self._layout = layout
        self._inside = False
        self._is_loose = False  # something was committed that a power cut may take back
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
                self._set_aside()
            self.damaged = True
            self._cache = self._open(layout, thorough=False)

    def close(self) -> None:
        """Gives the file back."""
        self._cache.close()

    def get(self, key: bytes) -> bytes | None:
        """The value under a key; what an open batch has written is seen."""
        if self._is_vacant(key[:1]):
            return None
        if key in self._recent:
            return self._recent[key]
        with self._guarded():
            value: bytes | None = self._cache.get(key)
        self._note(key, value)
        return value

    def set(self, key: bytes, value: bytes) -> None:
        """Writes one record, durable when the batch ends."""
        self._vacant[key[:1]] = False
        with self.batch(), self._guarded():
            self._cache.set(key, value)
        self._note(key, value)

    def delete(self, key: bytes) -> bool:
        """Removes one record; false if there was none."""
        if self._is_vacant(key[:1]):
            return False
        with self.batch(), self._guarded():
            was_there = bool(self._cache.delete(key))
        self._note(key, None)
        return was_there

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The records under a one-byte prefix, by key without it, in flat memory, as the last batch left them."""
        with self._guarded(), closing(_reader(self._file)) as database:
            yield from _rows(database, prefix)

    def join(self, prefix: bytes, other: Callable[[bytes], bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Like `scan`, with the value of another record after the own: `other` names its key by the own value.

        Own records whose other one is missing are left out. Both are as one and the same batch left them.
        """
        with self._guarded(), closing(_reader(self._file)) as database:
            database.execute("BEGIN")
            for key, value in _rows(database, prefix):
                for (found,) in database.execute("SELECT value FROM Cache WHERE key = ? AND raw = 1", (other(value),)):
                    yield key, value, _bytes(found)

    def _is_vacant(self, prefix: bytes) -> bool:
        """Whether there was no record of a kind, and this writer has made none: most sites have none of most kinds."""
        if self._is_writer and prefix not in self._vacant:
            self._vacant[prefix] = self.count(prefix) == 0
        return self._vacant.get(prefix, False)

    def count(self, prefix: bytes) -> int:
        """How many records there are under a one-byte prefix, as the last batch left them."""
        with self._guarded(), closing(_reader(self._file)) as database:
            query = "SELECT COUNT(*) FROM Cache WHERE key >= ? AND key < ?"
            return int(database.execute(query, _range(prefix)).fetchone()[0])

    def salvage(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What can still be read of a prefix in the file that was set aside, up to the first unreadable place."""
        aside = self._file.with_name("cache.db.damaged")
        if aside.exists():
            with suppress(sqlite3.DatabaseError, IndexDamaged), closing(_reader(aside)) as database:
                yield from _rows(database, prefix)

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """All or nothing. Inside another batch it is a part of that one.

        Durable at the end (one fsync), or with the next that is, or with `settle`: a process that is killed loses
        nothing of it, a power cut may take it back as a whole.
        """
        if self._inside:
            yield
            return
        with ExitStack() as stack:
            with self._guarded():
                self._cache.reset("sqlite_synchronous", _FULL_SYNC if durable else _NORMAL_SYNC, update=False)
                stack.enter_context(self._cache.transact())
            self._inside = True
            stack.callback(self._leave)
            try:
                yield
                with self._guarded():
                    self._commit(stack)
            except BaseException:
                self._recent.clear()  # what was written is undone
                raise
        self._is_loose = not durable

    def settle(self) -> None:
        """Makes durable all that was committed. Nothing where that is so."""
        if self._is_loose:  # a commit that writes takes those before it to the disk; one that writes nothing does not
            with self.batch():
                self.set(_LAYOUT_KEY, self._layout)

    def condemn(self, key: bytes) -> IndexDamaged:
        """The error for a record that makes no sense. A writer that opens the file again sets it aside."""
        with suppress(OSError):  # a reader may have no right to write
            touch(self._condemned)
        return IndexDamaged(
            f"{display_path(self._file)}: the record {clean_text(key.decode(errors='replace'))} cannot be read; "
            "the next sync builds the index again from the files"
        )

    def _note(self, key: bytes, value: bytes | None) -> None:
        """An image's records are read and written several times while it is under way. Others do not write here."""
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
        with self._guarded():
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
            self.fresh = _is_bare(self._file)
            return cache

    def _set_aside(self) -> None:
        is_worth_keeping = not _is_bare(self._file)
        for end in ("", "-wal", "-journal"):
            part = self._file.with_name(f"cache.db{end}")
            aside = self._file.with_name(f"cache.db.damaged{end}")
            if not is_worth_keeping:
                part.unlink(missing_ok=True)
                continue
            aside.unlink(missing_ok=True)
            if part.exists():
                part.replace(aside)
        for stale in ("cache.db-shm", *["cache.db.damaged-shm"] * is_worth_keeping, "cache.db.condemned"):
            self._file.with_name(stale).unlink(missing_ok=True)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        name = display_path(self._file)
        try:
            yield
        except diskcache.Timeout as error:
            if os.access(self._file, os.W_OK) and os.access(self._file.parent, os.W_OK):
                raise CacheBusy(f"{name} has been locked by another process for a minute: try again later") from error
            raise DiskFull(f"{name} cannot be written: give this user the right to write there") from error
        except sqlite3.DatabaseError as error:
            code = error.sqlite_errorcode & 0xFF
            if code in _DAMAGE or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHORT_READ:
                raise IndexDamaged(
                    f"{name} is damaged ({error}); the next sync builds it again from the files"
                ) from error
            if code in _REFUSED:
                raise DiskFull(f"{name} cannot be written ({error}): look at the disk's space and rights") from error
            if code in _BUSY:
                raise CacheBusy(f"{name} is locked by another process: try again later") from error
            raise


def _reader(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=60, isolation_level=None, check_same_thread=False
    )


def _roll_back(file: Path) -> None:
    """Undoes what a killed writer left half done before the file was in WAL mode, which no read-only look may do."""
    if file.with_name(f"{file.name}-journal").exists():
        with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
            database.execute("SELECT 1 FROM sqlite_master").fetchone()


def _rows(database: sqlite3.Connection, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    query = "SELECT key, value FROM Cache WHERE key >= ? AND key < ? ORDER BY key"
    for key, value in database.execute(query, _range(prefix)):
        yield _bytes(key)[len(prefix) :], _bytes(value)


def _range(prefix: bytes) -> tuple[bytes, bytes]:
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])


def _check(file: Path, layout: bytes, *, thorough: bool) -> None:
    """Reads the file without diskcache, which would take settings from it and change it on the way."""
    with closing(_reader(file)) as database:
        settings = {row[0] for row in database.execute("SELECT key FROM Settings")}
        if not settings <= {*_SETTINGS, *diskcache.core.METADATA}:
            raise IndexDamaged(f"{display_path(file)} has settings that are not of imgcache")
        found = database.execute("SELECT value FROM Cache WHERE key = ?", (_LAYOUT_KEY,)).fetchall()
        if found != [(layout,)] and database.execute("SELECT raw, mode, filename FROM Cache LIMIT 1").fetchall():
            raise IndexDamaged(f"{display_path(file)} was written by another version of imgcache")
        if thorough and database.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            raise IndexDamaged(f"{display_path(file)} is damaged")


def _is_bare(file: Path) -> bool:
    """Whether a file can be read and holds no record: its making was broken off by a kill or a full disk."""
    try:
        with closing(_reader(file)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Cache'").fetchone():
                if database.execute("SELECT 1 FROM sqlite_master WHERE tbl_name != 'Settings'").fetchone():
                    return False
                settings = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Settings'").fetchone()
                counted = "SELECT 1 FROM Settings WHERE key = 'count' AND value != 0"  # diskcache counts its records
                return not (settings and database.execute(counted).fetchone())
            query = "SELECT 1 FROM Cache WHERE key < ? OR key >= ? LIMIT 1"
            return database.execute(query, _range(_PRIVATE)).fetchone() is None
    except sqlite3.DatabaseError:
        return False


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise IndexDamaged("the index holds a record that imgcache did not write")
    return value
