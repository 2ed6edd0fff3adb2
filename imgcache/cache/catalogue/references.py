"""References in the catalogue: where each image is used, and where an article and the truth differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from imgcache.cache.catalogue.rows import ReferenceMismatch
from imgcache.cache.catalogue.schema import Tables
from imgcache.core import Declared, Kind, Place, Reference, Size

# The order of the joins is fixed: article by article in the order of their paths, with no sorting.
_DISAGREEMENTS = """
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


_WITHOUT_ROOM = """
WHERE NOT r.flaggable AND i.kind = 'remote' AND r.field IN (SELECT value FROM json_each(?1))
AND (?2 IS NULL OR i.url = ?2) ORDER BY a.path
"""


class References(Tables):
    """What is recorded of references; `Articles` writes them."""

    def places(self, url: str, base: str | None = None) -> tuple[Place, ...]:
        """Everywhere that a URL is named, in the order of the articles; with `base`, relative to that folder only."""
        rows = self._db.execute(
            "SELECT a.path, r.line, r.column, r.field FROM reference r JOIN article a ON a.id = r.article"
            " JOIN image i ON i.id = r.image WHERE i.url = ?1 AND i.base = coalesce(?2, i.base)"
            " ORDER BY a.path, r.line, r.column",
            (url, base),
        )
        return tuple(Place(*row) for row in rows)

    def flaggable(self) -> Iterator[Reference]:
        """Every reference that carries a flag or could, in the order of the articles."""
        yield from map(_reference, self._db.execute(f"{_REFERENCES} WHERE r.flaggable ORDER BY a.path"))

    def unflaggable(self, fields: Iterable[str], url: str | None = None) -> Iterator[Reference]:
        """Every reference to a remote image in these lists that has no room for a flag; with `url`, only those of it.

        A bare URL, an entry that draws on another by `<<`, or one whose `isCached` is neither true nor false.
        """
        asked = (msgspec.json.encode(list(fields)).decode(), url)
        yield from map(_reference, self._db.execute(f"{_REFERENCES} {_WITHOUT_ROOM}", asked))

    def is_used(self, url: str) -> bool:
        """Whether any article names the URL."""
        query = "SELECT 1 FROM reference WHERE image IN (SELECT id FROM image WHERE url = ?) LIMIT 1"
        return self._db.execute(query, (url,)).fetchone() is not None

    def disagreements(self, after: str = "", url: str | None = None, limit: int = 1000) -> list[ReferenceMismatch]:
        """The next references whose flag or declared size differs from what is known, in whole articles.

        A page at a time, so that the tables may be written between two pages: `after` is the path of the last article
        of the page before. An empty page is the end. With `url`, only those of one image.
        """
        rows = self._db.execute(_DISAGREEMENTS, (after, url, limit)).fetchall()
        if len(rows) == limit:
            whole = [row for row in rows if row[0] != rows[-1][0]]
            if not whole:
                return self.disagreements(after, url, limit * 2)
            rows = whole
        return [_disagreement(row) for row in rows]


def _reference(row: tuple[Any, ...]) -> Reference:
    url, path, line, column, field, width, height, cached, flaggable = row
    flag = None if cached is None else bool(cached)
    return Reference(url, path, line, column, field, Declared(width, height), flag, bool(flaggable))


def _disagreement(row: tuple[Any, ...]) -> ReferenceMismatch:
    path, digest, url, *said, kind, held, width, height = row
    reference = _reference((url, path, *said))
    size = None if width is None or height is None else Size(width, height)
    return ReferenceMismatch(path, digest, reference, Kind(str(kind)), bool(held), size)
