"""What an audit found out about images, compared with what the articles declare.

Probes and copies are kept in temporary tables: an audit of a million images needs no more memory than one of a
thousand, and the catalogue's file is not written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from imgcache.cache.catalogue.database import Database
from imgcache.cache.catalogue.rows import AuditedImage, HotlinkedUse, ImageUse
from imgcache.core import Declared, Kind, Place, SharedImageRow, Size

_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS probe (
  image INTEGER PRIMARY KEY, width INTEGER, height INTEGER, total INTEGER, head TEXT);
CREATE TEMP TABLE IF NOT EXISTS requested (image INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS copy (
  image INTEGER PRIMARY KEY, digest TEXT, width INTEGER, height INTEGER, bytes INTEGER, best INTEGER);
DELETE FROM probe;
DELETE FROM copy;
"""
# CROSS JOIN fixes the order of the joins: image by image, without sorting references.
_IMAGE_USES = """
SELECT i.id, i.url, i.base, i.kind, i.host, h.digest, h.width, h.height,
  coalesce(l.width, h.width, CASE i.kind WHEN 'own' THEN i.width END) AS w,
  coalesce(l.height, h.height, CASE i.kind WHEN 'own' THEN i.height END) AS t,
  a.path, r.line, r.column, r.field, a.newest, r.width, r.height, r.is_cached, r.flaggable, r.guessed
FROM image i LEFT JOIN probe l ON l.image = i.id LEFT JOIN copy h ON h.image = i.id
CROSS JOIN reference r ON r.image = i.id CROSS JOIN article a ON a.id = r.article
WHERE
"""
_IN_ORDER = " ORDER BY i.id, a.path, r.line, r.column"
_REQUESTED = " i.id IN (SELECT image FROM requested)"
_MISMATCHES = """
  i.kind != 'inline' AND a.code IS NULL AND (
    (i.kind = 'remote' AND r.flaggable AND coalesce(r.is_cached, 0) != (h.digest IS NOT NULL))
    OR (w IS NOT NULL AND (coalesce(r.width, w) != w OR coalesce(r.height, t) != t)))
"""
_HOTLINKED = """
SELECT a.path, i.id, i.host, min(coalesce(r.is_cached, 0)) = 0, l.total, h.bytes, h.best
FROM article a CROSS JOIN reference r ON r.article = a.id CROSS JOIN image i ON i.id = r.image
LEFT JOIN probe l ON l.image = i.id LEFT JOIN copy h ON h.image = i.id
WHERE i.kind = 'remote' AND i.host != '' GROUP BY a.path, i.id ORDER BY a.path, i.url
"""
# Probes of one host that found the same bytes; URLs that differ only in the fragment count as one.
_SHARED_PROBES = """
WITH frequent AS (SELECT head, total FROM probe GROUP BY head, total HAVING count(*) >= ?1),
shared AS (
  SELECT i.host AS host, l.head AS head, l.total AS total FROM probe l JOIN image i ON i.id = l.image
  WHERE (l.head, l.total) IN frequent GROUP BY 1, 2, 3
  HAVING count(DISTINCT CASE instr(url, '#') WHEN 0 THEN url ELSE substr(url, 1, instr(url, '#') - 1) END) >= ?1
  UNION SELECT c.host, l.head, l.total FROM placeholder c JOIN probe l ON l.head = c.digest)
SELECT i.id, i.host, l.head, i.url, l.width, l.height, r.width, r.height
FROM shared s JOIN probe l ON l.head = s.head AND l.total IS s.total JOIN image i ON i.id = l.image AND i.host = s.host
JOIN reference r ON r.image = i.id ORDER BY i.host, l.head, l.total, i.url
"""


class ProbeRow(NamedTuple):
    """One probe as a row: the displayed size, the bytes of the whole image, and the digest of its first bytes."""

    image: int
    width: int
    height: int
    total: int | None
    head: str


class CopyRow(NamedTuple):
    """One cached copy as a row: its bytes, and those of its best variant."""

    image: int
    digest: str
    width: int
    height: int
    bytes: int
    best: int


