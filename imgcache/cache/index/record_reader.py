"""Reads key-value records from an SQLite file of diskcache."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import diskcache

from imgcache.cache.index.read_only import connect_read_only
from imgcache.core import CacheBusy, DiskFull, IndexDamaged, clean_text, display_path

FILE = "cache.db"
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR})
_REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class RecordReader:
    """The records in the file `cache.db` of a folder, opened again for each call. Cannot write.

    Every method raises `IndexDamaged` if the file cannot be read, `DiskFull` if access is denied, and `CacheBusy` if
    another process keeps it locked.

    Attributes:
        fresh: there was no file, none that could be read, or one without a record (from a run that was killed early).
        damaged: there was a file that could not be read; it was renamed to `cache.db.damaged`.
    """

    fresh = False
    damaged = False

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def close(self) -> None:
        """Closes the file."""

    def get(self, key: bytes) -> bytes | None:
        """Returns the value of a key; None if there is none."""
        with self._translated_errors(), closing(connect_read_only(self._file)) as database:
            row = database.execute("SELECT value FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone()
            return None if row is None else as_bytes(row[0])

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yields the committed records with a one-byte prefix, sorted by key, without the prefix. Constant memory."""
        with self._translated_errors(), closing(connect_read_only(self._file)) as database:
            yield from rows(database, prefix)

    def join(self, prefix: bytes, other: Callable[[bytes], bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Like `scan`, with the value of a second record, whose key `other` computes from the first value.

        First records without a second one are left out. Both come from the same commit.
        """
        with self._translated_errors(), closing(connect_read_only(self._file)) as database:
            database.execute("BEGIN")
            for key, value in rows(database, prefix):
                for (found,) in database.execute("SELECT value FROM Cache WHERE key = ? AND raw = 1", (other(value),)):
                    yield key, value, as_bytes(found)

    def count(self, prefix: bytes) -> int:
        """Returns the number of committed records with a one-byte prefix."""
        with self._translated_errors(), closing(connect_read_only(self._file)) as database:
            query = "SELECT COUNT(*) FROM Cache WHERE key >= ? AND key < ?"
            return int(database.execute(query, key_range(prefix)).fetchone()[0])

    def salvage(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:  # noqa: ARG002 (a reader renames no file)
        """Yields what can be read of the file that was renamed because of damage."""
        yield from ()

    def condemn(self, key: bytes) -> IndexDamaged:
        """Returns the error for a record that cannot be decoded."""
        return IndexDamaged(
            f"{display_path(self._file)}: the record {clean_text(key.decode(errors='replace'))} cannot be read; "
            "the next sync rebuilds the index from the files"
        )

    def set(self, key: bytes, value: bytes) -> None:
        """Writes one record."""
        raise TypeError(f"opened read-only: {len(value)} bytes for {key!r} cannot be written")

    def delete(self, key: bytes) -> bool:
        """Deletes one record; returns False if there was none."""
        raise TypeError(f"opened read-only: {key!r} cannot be deleted")

    def batch(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """Writes all records of a block in one transaction."""
        raise TypeError(f"opened read-only: no batch ({durable=}) can be written")

    def make_durable(self) -> None:
        """Makes all commits durable."""

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        name = display_path(self._file)
        try:
            yield
        except diskcache.Timeout as error:
            if os.access(self._file, os.W_OK) and os.access(self._file.parent, os.W_OK):
                raise CacheBusy(f"{name} has been locked by another process for a minute: try again later") from error
            raise DiskFull(f"{name} cannot be written: give this user permission to write there") from error
        except sqlite3.DatabaseError as error:
            code = error.sqlite_errorcode & 0xFF
            if code in _DAMAGE or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHORT_READ:
                raise IndexDamaged(f"{name} is damaged ({error}); the next sync rebuilds it from the files") from error
            if code in _REFUSED:
                raise DiskFull(f"{name} cannot be written ({error}): check free space and permissions") from error
            if code in _BUSY:
                raise CacheBusy(f"{name} is locked by another process: try again later") from error
            raise


def rows(database: sqlite3.Connection, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields key, without the prefix, and value of all records with a one-byte prefix, sorted by key."""
    query = "SELECT key, value FROM Cache WHERE key >= ? AND key < ? ORDER BY key"
    for key, value in database.execute(query, key_range(prefix)):
        yield as_bytes(key)[len(prefix) :], as_bytes(value)


def key_range(prefix: bytes) -> tuple[bytes, bytes]:
    """Returns the first key with a prefix, and the first key after all of them."""
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])


def as_bytes(value: object) -> bytes:
    """Returns a column's value. Raises IndexDamaged if it is not bytes."""
    if not isinstance(value, bytes):
        raise IndexDamaged("the index holds a record that imgcache did not write")
    return value
