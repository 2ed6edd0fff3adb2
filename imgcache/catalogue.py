"""Which article uses which image: the relational memory of a site, in SQLite.

It answers what the records by URL cannot: what changed since the last run, which images are still to be settled, which
flags differ from the truth, where an image is used. Rows stay on disk and are read as a stream, so that a million
references need no more memory than a thousand. All of it can be made anew by reading the articles: a damaged file is
thrown away.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from imgcache.errors import ArticleError
from imgcache.models import Asset, Declared, Kind, Place, Reference, Size

_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE article (
  id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL,
  digest TEXT NOT NULL, newest TEXT NOT NULL, code TEXT, message TEXT, line INTEGER, column INTEGER);
CREATE TABLE image (
  id INTEGER PRIMARY KEY, url TEXT NOT NULL, base TEXT NOT NULL, kind TEXT NOT NULL, host TEXT NOT NULL,
  digest TEXT, stamp INTEGER, recipes TEXT, due REAL, width INTEGER, height INTEGER, code TEXT, message TEXT,
  UNIQUE (url, base));
CREATE TABLE reference (
  article INTEGER NOT NULL, image INTEGER NOT NULL, line INTEGER NOT NULL, column INTEGER NOT NULL, field TEXT NOT NULL,
  width INTEGER, height INTEGER, is_cached INTEGER, flaggable INTEGER NOT NULL);
CREATE INDEX reference_article ON reference (article);
CREATE INDEX reference_image ON reference (image);
"""


class File(NamedTuple):
    """One article as the file system shows it, path relative to the site. `mtime_ns` 0 is never taken for unchanged."""

    path: str
    mtime_ns: int
    size: int


class Mention(NamedTuple):
    """One reference with whose image it is, and the host that would be asked."""

    reference: Reference
    kind: Kind
    host: str


class Settled(NamedTuple):
    """What the catalogue believes of one remote image; to be held against the disk."""

    image: int
    digest: str | None
    stamp: int | None
    recipes: str | None
    due: float | None


class Pending(NamedTuple):
    """One image that needs work, newest article first."""

    image: int
    host: str


class Own(NamedTuple):
    """One image of the site itself, with what was found at the last look. `base` is the folder it is relative to."""

    image: int
    url: str
    base: str
    stamp: int | None


class Disagreement(NamedTuple):
    """One reference whose flag or declared size differs from what is known of the image."""

    path: str
    digest: str
    reference: Reference
    kind: Kind
    held: bool
    true: Size | None


