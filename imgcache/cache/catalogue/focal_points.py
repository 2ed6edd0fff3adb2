"""The focal points that articles give of images.

An image is cached once, so one point counts: that of its newest article which gives one. Equal bytes at several
addresses are one image too. Most sites give none, and pay nothing: their table is empty, and that is known.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence

from imgcache.cache.catalogue.schema import Tables
from imgcache.core import Focus, Place

# The key stands for an image: its bytes where they are known, else its address.
_CHOOSE = """
INSERT INTO temp.chosen
SELECT key, x, y FROM (
  SELECT key, x, y, row_number() OVER (PARTITION BY key ORDER BY newest DESC, path, line, column) AS place FROM (
    SELECT coalesce(nullif(i.digest, ''), i.id) AS key, f.x, f.y, a.newest, a.path, f.line, f.column
    FROM focus f JOIN image i ON i.id = f.image JOIN article a ON a.id = f.article WHERE f.x IS NOT NULL))
WHERE place = 1
"""
REMOTE_WITH_FOCUS = """
SELECT i.id, i.digest, i.stamp, i.recipes, i.due, c.x, c.y
FROM image i LEFT JOIN temp.chosen c ON c.key = coalesce(nullif(i.digest, ''), i.id) WHERE i.kind = 'remote'
"""


class FocalPoints(Tables):
    """What is recorded of focal points; `Articles` writes them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__(db)
        self._is_chosen: bool | None = None  # whether `chosen` is as the tables say; None: not looked at

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        try:
            with super().transaction():
                yield
        except BaseException:
            self._is_chosen = None
            raise

    def focus(self, image: int) -> tuple[float, float] | None:
        """The focal point of one image, of its bytes or else of its address, as articles were last read."""
        if not self._has_focal_points():
            return None
        row = self._db.execute(
            "SELECT c.x, c.y FROM image i JOIN temp.chosen c ON c.key IN (i.digest, i.id) WHERE i.id = ?"
            " ORDER BY typeof(c.key) DESC",  # text, which is the digest, before the number
            (image,),
        ).fetchone()
        return row and (row[0], row[1])

    def misread_focal_points(self) -> Iterator[tuple[str, Place]]:
        """The URL and the place of each focal point that is none, in the order of the articles."""
        rows = self._db.execute(
            "SELECT i.url, a.path, f.line, f.column, f.field FROM focus f JOIN article a ON a.id = f.article"
            " JOIN image i ON i.id = f.image WHERE f.x IS NULL ORDER BY a.path, f.line, f.column"
        )
        yield from ((url, Place(*place)) for url, *place in rows)

    def _has_focal_points(self) -> bool:
        """Whether any article gives one; then `chosen` says which counts for which image."""
        if self._is_chosen is None:
            self._is_chosen = self._is_any_given()
            if self._is_chosen:
                self._db.execute(
                    "CREATE TEMP TABLE IF NOT EXISTS chosen (key PRIMARY KEY, x REAL, y REAL) WITHOUT ROWID"
                )
                self._db.execute("DELETE FROM temp.chosen")
                self._db.execute(_CHOOSE)
        return self._is_chosen

    def _is_any_given(self) -> bool:
        return self._db.execute("SELECT 1 FROM focus LIMIT 1").fetchone() is not None

    def _put_focal_points(self, known: Sequence[tuple[int]], given: Sequence[tuple[int, int, str, Focus]]) -> None:
        """Record points as (article, image, field, point), in place of all that the `known` articles gave."""
        if self._is_chosen is False and not given:
            return
        if known and self._is_any_given():
            self._db.executemany("DELETE FROM focus WHERE article = ?", known)
        self._db.executemany(
            "INSERT OR IGNORE INTO focus VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (article, focus.line, focus.column, image, field, *(focus.point or (None, None)))
                for article, image, field, focus in given
            ],
        )
        self._is_chosen = None

    def _drop_focal_points(self, path: str) -> None:
        if self._is_chosen is not False:
            self._db.execute("DELETE FROM focus WHERE article = (SELECT id FROM article WHERE path = ?)", (path,))
            self._is_chosen = None
