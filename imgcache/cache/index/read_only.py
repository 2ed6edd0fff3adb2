"""Reads the databases of an index without changing them: over a read-only connection, or in a copy."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def connect_read_only(file: Path, *, timeout: float = 60, is_brief: bool = False) -> sqlite3.Connection:
    """Opens a database that this connection cannot change. A writer may use it at the same time.

    Args:
        file: the database.
        timeout: seconds to wait for a lock.
        is_brief: the connection is for one short query. Then a file without a write-ahead log beside it is opened as
            immutable (sqlite.org/uri.html), which works without the right to create the log in its folder.
    """
    is_immutable = is_brief and not file.with_name(f"{file.name}-wal").exists()
    uri = f"{file.resolve().as_uri()}?mode=ro{'&immutable=1' if is_immutable else ''}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)


def copy_databases(source: Path, folder: Path, files: Iterable[Path]) -> None:
    """Copies databases of the folder `source`, with their logs, to the same paths below `folder`.

    A missing file is left out. A copy that was made while a writer committed may be damaged.
    """
    for file in files:
        place = folder / file.relative_to(source)
        place.parent.mkdir(exist_ok=True)
        for suffix in ("", "-wal"):  # SQLite creates its -shm again
            with suppress(FileNotFoundError):
                shutil.copy2(f"{file}{suffix}", place.parent)