class Catalogue:
    """The tables of one site. Not shared between processes: the cache's lock guards it."""

    def __init__(self, file: Path, scope: str) -> None:
        """Open or make the file. `scope` names all that references depend on beside the articles' bytes."""
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open(file, scope)
        except sqlite3.DatabaseError:
            for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
                file.with_name(name).unlink(missing_ok=True)
            self._db = self._open(file, scope)

    @staticmethod
    def _open(file: Path, scope: str) -> sqlite3.Connection:
        db = sqlite3.connect(file, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            known = db.execute("SELECT value FROM meta WHERE key = 'scope'").fetchone() if version == _VERSION else None
            if known != (scope,):
                for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    db.execute(f'DROP TABLE "{name}"')
                db.executescript(_SCHEMA)
                db.execute("INSERT INTO meta VALUES ('scope', ?)", (scope,))
                db.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- articles ----------------------------------------------------------------------------------------------------

    def is_unchanged(self, file: File) -> bool:
        """Whether the article was read as it is now."""
        row = self._db.execute("SELECT mtime_ns, size FROM article WHERE path = ?", (file.path,)).fetchone()
        return row is not None and file.mtime_ns != 0 and row == (file.mtime_ns, file.size)

    def put_article(self, file: File, digest: str, newest: str, mentions: Sequence[Mention]) -> None:
        """Record an article that was read, in place of what was known of it."""
        article = self._article_row(file, digest, newest, None)
        self._db.execute("DELETE FROM reference WHERE article = ?", (article,))
        self._db.executemany(
            "INSERT OR IGNORE INTO image (url, base, kind, host) VALUES (?, ?, ?, ?)",
            [(m.reference.url, _base(m), m.kind, m.host) for m in mentions],
        )
        self._db.executemany(
            "INSERT INTO reference SELECT ?, id, ?, ?, ?, ?, ?, ?, ? FROM image WHERE url = ? AND base = ?",
            [(article, *_columns(m.reference), m.reference.url, _base(m)) for m in mentions],
        )

    def put_unreadable(self, file: File, digest: str, error: ArticleError) -> None:
        """Record an article that cannot be read; the references that it had when it could be read are kept."""
        self._article_row(file, digest, "", error)

    def _article_row(self, file: File, digest: str, newest: str, error: ArticleError | None) -> int:
        wrong = (error.code, error.message, error.line, error.column) if error else (None, None, None, None)
        row = self._db.execute(
            "INSERT INTO article (path, mtime_ns, size, digest, newest, code, message, line, column)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET mtime_ns = excluded.mtime_ns,"
            " size = excluded.size, digest = excluded.digest, newest = excluded.newest, code = excluded.code,"
            " message = excluded.message, line = excluded.line, column = excluded.column RETURNING id",
            (*file, digest, newest, *wrong),
        ).fetchone()
        return int(row[0])

    def article_paths(self) -> Iterator[str]:
        """Every article known, sorted."""
        yield from (path for (path,) in self._db.execute("SELECT path FROM article ORDER BY path"))

    def drop_articles(self, paths: Iterable[str]) -> None:
        """Forget articles that are no longer there."""
        for path in paths:
            self._db.execute("DELETE FROM reference WHERE article = (SELECT id FROM article WHERE path = ?)", (path,))
            self._db.execute("DELETE FROM article WHERE path = ?", (path,))

    def drop_unused_images(self) -> None:
        """Forget images that no article names any more."""
        self._db.execute("DELETE FROM image WHERE id NOT IN (SELECT image FROM reference)")

    def unreadable(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Each article that cannot be read: path, code, message, line, column."""
        yield from self._db.execute(
            "SELECT path, code, message, line, column FROM article WHERE code IS NOT NULL ORDER BY path"
        )

    # -- images ------------------------------------------------------------------------------------------------------

    def remote(self) -> Iterator[Settled]:
        """Every remote image, with what is believed of it."""
        rows = self._db.execute("SELECT id, digest, stamp, recipes, due FROM image WHERE kind = 'remote'")
        yield from map(Settled._make, rows)

    def remote_urls(self) -> Iterator[str]:
        """The URL of every remote image, sorted."""
        yield from (url for (url,) in self._db.execute("SELECT url FROM image WHERE kind = 'remote' ORDER BY url"))

    def pending(self, images: Sequence[int]) -> Iterator[Pending]:
        """The given images, those of the newest article first; equally new ones in the order of their URLs."""
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (image INTEGER PRIMARY KEY)")
        with self.transaction():
            self._db.execute("DELETE FROM wanted")
            self._db.executemany("INSERT INTO wanted VALUES (?)", ((image,) for image in images))
        rows = self._db.execute(
            "SELECT i.id, i.host FROM wanted w JOIN image i ON i.id = w.image JOIN reference r ON r.image = i.id"
            " JOIN article a ON a.id = r.article GROUP BY i.id ORDER BY max(a.newest) DESC, i.url"
        )
        yield from map(Pending._make, rows)

    def url(self, image: int) -> str:
        """The URL of one image."""
        return str(self._db.execute("SELECT url FROM image WHERE id = ?", (image,)).fetchone()[0])

    def settle(self, image: int, asset: Asset, *, stamp: int | None, recipes: str, due: float) -> None:
        """Record that an image is held in full."""
        self._db.execute(
            "UPDATE image SET digest = ?, stamp = ?, recipes = ?, due = ?, width = ?, height = ? WHERE id = ?",
            (asset.digest, stamp, recipes, due, asset.width, asset.height, image),
        )

    def suppose(self, image: int) -> None:
        """Take an image for held, its size unknown: what a dry run thinks of one that would be fetched."""
        self._db.execute("UPDATE image SET digest = '', width = NULL, height = NULL WHERE id = ?", (image,))

    def unsettle(self, image: int) -> None:
        """Record that an image is not held."""
        self._db.execute(
            "UPDATE image SET digest = NULL, stamp = NULL, recipes = NULL, due = NULL, width = NULL, height = NULL"
            " WHERE id = ?",
            (image,),
        )

    def unsettle_all(self) -> None:
        """Take nothing for held: the next sync looks at every image anew."""
        self._db.execute("UPDATE image SET stamp = NULL WHERE kind = 'remote'")

    def unsettle_url(self, url: str) -> None:
        """Record that the image at a URL is not held, if any article names it."""
        for (image,) in self._db.execute("SELECT id FROM image WHERE url = ? AND kind = 'remote'", (url,)).fetchall():
            self.unsettle(image)

    def own(self) -> list[Own]:
        """Every image of the site itself."""
        rows = self._db.execute("SELECT id, url, base, stamp FROM image WHERE kind = 'own' ORDER BY url, base")
        return [Own._make(row) for row in rows]

    def put_own(self, image: int, stamp: int | None, size: Size | None, wrong: tuple[str, str] | None) -> None:
        """Record what was found of one of the site's own images: its size, or a code and a message."""
        width, height = (size.width, size.height) if size else (None, None)
        self._db.execute(
            "UPDATE image SET stamp = ?, width = ?, height = ?, code = ?, message = ? WHERE id = ?",
            (stamp, width, height, *(wrong or (None, None)), image),
        )

    def broken_own(self) -> list[tuple[str, str, str, str]]:
        """Each own image with something wrong: URL, base, code, message."""
        return self._db.execute(
            "SELECT url, base, code, message FROM image WHERE kind = 'own' AND code IS NOT NULL ORDER BY url, base"
        ).fetchall()

    # -- references --------------------------------------------------------------------------------------------------

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
        rows = self._db.execute(
            "SELECT i.url, a.path, r.line, r.column, r.field, r.width, r.height, r.is_cached FROM article a"
            " CROSS JOIN reference r ON r.article = a.id CROSS JOIN image i ON i.id = r.image"
            " WHERE r.flaggable ORDER BY a.path"
        )
        for url, path, line, column, field, width, height, cached in rows:
            flag = None if cached is None else bool(cached)
            yield Reference(url, path, line, column, field, Declared(width, height), flag, flaggable=True)

    def is_used(self, url: str) -> bool:
        """Whether any article names the URL."""
        query = "SELECT 1 FROM reference WHERE image IN (SELECT id FROM image WHERE url = ?) LIMIT 1"
        return self._db.execute(query, (url,)).fetchone() is not None

    def disagreements(self, after: str = "", url: str | None = None, limit: int = 1000) -> list[Disagreement]:
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

    def counts(self) -> dict[str, int]:
        """How many articles, references, remote images, and remote images held there are."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM article), (SELECT count(*) FROM reference),"
            " (SELECT count(*) FROM image WHERE kind = 'remote'),"
            " (SELECT count(*) FROM image WHERE kind = 'remote' AND digest IS NOT NULL)"
        ).fetchone()
        return dict(zip(("articles", "references", "images", "cached"), row, strict=True))

    # -- what a run leaves for the next --------------------------------------------------------------------------------

    def note(self, key: str) -> str | None:
        """A text kept from run to run."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put_note(self, key: str, value: str) -> None:
        """Keep a text from run to run."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


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


def _disagreement(row: tuple[Any, ...]) -> Disagreement:
    path, digest, url, line, column, field, width, height, cached, flaggable, kind, held, *true = row
    flag = None if cached is None else bool(cached)
    reference = Reference(url, path, line, column, field, Declared(width, height), flag, bool(flaggable))
    size = None if true[0] is None or true[1] is None else Size(true[0], true[1])
    return Disagreement(path, digest, reference, Kind(str(kind)), bool(held), size)


def _base(mention: Mention) -> str:
    """The folder that a relative URL hangs on; "" where the URL alone says which file is meant."""
    url = mention.reference.url
    if mention.kind is not Kind.OWN or url.startswith("/") or "://" in url:
        return ""
    return mention.reference.article.rpartition("/")[0] + "/"


def _columns(reference: Reference) -> tuple[int | str | None, ...]:
    declared, flag = reference.declared, reference.is_cached
    cached = None if flag is None else int(flag)
    size = (declared.width, declared.height)
    return (reference.line, reference.column, reference.field, *size, cached, int(reference.flaggable))