class AuditTables:
    """Probes and copies, and queries that compare them with the articles. Call `clear` first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._db = database.connection

    def clear(self) -> None:
        """Creates the temporary tables, or deletes the rows of an earlier audit."""
        self._db.executescript(_TABLES)

    def put_probes(self, rows: Iterable[ProbeRow]) -> None:
        """Writes probes."""
        with self._database.transaction():
            self._db.executemany("INSERT OR REPLACE INTO probe VALUES (?, ?, ?, ?, ?)", rows)

    def put_copies(self, rows: Iterable[CopyRow]) -> None:
        """Writes cached copies."""
        with self._database.transaction():
            self._db.executemany("INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?, ?, ?)", rows)

    def remote_images(self) -> Iterator[tuple[int, str]]:
        """Yields number and URL of every remote image."""
        yield from self._db.execute("SELECT id, url FROM image WHERE kind = 'remote'")

    def without_host(self) -> list[tuple[int, str]]:
        """Returns number and URL of every remote image whose URL has no host."""
        return self._db.execute("SELECT id, url FROM image WHERE kind = 'remote' AND host = '' ORDER BY url").fetchall()

    def probed_urls(self) -> Iterator[str]:
        """Yields the URL of every probed image, sorted."""
        query = "SELECT url FROM image WHERE id IN (SELECT image FROM probe) ORDER BY url"
        yield from (url for (url,) in self._db.execute(query))

    def totals(self) -> tuple[int, int, int]:
        """Returns the number of articles, of references to images that are not inline, and of such images."""
        return self._db.execute(  # type: ignore[no-any-return]  # three numbers
            "SELECT (SELECT count(*) FROM article WHERE NOT is_template AND NOT is_data),"
            " (SELECT count(*) FROM reference WHERE image NOT IN (SELECT id FROM image WHERE kind = 'inline')),"
            " (SELECT count(*) FROM image WHERE kind != 'inline')"
        ).fetchone()

    def image(self, image: int) -> AuditedImage:
        """Returns one image with all its uses."""
        [found] = _grouped(self._db.execute(f"{_IMAGE_USES} i.id = ?{_IN_ORDER}", (image,)))
        return found

    def images(self, images: Iterable[int]) -> list[AuditedImage]:
        """Returns several images with all their uses, in the order of their numbers."""
        with self._database.transaction():
            self._db.execute("DELETE FROM requested")
            self._db.executemany("INSERT OR IGNORE INTO requested VALUES (?)", ((image,) for image in images))
        return list(_grouped(self._db.execute(_IMAGE_USES + _REQUESTED + _IN_ORDER)))

    def mismatches(self) -> Iterator[AuditedImage]:
        """Yields every image with a wrong flag or declared size, with the uses that are wrong."""
        return _grouped(self._db.execute(_IMAGE_USES + _MISMATCHES + _IN_ORDER))

    def broken_local(self) -> list[tuple[int, str, str]]:
        """Returns number, code and message of each local image with a problem."""
        return self._db.execute(
            "SELECT id, code, message FROM image WHERE kind = 'own' AND code IS NOT NULL ORDER BY url, base"
        ).fetchall()

    def hotlinked(self) -> Iterator[HotlinkedUse]:
        """Yields each use of a remote image by an article, once each, article by article."""
        for path, image, host, hotlinked, total, held, best in self._db.execute(_HOTLINKED):
            yield HotlinkedUse(path, image, host, bool(hotlinked), total, held, best)

    def shared_probes(self, at_least: int, placeholders: Iterable[tuple[str, str]]) -> Iterator[SharedImageRow]:
        """Yields the references to images that look like placeholders, by host, digest and URL.

        Args:
            at_least: that many URLs of one host with equal first bytes and length are reported.
            placeholders: hosts and digests that are reported however few URLs have them. The digest of the first bytes
                of a small image is that of the whole image.
        """
        self._database.put_known_placeholders(placeholders)
        for image, host, head, url, width, height, *declared in self._db.execute(_SHARED_PROBES, (at_least,)):
            yield SharedImageRow(image, host, head, url, Size(width, height), Declared(*declared))


def _grouped(rows: sqlite3.Cursor) -> Iterator[AuditedImage]:
    for image, group in groupby(rows, key=lambda row: row[:10]):
        number, url, base, kind, host, digest, *sizes = image
        held, true = _size(*sizes[:2]), _size(*sizes[2:])
        yield AuditedImage(
            number, url, base, Kind(kind), host, digest, held, true, tuple(_use(row[10:]) for row in group)
        )


def _use(row: tuple[Any, ...]) -> ImageUse:
    path, line, column, field, newest, width, height, *traits = row
    return ImageUse(Place(path, line, column, field), newest, Declared(width, height), *map(bool, traits))


def _size(width: int | None, height: int | None) -> Size | None:
    return None if width is None or height is None else Size(width, height)
