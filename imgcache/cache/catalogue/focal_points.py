"""The table of focal points that articles set for images.

An image is cached once, so only one point counts: that of its newest article that sets one. Equal bytes at several URLs
are one image too. Most sites set none: their table is empty, which is remembered, so that they cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imgcache.cache.catalogue.database import Database
from imgcache.core import Focus, Place

# The key identifies an image: by its digest if that is known, otherwise by its number.
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


class FocalPoints:
    """The focal points. `Articles` writes them."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._exist: bool | None = None  # whether there are any, and then `chosen` is up to date; None: unknown
        database.on_rollback(self._invalidate)

    def of_image(self, image: int) -> tuple[float, float] | None:
        """Returns the focal point of an image, found by its digest or else by its number; None if there is none."""
        if not self.exist():
            return None
        row = self._db.execute(
            "SELECT c.x, c.y FROM image i JOIN temp.chosen c ON c.key IN (i.digest, i.id) WHERE i.id = ?"
            " ORDER BY typeof(c.key) DESC",  # text, which is the digest, before the number
            (image,),
        ).fetchone()
        return row and (row[0], row[1])

    def misread(self) -> Iterator[tuple[str, Place]]:
        """Yields URL and place of each focal point that cannot be parsed, in the order of the articles."""
        rows = self._db.execute(
            "SELECT i.url, a.path, f.line, f.column, f.field FROM focus f JOIN article a ON a.id = f.article"
            " JOIN image i ON i.id = f.image WHERE f.x IS NULL ORDER BY a.path, f.line, f.column"
        )
        yield from ((url, Place(*place)) for url, *place in rows)

    def exist(self) -> bool:
        """Returns whether any article sets one; then the temporary table `chosen` has the one that counts."""
        if self._exist is None:
            self._exist = self._has_rows()
            if self._exist:
                self._db.execute(
                    "CREATE TEMP TABLE IF NOT EXISTS chosen (key PRIMARY KEY, x REAL, y REAL) WITHOUT ROWID"
                )
                self._db.execute("DELETE FROM temp.chosen")
                self._db.execute(_CHOOSE)
        return self._exist

    def _has_rows(self) -> bool:
        return self._db.execute("SELECT 1 FROM focus LIMIT 1").fetchone() is not None

    def put(self, known: Sequence[tuple[int]], given: Sequence[tuple[int, int, str, Focus]]) -> None:
        """Writes points as (article, image, field, point), in place of all those of the `known` articles."""
        if self._exist is False and not given:
            return
        if known and self._has_rows():
            self._db.executemany("DELETE FROM focus WHERE article = ?", known)
        self._db.executemany(
            "INSERT OR IGNORE INTO focus VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (article, focus.line, focus.column, image, field, *(focus.point or (None, None)))
                for article, image, field, focus in given
            ],
        )
        self._exist = None

    def drop(self, path: str) -> None:
        """Deletes the focal points of an article."""
        if self._exist is not False:
            self._db.execute("DELETE FROM focus WHERE article = (SELECT id FROM article WHERE path = ?)", (path,))
            self._exist = None

    def _invalidate(self) -> None:
        self._exist = None
