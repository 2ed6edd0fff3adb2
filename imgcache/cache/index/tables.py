"""SQLite files of what can be made anew: one that is damaged, or tells of something else, is thrown away."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from imgcache.core import disk_errors


class TableLayout(NamedTuple):
    """What a file holds: `schema` makes its tables, among them `meta (key, value)`; `version` is the schema's.

    `threads`: whether several use the connection, one at a time. `thorough`: read it all to see whether it is damaged.
    """

    schema: str
    version: int
    threads: bool = False
    thorough: bool = False


def open_tables(file: Path, layout: TableLayout, scope: str) -> sqlite3.Connection:
    """Open or make a file. `scope` names all that its rows depend on: those of another one are thrown away.

    Raises:
        DiskFull: it cannot be written.
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
        asked = "SELECT value FROM meta WHERE key = 'scope'"
        if version != layout.version or db.execute(asked).fetchone() != (scope,):
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                db.execute(f'DROP TABLE "{name}"')
            db.executescript(layout.schema)
            db.execute("INSERT INTO meta VALUES ('scope', ?)", (scope,))
            db.execute(f"PRAGMA user_version = {layout.version}")
    except BaseException:
        db.close()
        raise
    return db
