"""What an audit has just seen of the images, beside what the articles say of them.

Looks and copies lie in temporary tables: an audit of a million images needs no more memory than one of a thousand, and
the catalogue's own file is not written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from imgcache.cache.catalogue.rows import AuditedImage, HotlinkedUse, ImageUse
from imgcache.cache.catalogue.schema import Tables
from imgcache.core import Declared, Kind, Place, SharedImageRow, Size

_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS look (
  image INTEGER PRIMARY KEY, width INTEGER, height INTEGER, total INTEGER, head TEXT);
CREATE TEMP TABLE IF NOT EXISTS asked (image INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS held (
  image INTEGER PRIMARY KEY, digest TEXT, width INTEGER, height INTEGER, bytes INTEGER, best INTEGER);
DELETE FROM look;
DELETE FROM held;
"""
# The order of the joins is fixed: image by image, with no sorting of references.
_NAMED = """
SELECT i.id, i.url, i.base, i.kind, i.host, h.digest, h.width, h.height,
  coalesce(l.width, h.width, CASE i.kind WHEN 'own' THEN i.width END) AS w,
  coalesce(l.height, h.height, CASE i.kind WHEN 'own' THEN i.height END) AS t,
  a.path, r.line, r.column, r.field, a.newest, r.width, r.height, r.is_cached, r.flaggable
FROM image i LEFT JOIN look l ON l.image = i.id LEFT JOIN held h ON h.image = i.id
CROSS JOIN reference r ON r.image = i.id CROSS JOIN article a ON a.id = r.article
WHERE
"""
_IN_ORDER = " ORDER BY i.id, a.path, r.line, r.column"
_ASKED = " i.id IN (SELECT image FROM asked)"
_QUESTIONABLE = """
  i.kind != 'inline' AND a.code IS NULL AND (
    (i.kind = 'remote' AND r.flaggable AND coalesce(r.is_cached, 0) != (h.digest IS NOT NULL))
    OR (w IS NOT NULL AND (coalesce(r.width, w) != w OR coalesce(r.height, t) != t)))
"""
_LINKED = """
SELECT a.path, i.id, i.host, min(coalesce(r.is_cached, 0)) = 0, l.total, h.bytes, h.best
FROM article a CROSS JOIN reference r ON r.article = a.id CROSS JOIN image i ON i.id = r.image
LEFT JOIN look l ON l.image = i.id LEFT JOIN held h ON h.image = i.id
WHERE i.kind = 'remote' AND i.host != '' GROUP BY a.path, i.id ORDER BY a.path, i.url
"""
# Looks of one host that show one and the same picture; addresses that differ in their fragment alone are one address.
_SHARED_LOOKS = """
WITH frequent AS (SELECT head, total FROM look GROUP BY head, total HAVING count(*) >= ?1),
shared AS (
  SELECT i.host AS host, l.head AS head, l.total AS total FROM look l JOIN image i ON i.id = l.image
  WHERE (l.head, l.total) IN frequent GROUP BY 1, 2, 3
  HAVING count(DISTINCT CASE instr(url, '#') WHEN 0 THEN url ELSE substr(url, 1, instr(url, '#') - 1) END) >= ?1
  UNION SELECT c.host, l.head, l.total FROM card c JOIN look l ON l.head = c.digest)
SELECT i.id, i.host, l.head, i.url, l.width, l.height, r.width, r.height
FROM shared s JOIN look l ON l.head = s.head AND l.total IS s.total JOIN image i ON i.id = l.image AND i.host = s.host
JOIN reference r ON r.image = i.id ORDER BY i.host, l.head, l.total, i.url
"""


class ProbeRow(NamedTuple):
    """One look as a row: the displayed size, the bytes of the whole picture, and the digest of its head."""

    image: int
    width: int
    height: int
    total: int | None
    head: str


class CopyRow(NamedTuple):
    """One copy held as a row: its bytes, and those of its best variant."""

    image: int
    digest: str
    width: int
    height: int
    bytes: int
    best: int


