"""The open file of a catalogue, which all its tables share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from imgcache.cache.catalogue.schema import LAYOUT
from imgcache.cache.index.tables import open_tables


class Database:
    """A connection with transactions.

    Attributes:
        connection: of the standard library; it commits each statement outside of a transaction.
    """

    def __init__(self, file: Path, scope: str) -> None:
        """Opens or creates the file; rows of another `scope` are deleted."""
        self.connection = open_tables(file, LAYOUT, scope)
        self._on_rollback: list[Callable[[], None]] = []

    def on_rollback(self, callback: Callable[[], None]) -> None:
        """Calls `callback` after each rollback: values that a table keeps in memory may be wrong then."""
        self._on_rollback.append(callback)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits at the end of the block; an exception undoes all of it."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            for callback in self._on_rollback:
                callback()
            raise
        self.connection.execute("COMMIT")

    def put_known_placeholders(self, known: Iterable[tuple[str, str]]) -> None:
        """Writes hosts and digests of known placeholder images to the temporary table `placeholder`, for queries."""
        self.connection.execute("CREATE TEMP TABLE IF NOT EXISTS placeholder (host TEXT, digest TEXT)")
        with self.transaction():
            self.connection.execute("DELETE FROM placeholder")
            self.connection.executemany("INSERT INTO placeholder VALUES (?, ?)", known)
