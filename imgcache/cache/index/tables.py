"""Opens SQLite files whose rows can be rebuilt: one that is damaged, or of another schema or scope, is replaced."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from imgcache.core import disk_errors


class TableLayout(NamedTuple):
    """The layout of a file.

    Attributes:
        schema: SQL that creates the tables, among them `meta (key, value)`.
        version: of the schema.
        threads: several threads use the connection, one at a time.
        thorough: read the whole file to check it for damage.
    """

    schema: str
    version: int
    threads: bool = False
    thorough: bool = False


def open_tables(file: Path, layout: TableLayout, scope: str) -> sqlite3.Connection:
    """Opens or creates a file.

    Args:
        file: the database.
        layout: of the file.
        scope: names everything that the rows depend on; rows of another scope are deleted.

    Raises:
        DiskFull: the file cannot be written.
    """
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(file, layout, scope)
    except sqlite3.DatabaseError:
        with disk_errors(file):
            for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
                file.with_name(name).unlink(missing_ok=True)
            return _open(file, layout, scope)


def _open(file: Path, layout: TableLayout, scope: str) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=not layout.threads)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if layout.thorough and db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        query = "SELECT value FROM meta WHERE key = 'scope'"
        if version != layout.version or db.execute(query).fetchone() != (scope,):
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                db.execute(f'DROP TABLE "{name}"')
            db.executescript(layout.schema)
            db.execute("INSERT INTO meta VALUES ('scope', ?)", (scope,))
            db.execute(f"PRAGMA user_version = {layout.version}")
    except BaseException:
        db.close()
        raise
    return db