class AuditTables(Tables):
    """What was seen, and what of it differs from what the articles say. `begin_looks` comes first."""

    def begin_looks(self) -> None:
        """Forget what an earlier audit saw."""
        self._db.executescript(_TABLES)

    def put_looks(self, rows: Iterable[ProbeRow]) -> None:
        """Record what was seen."""
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO look VALUES (?, ?, ?, ?, ?)", rows)

    def put_copies(self, rows: Iterable[CopyRow]) -> None:
        """Record what is held."""
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?)", rows)

    def remote_images(self) -> Iterator[tuple[int, str]]:
        """The number and URL of every remote image."""
        yield from self._db.execute("SELECT id, url FROM image WHERE kind = 'remote'")

    def unaskable(self) -> list[tuple[int, str]]:
        """The number and URL of every remote image that names no host."""
        return self._db.execute("SELECT id, url FROM image WHERE kind = 'remote' AND host = '' ORDER BY url").fetchall()

    def looked_urls(self) -> Iterator[str]:
        """The URL of every image that was seen, sorted."""
        query = "SELECT url FROM image WHERE id IN (SELECT image FROM look) ORDER BY url"
        yield from (url for (url,) in self._db.execute(query))

    def audited(self) -> tuple[int, int, int]:
        """How many articles, references to images that are files, and such images there are."""
        return self._db.execute(  # type: ignore[no-any-return]  # three numbers
            "SELECT (SELECT count(*) FROM article WHERE NOT is_template),"
            " (SELECT count(*) FROM reference WHERE image NOT IN (SELECT id FROM image WHERE kind = 'inline')),"
            " (SELECT count(*) FROM image WHERE kind != 'inline')"
        ).fetchone()

    def named(self, image: int) -> AuditedImage:
        """One image with all its uses."""
        [found] = _grouped(self._db.execute(f"{_NAMED} i.id = ?{_IN_ORDER}", (image,)))
        return found

    def all_named(self, images: Iterable[int]) -> list[AuditedImage]:
        """The same of several images, each with all its uses, in the order of their numbers."""
        with self.transaction():
            self._db.execute("DELETE FROM asked")
            self._db.executemany("INSERT OR IGNORE INTO asked VALUES (?)", ((image,) for image in images))
        return list(_grouped(self._db.execute(_NAMED + _ASKED + _IN_ORDER)))

    def questionable(self) -> Iterator[AuditedImage]:
        """Every image of which a flag or a declared size is not what was found, with those uses alone."""
        return _grouped(self._db.execute(_NAMED + _QUESTIONABLE + _IN_ORDER))

    def broken_files(self) -> list[tuple[int, str, str]]:
        """The number of each own image with something wrong, the code and the message."""
        return self._db.execute(
            "SELECT id, code, message FROM image WHERE kind = 'own' AND code IS NOT NULL ORDER BY url, base"
        ).fetchall()

    def linked(self) -> Iterator[HotlinkedUse]:
        """Every article's use of every remote image, once each, article by article."""
        for path, image, host, hotlinked, total, held, best in self._db.execute(_LINKED):
            yield HotlinkedUse(path, image, host, bool(hotlinked), total, held, best)

    def shared_looks(self, at_least: int, cards: Iterable[tuple[str, str]]) -> Iterator[SharedImageRow]:
        """Every reference to an image whose look `at_least` addresses of its host share, by host, look and URL.

        And those whose host and digest are among `cards`: of a small picture, the digest of the head is that of all.
        """
        self.put_cards(cards)
        for image, host, head, url, width, height, *declared in self._db.execute(_SHARED_LOOKS, (at_least,)):
            yield SharedImageRow(image, host, head, url, Size(width, height), Declared(*declared))


def _grouped(rows: sqlite3.Cursor) -> Iterator[AuditedImage]:
    for image, group in groupby(rows, key=lambda row: row[:10]):
        number, url, base, kind, host, digest, *sizes = image
        held, true = _size(*sizes[:2]), _size(*sizes[2:])
        yield AuditedImage(
            number, url, base, Kind(kind), host, digest, held, true, tuple(_use(row[10:]) for row in group)
        )


def _use(row: tuple[Any, ...]) -> ImageUse:
    path, line, column, field, newest, width, height, cached, flaggable = row
    return ImageUse(Place(path, line, column, field), newest, Declared(width, height), bool(cached), bool(flaggable))


def _size(width: int | None, height: int | None) -> Size | None:
    return None if width is None or height is None else Size(width, height)
