"""Queries over references: where each image is used, and where an article and the cache differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imgcache.cache.catalogue.database import Database
from imgcache.cache.catalogue.rows import ReferenceMismatch
from imgcache.core import Declared, Kind, Place, Reference, Size

# CROSS JOIN fixes the order of the joins: article by article in the order of their paths, without sorting.
_MISMATCHES = """
SELECT a.path, a.digest, i.url, r.line, r.column, r.field, r.width, r.height, r.is_cached, r.flaggable, i.kind,
  i.digest IS NOT NULL, i.width, i.height
FROM article a CROSS JOIN reference r ON r.article = a.id CROSS JOIN image i ON i.id = r.image
WHERE a.path > ?1 AND (?2 IS NULL OR i.url = ?2) AND a.code IS NULL AND i.kind != 'inline' AND (
  (i.kind = 'remote' AND r.flaggable AND coalesce(r.is_cached, 0) != (i.digest IS NOT NULL))
  OR (i.width IS NOT NULL AND (coalesce(r.width, i.width) != i.width OR coalesce(r.height, i.height) != i.height)))
ORDER BY a.path LIMIT ?3
"""
_REFERENCES = """
SELECT i.url, a.path, r.line, r.column, r.field, r.width, r.height, r.is_cached, r.flaggable FROM article a
CROSS JOIN reference r ON r.article = a.id CROSS JOIN image i ON i.id = r.image
"""
_UNFLAGGABLE = """
WHERE NOT r.flaggable AND r.in_flagged_list AND i.kind = 'remote' AND (?1 IS NULL OR i.url = ?1) ORDER BY a.path
"""


class References:
    """The references. `Articles` writes them."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection

    def places(self, url: str, base: str | None = None) -> tuple[Place, ...]:
        """Returns where a URL is used, in the order of the articles; with `base`, only relative to that folder."""
        rows = self._db.execute(
            "SELECT a.path, r.line, r.column, r.field FROM reference r JOIN article a ON a.id = r.article"
            " JOIN image i ON i.id = r.image WHERE i.url = ?1 AND i.base = coalesce(?2, i.base)"
            " ORDER BY a.path, r.line, r.column",
            (url, base),
        )
        return tuple(Place(*row) for row in rows)

    def flaggable(self) -> Iterator[Reference]:
        """Yields every reference that has a flag or could have one, in the order of the articles."""
        yield from map(_reference, self._db.execute(f"{_REFERENCES} WHERE r.flaggable ORDER BY a.path"))

    def unflaggable(self, url: str | None = None) -> Iterator[Reference]:
        """Yields every reference to a remote image in a list of `flag` that cannot have one; `url` selects one image.

        These are bare URLs, entries that merge another one by `<<`, and entries whose `isCached` is not a boolean.
        """
        yield from map(_reference, self._db.execute(f"{_REFERENCES} {_UNFLAGGABLE}", (url,)))

    def is_used(self, url: str) -> bool:
        """Returns whether any article uses the URL."""
        query = "SELECT 1 FROM reference WHERE image IN (SELECT id FROM image WHERE url = ?) LIMIT 1"
        return self._db.execute(query, (url,)).fetchone() is not None

    def declared_sizes(self, url: str) -> tuple[Declared, ...]:
        """Returns the sizes that articles declare for a remote image."""
        rows = self._db.execute(
            "SELECT DISTINCT r.width, r.height FROM reference r JOIN image i ON i.id = r.image"
            " WHERE i.url = ? AND i.kind = 'remote' ORDER BY 1, 2",
            (url,),
        )
        return tuple(Declared(*row) for row in rows)

    def mismatches(self, after: str = "", url: str | None = None, limit: int = 1000) -> list[ReferenceMismatch]:
        """Returns the next references whose flag or declared size is wrong, in complete articles.

        The result is paged, so that the tables may be written between two pages. An empty page is the end.

        Args:
            after: the path of the last article of the page before.
            url: only references to this image.
            limit: rows in a page; an article with more of them gets a longer page.
        """
        rows = self._db.execute(_MISMATCHES, (after, url, limit)).fetchall()
        if len(rows) == limit:
            complete = [row for row in rows if row[0] != rows[-1][0]]
            if not complete:
                return self.mismatches(after, url, limit * 2)
            rows = complete
        return [_mismatch(row) for row in rows]


def _reference(row: tuple[Any, ...]) -> Reference:
    url, path, line, column, field, width, height, cached, flaggable = row
    flag = None if cached is None else bool(cached)
    return Reference(url, path, line, column, field, Declared(width, height), flag, bool(flaggable))


def _mismatch(row: tuple[Any, ...]) -> ReferenceMismatch:
    path, digest, url, *columns, kind, held, width, height = row
    reference = _reference((url, path, *columns))
    size = None if width is None or height is None else Size(width, height)
    return ReferenceMismatch(path, digest, reference, Kind(str(kind)), bool(held), size)
