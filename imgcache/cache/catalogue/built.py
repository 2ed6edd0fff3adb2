"""Built pages in the catalogue: to which files of images each refers, and why one is left as it is.

A built page is an article whose references say in `is_cached` where the page loads the image from: 1 from a local file,
0 from its host, NULL from its host because no address of a local file would do there. These tables exist only in the
catalogue of a built folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from imgcache.cache.catalogue.database import Database
from imgcache.cache.catalogue.rows import ReadError
from imgcache.core import Place, Problem

BUILT_FIELD = "built"  # of every reference in a built file
_TABLES = """
CREATE TABLE IF NOT EXISTS built_file (article INTEGER, file TEXT, PRIMARY KEY (article, file)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS built_note (
  article INTEGER PRIMARY KEY, code TEXT NOT NULL, message TEXT NOT NULL, line INTEGER, column INTEGER);
"""
_READY = """
SELECT a.path, a.digest, i.url FROM article a CROSS JOIN reference r ON r.article = a.id
CROSS JOIN image i ON i.id = r.image
WHERE r.is_cached = 0 AND i.digest IS NOT NULL AND a.path > ?1 ORDER BY a.path LIMIT ?2
"""


class BuiltPage(NamedTuple):
    """What is recorded of one built file beside its references: the files that it refers to, and why it was left."""

    path: str
    files: tuple[str, ...]
    error: ReadError | None


class BuiltCounts(NamedTuple):
    """Places at which pages load remote images, their distinct images, and those of the places with a copy held."""

    references: int
    images: int
    ready: int
    ready_pages: int


class BuiltTables:
    """What is recorded of built pages. `put` and `drop_missing` belong into a transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection

    def prepare(self) -> None:
        """Make the tables, where they are missing."""
        self._db.executescript(_TABLES)

    def put(self, pages: Iterable[BuiltPage]) -> None:
        """Record pages whose articles are recorded, each in place of what was known of it."""
        recorded = {page.path: page for page in pages}
        query = "SELECT id, path FROM article WHERE path IN (SELECT value FROM json_each(?))"
        rows = self._db.execute(query, (msgspec.json.encode(list(recorded)).decode(),))
        found = [(article, recorded[path]) for article, path in rows]
        for table in ("built_file", "built_note"):
            if self._db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608 - names of ours
                delete = f"DELETE FROM {table} WHERE article = ?"  # noqa: S608
                self._db.executemany(delete, [(article,) for article, _ in found])
        self._db.executemany(
            "INSERT INTO built_file VALUES (?, ?)", [(article, file) for article, page in found for file in page.files]
        )
        notes = [(article, *msgspec.structs.astuple(page.error)) for article, page in found if page.error is not None]
        self._db.executemany("INSERT INTO built_note VALUES (?, ?, ?, ?, ?)", notes)

    def drop_missing(self) -> None:
        """Forget what belongs to articles that are no longer there."""
        self._db.execute("DELETE FROM built_file WHERE article NOT IN (SELECT id FROM article)")
        self._db.execute("DELETE FROM built_note WHERE article NOT IN (SELECT id FROM article)")

    def files(self) -> list[str]:
        """Every file to which a page refers, sorted, relative to `assets/`."""
        return [file for (file,) in self._db.execute("SELECT DISTINCT file FROM built_file ORDER BY file")]

    def ready_pages(self, after: str = "", limit: int = 5000) -> list[tuple[str, str, tuple[str, ...]]]:
        """The next pages that load a remote image which is held: path, digest, and the URLs of these images.

        A few at a time, so that the tables may be written between: `after` is the path of the last page before.
        """
        rows = self._db.execute(_READY, (after, limit)).fetchall()
        if len(rows) == limit and rows[0][0] == rows[-1][0]:
            return self.ready_pages(after, limit * 2)
        if len(rows) == limit:
            rows = [row for row in rows if row[0] != rows[-1][0]]
        pages: dict[str, tuple[str, dict[str, None]]] = {}
        for path, digest, url in rows:
            pages.setdefault(path, (digest, {}))[1][url] = None
        return [(path, digest, tuple(urls)) for path, (digest, urls) in pages.items()]

    def leave_remote(self, paths: Iterable[str]) -> None:
        """Record that no local file can stand for the images which these pages still load from their hosts."""
        self._db.executemany(
            "UPDATE reference SET is_cached = NULL WHERE is_cached = 0"
            " AND article = (SELECT id FROM article WHERE path = ?)"
            " AND image IN (SELECT id FROM image WHERE digest IS NOT NULL)",
            ((path,) for path in paths),
        )

    def counts(self) -> BuiltCounts:
        """How much is loaded from remote hosts."""
        row = self._db.execute(
            "SELECT count(*), count(DISTINCT r.image), total(r.is_cached = 0 AND i.digest IS NOT NULL),"
            " count(DISTINCT CASE WHEN r.is_cached = 0 AND i.digest IS NOT NULL THEN r.article END)"
            " FROM reference r JOIN image i ON i.id = r.image WHERE r.is_cached IS NOT 1"
        ).fetchone()
        return BuiltCounts(*map(int, row))

    def remote_places(self, *, is_local_possible: bool) -> Iterator[tuple[str, Place]]:
        """Each URL that pages load from its host, with the place; by URL, in the order of the pages."""
        rows = self._db.execute(
            "SELECT i.url, a.path, r.line, r.column, r.field FROM image i CROSS JOIN reference r ON r.image = i.id"
            " JOIN article a ON a.id = r.article WHERE r.is_cached IS ? ORDER BY i.url, a.path, r.line, r.column",
            (0 if is_local_possible else None,),
        )
        yield from ((url, Place(*place)) for url, *place in rows)

    def notes(self) -> Iterator[Problem]:
        """Each page that is left as it is, as a problem with its place; sorted by path."""
        rows = self._db.execute(
            "SELECT a.path, n.code, n.message, n.line, n.column FROM built_note n JOIN article a ON a.id = n.article"
            " ORDER BY a.path"
        )
        for path, code, message, line, column in rows:
            yield Problem(code, None, message, references=(Place(path, line, column, ""),))
