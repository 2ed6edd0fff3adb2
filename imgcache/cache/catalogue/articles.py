"""The tables of articles and of the references in each of them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from imgcache.cache.catalogue.database import Database
from imgcache.cache.catalogue.focal_points import FocalPoints
from imgcache.cache.catalogue.rows import ArticleStat, ReadArticle, ReferenceRow
from imgcache.cache.catalogue.schema import REFERENCE_IMAGE
from imgcache.core import Place, Problem, Severity, UnreadAddresses

_MAX_KNOWN_IMAGES = 2048  # ids kept in memory: half a megabyte
_AT_ONCE = 32  # references in one statement
# Python's sqlite3 needs 2 µs to bind None or a bool, because it looks for an adapter, and 0.1 µs for an int.
_PUT_ONE = "INSERT OR IGNORE INTO reference VALUES (?, ?, ?, ?, ?, nullif(?, 0), nullif(?, 0), nullif(?, -1), ?, ?, ?)"
_PUT_MANY = _PUT_ONE + f", {_PUT_ONE[_PUT_ONE.index('(') :]}" * (_AT_ONCE - 1)
_COUNTED = ("articles", "references", "images", "cached")


class Articles:
    """The articles. Call `put` and `drop` inside a transaction."""

    def __init__(self, database: Database, focal_points: FocalPoints) -> None:
        self._db = database.connection
        self._focal_points = focal_points
        self._known_images: dict[tuple[str, str], int] = {}
        self._is_bulk = False
        database.on_rollback(self.forget_images)

    def forget_images(self) -> None:
        """Clears the image numbers in memory: some may no longer exist in the file."""
        self._known_images.clear()

    def is_empty(self) -> bool:
        """Returns whether there is no article yet."""
        return self._db.execute("SELECT 1 FROM article LIMIT 1").fetchone() is None

    @contextlib.contextmanager
    def bulk_insert(self) -> Iterator[None]:
        """Makes `put` faster while the catalogue is empty. Use it inside a transaction, and put each article once.

        The index over references is built at the end, and no article is looked up.
        """
        if not self.is_empty():
            yield
            return
        self._db.execute("DROP INDEX reference_image")
        self._is_bulk = True
        try:
            yield
        finally:
            self._is_bulk = False
        self._db.execute(REFERENCE_IMAGE)

    def changed(self, files: Sequence[ArticleStat]) -> list[ArticleStat]:
        """Returns the files that were not read in their present state. Hundreds in one call cost as much as one."""
        paths = msgspec.json.encode([file.path for file in files]).decode()
        rows = self._db.execute(
            "SELECT path, mtime_ns, size, is_template, is_data FROM article"
            " WHERE path IN (SELECT value FROM json_each(?))",
            (paths,),
        )
        read = {row[0]: row for row in rows}
        return [file for file in files if not file.mtime_ns or read.get(file.path) != file]

    def put(self, articles: Sequence[ReadArticle]) -> None:
        """Writes articles that were read, each in place of its earlier rows.

        An article that cannot be read keeps the references of the last time that it could.
        """
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM article").fetchone()
        ids = self._article_ids([article.file.path for article in articles], last)
        read = [(ids[article.file.path], article) for article in articles if not article.error]
        self._db.executemany(
            "INSERT INTO article (id, path, mtime_ns, size, is_template, is_data, digest, newest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET mtime_ns = excluded.mtime_ns, size = excluded.size,"
            " is_template = excluded.is_template, is_data = excluded.is_data, digest = excluded.digest,"
            " newest = excluded.newest, code = NULL,"
            " message = NULL, line = NULL, column = NULL",
            [(ids[article.file.path], *article.file, article.digest, article.newest) for article in articles],
        )
        self._db.executemany(
            "UPDATE article SET code = ?, message = ?, line = ?, column = ? WHERE path = ?",
            [(*msgspec.structs.astuple(one.error), one.file.path) for one in articles if one.error],
        )
        known = [(number,) for number, _ in read if number <= last]
        self._db.executemany("DELETE FROM reference WHERE article = ?", known)
        self._put_references(
            [_columns(number, self._image_id(m), m) for number, article in read for m in article.references]
        )
        given = [
            (number, self._image_id(m), m.field, m.focus)
            for number, article in read
            for m in article.references
            if m.focus
        ]
        self._focal_points.put(known, given)
        self._put_unread(known, read)

    def _put_unread(self, known: Sequence[tuple[int]], read: Iterable[tuple[int, ReadArticle]]) -> None:
        self._db.executemany("DELETE FROM unread WHERE article = ?", known)
        rows = [(number, one.line, one.column, one.url) for number, article in read for one in article.unread]
        if rows:
            self._db.executemany("INSERT INTO unread VALUES (?, ?, ?, ?)", rows)

    def _put_references(self, rows: Sequence[tuple[int | str | None, ...]]) -> None:
        """Writes many rows in one statement: SQLite continues behind the last row and searches the place only once."""
        full = len(rows) - len(rows) % _AT_ONCE
        for at in range(0, full, _AT_ONCE):
            self._db.execute(_PUT_MANY, tuple(itertools.chain.from_iterable(rows[at : at + _AT_ONCE])))
        self._db.executemany(_PUT_ONE, rows[full:])

    def _article_ids(self, paths: Sequence[str], last: int) -> dict[str, int]:
        """Returns the number of each article; new ones are numbered from `last` on."""
        if self._is_bulk:
            return {path: number for number, path in enumerate(paths, last + 1)}
        ids: dict[str, int] = {}
        for path in paths:
            known = self._db.execute("SELECT id FROM article WHERE path = ?", (path,)).fetchone()
            last += not known
            ids[path] = known[0] if known else last
        return ids

    def _image_id(self, mention: ReferenceRow) -> int:
        """Returns the number of an image, which is inserted if it is new."""
        key = (mention.url, mention.base)
        known = self._known_images.get(key)
        if known is not None:
            return known
        row = self._db.execute("SELECT id FROM image WHERE url = ? AND base = ?", key).fetchone()
        if not row:
            insert = "INSERT INTO image (url, base, kind, host) VALUES (?, ?, ?, ?) RETURNING id"
            row = self._db.execute(insert, (*key, mention.kind, mention.host)).fetchone()
        if len(self._known_images) >= _MAX_KNOWN_IMAGES:
            self._known_images.clear()
        self._known_images[key] = row[0]
        return int(row[0])

    def digest(self, path: str) -> str | None:
        """Returns the SHA-256, in hex, of the scanned bytes of an article; None for an unknown article."""
        row = self._db.execute("SELECT digest FROM article WHERE path = ?", (path,)).fetchone()
        return None if row is None else str(row[0])

    def paths(self) -> Iterator[str]:
        """Yields the path of every known article, sorted."""
        yield from (path for (path,) in self._db.execute("SELECT path FROM article ORDER BY path"))

    def drop(self, paths: Iterable[str]) -> None:
        """Deletes articles that no longer exist."""
        for path in paths:
            self._focal_points.drop(path)
            self._db.execute("DELETE FROM reference WHERE article = (SELECT id FROM article WHERE path = ?)", (path,))
            self._db.execute("DELETE FROM unread WHERE article = (SELECT id FROM article WHERE path = ?)", (path,))
            self._db.execute("DELETE FROM article WHERE path = ?", (path,))

    def count_files(self) -> int:
        """Returns how many articles, templates and data files there are."""
        (number,) = self._db.execute("SELECT count(*) FROM article").fetchone()
        return int(number)

    def remote_images(self, path: str) -> frozenset[int]:
        """Returns the remote images that an article uses."""
        rows = self._db.execute(
            "SELECT r.image FROM article a JOIN reference r ON r.article = a.id JOIN image i ON i.id = r.image"
            " WHERE a.path = ? AND i.kind = 'remote'",
            (path,),
        )
        return frozenset(image for (image,) in rows)

    def counts_of(self, path: str) -> dict[str, int]:
        """Returns the same as `counts` for one article."""
        row = self._db.execute(
            "SELECT 1, count(*), count(DISTINCT CASE WHEN i.kind = 'remote' THEN i.id END),"
            " count(DISTINCT CASE WHEN i.kind = 'remote' AND i.digest IS NOT NULL THEN i.id END)"
            " FROM article a JOIN reference r ON r.article = a.id JOIN image i ON i.id = r.image WHERE a.path = ?",
            (path,),
        ).fetchone()
        return dict(zip(_COUNTED, row, strict=True))

    def counts(self) -> dict[str, int]:
        """Returns how many articles, references, remote images, and cached remote images there are."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM article WHERE NOT is_template AND NOT is_data),"
            " (SELECT count(*) FROM reference),"
            " (SELECT count(*) FROM image WHERE kind = 'remote'),"
            " (SELECT count(*) FROM image WHERE kind = 'remote' AND digest IS NOT NULL)"
        ).fetchone()
        return dict(zip(_COUNTED, row, strict=True))

    def unread(self, shown: int = 3) -> UnreadAddresses:
        """Returns how many addresses look like images and are not read, and the places of the first `shown`."""
        (count,) = self._db.execute("SELECT count(*) FROM unread").fetchone()
        rows = self._db.execute(
            "SELECT a.path, u.line, u.column FROM unread u JOIN article a ON a.id = u.article"
            " ORDER BY a.path, u.line, u.column LIMIT ?",
            (shown,),
        )
        return UnreadAddresses(count, tuple(Place(path, line, column, "") for path, line, column in rows))

    def unreadable(self) -> Iterator[Problem]:
        """Yields each article that cannot be read, as a problem with one place; sorted by path."""
        rows = self._db.execute(
            "SELECT path, code, message, line, column, is_data FROM article WHERE code IS NOT NULL ORDER BY path"
        )
        for path, code, message, line, column, is_data in rows:
            severity = Severity.WARNING if is_data else Severity.ERROR  # the generator may not read it at all
            yield Problem(code, None, message, severity=severity, references=(Place(path, line, column, ""),))


def _columns(article: int, image: int, m: ReferenceRow) -> tuple[int | str, ...]:
    """Returns the parameters of `_PUT_ONE` for a reference."""
    flag = -1 if m.is_cached is None else int(m.is_cached)
    traits = int(m.flaggable), int(m.in_flagged_list), int(m.guessed)
    return article, m.line, m.column, image, m.field, m.width or 0, m.height or 0, flag, *traits
