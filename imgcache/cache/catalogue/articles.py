"""Articles in the catalogue, and the references that each of them makes."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from imgcache.cache.catalogue.focal_points import FocalPoints
from imgcache.cache.catalogue.rows import ArticleStat, ReadArticle, ReferenceRow
from imgcache.cache.catalogue.schema import REFERENCE_IMAGE
from imgcache.core import Place, Problem

_MAX_KNOWN_IMAGES = 2048  # ids kept at hand: half a megabyte
_AT_ONCE = 32  # references
# Python's sqlite3 takes 2 µs to bind None or a bool, for which it looks for an adapter, and 0.1 µs for an int.
_PUT_ONE = "INSERT OR IGNORE INTO reference VALUES (?, ?, ?, ?, ?, nullif(?, 0), nullif(?, 0), nullif(?, -1), ?)"
_PUT_MANY = _PUT_ONE + f", {_PUT_ONE[_PUT_ONE.index('(') :]}" * (_AT_ONCE - 1)


class Articles(FocalPoints):
    """What is recorded of articles. `put_articles` belongs into a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__(db)
        self._known_images: dict[tuple[str, str], int] = {}
        self._is_filling = False

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        try:
            with super().transaction():
                yield
        except BaseException:
            self._known_images.clear()  # some were entered by what is undone
            raise

    @property
    def is_bare(self) -> bool:
        """Whether there is no article yet."""
        return self._db.execute("SELECT 1 FROM article LIMIT 1").fetchone() is None

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Inside a transaction, for articles that come once each: a bare catalogue is filled faster.

        The index over references is made at the end, in one go, and no article is looked up.
        """
        if not self.is_bare:
            yield
            return
        self._db.execute("DROP INDEX reference_image")
        self._is_filling = True
        try:
            yield
        finally:
            self._is_filling = False
        self._db.execute(REFERENCE_IMAGE)

    def changed(self, files: Sequence[ArticleStat]) -> list[ArticleStat]:
        """Those of `files` that were not read as they are now. Some hundred at once cost what one costs alone."""
        paths = msgspec.json.encode([file.path for file in files]).decode()
        rows = self._db.execute(
            "SELECT path, mtime_ns, size, is_template FROM article WHERE path IN (SELECT value FROM json_each(?))",
            (paths,),
        )
        read = {row[0]: row for row in rows}
        return [file for file in files if not file.mtime_ns or read.get(file.path) != file]

    def put_articles(self, articles: Sequence[ReadArticle]) -> None:
        """Record articles that were read, each in place of what was known of it.

        Of one that cannot be read, the references that it had when it could be are kept.
        """
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM article").fetchone()
        ids = self._article_ids([article.file.path for article in articles], last)
        read = [(ids[article.file.path], article) for article in articles if not article.wrong]
        self._db.executemany(
            "INSERT INTO article (id, path, mtime_ns, size, is_template, digest, newest) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET mtime_ns = excluded.mtime_ns, size = excluded.size,"
            " is_template = excluded.is_template, digest = excluded.digest, newest = excluded.newest, code = NULL,"
            " message = NULL, line = NULL, column = NULL",
            [(ids[article.file.path], *article.file, article.digest, article.newest) for article in articles],
        )
        self._db.executemany(
            "UPDATE article SET code = ?, message = ?, line = ?, column = ? WHERE path = ?",
            [(*msgspec.structs.astuple(one.wrong), one.file.path) for one in articles if one.wrong],
        )
        known = [(number,) for number, _ in read if number <= last]
        self._db.executemany("DELETE FROM reference WHERE article = ?", known)
        self._put_references(
            [_columns(number, self._image_id(m), m) for number, article in read for m in article.mentions]
        )
        given = [
            (number, self._image_id(m), m.field, m.focus)
            for number, article in read
            for m in article.mentions
            if m.focus
        ]
        self._put_focal_points(known, given)

    def _put_references(self, rows: Sequence[tuple[int | str | None, ...]]) -> None:
        """Many in one statement: SQLite goes on where the last row went, and looks for the place only once."""
        whole = len(rows) - len(rows) % _AT_ONCE
        for at in range(0, whole, _AT_ONCE):
            self._db.execute(_PUT_MANY, tuple(itertools.chain.from_iterable(rows[at : at + _AT_ONCE])))
        self._db.executemany(_PUT_ONE, rows[whole:])

    def _article_ids(self, paths: Sequence[str], last: int) -> dict[str, int]:
        """The number of each article: those that have none are numbered on from the `last` one."""
        if self._is_filling:
            return {path: number for number, path in enumerate(paths, last + 1)}
        ids: dict[str, int] = {}
        for path in paths:
            known = self._db.execute("SELECT id FROM article WHERE path = ?", (path,)).fetchone()
            last += not known
            ids[path] = known[0] if known else last
        return ids

    def _image_id(self, mention: ReferenceRow) -> int:
        """The number of an image, which is entered where it is new."""
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

    def article_digest(self, path: str) -> str | None:
        """SHA-256, in hex, of the bytes of an article that were scanned; None for one that is not known."""
        row = self._db.execute("SELECT digest FROM article WHERE path = ?", (path,)).fetchone()
        return None if row is None else str(row[0])

    def article_paths(self) -> Iterator[str]:
        """Every article known, sorted."""
        yield from (path for (path,) in self._db.execute("SELECT path FROM article ORDER BY path"))

    def drop_articles(self, paths: Iterable[str]) -> None:
        """Forget articles that are no longer there."""
        for path in paths:
            self._drop_focal_points(path)
            self._db.execute("DELETE FROM reference WHERE article = (SELECT id FROM article WHERE path = ?)", (path,))
            self._db.execute("DELETE FROM article WHERE path = ?", (path,))

    def drop_unused_images(self) -> None:
        """Forget images that no article names any more."""
        self._known_images.clear()
        self._db.execute("DELETE FROM image WHERE id NOT IN (SELECT image FROM reference)")

    def unreadable(self) -> Iterator[Problem]:
        """Each article that cannot be read, as a problem with its one place; sorted by path."""
        rows = self._db.execute(
            "SELECT path, code, message, line, column FROM article WHERE code IS NOT NULL ORDER BY path"
        )
        for path, code, message, line, column in rows:
            yield Problem(code, None, message, references=(Place(path, line, column, ""),))


def _columns(article: int, image: int, m: ReferenceRow) -> tuple[int | str, ...]:
    """A reference for `_PUT_ONE`."""
    flag = -1 if m.is_cached is None else int(m.is_cached)
    return article, m.line, m.column, image, m.field, m.width or 0, m.height or 0, flag, int(m.flaggable)
