"""Fills the gallery's database from manifest.json and the index, each of which may be missing or unreadable."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from imgcache.cache import Index
from imgcache.core import BROWSER_MEDIA_TYPES, Asset, ImgcacheError, Size, clean_text, host_if_any
from imgcache.manifest import ManifestEntry, ManifestVariant
from imgcache.server.gallery import problems
from imgcache.server.gallery.database import INDEXES, SCHEMA, GalleryDatabase, entry_of
from imgcache.server.gallery.sources import GallerySources, entries

_BATCH = 1000
_AUTHORITY = re.compile(r"\s*(?:https?:)?//[^/\\?#]*", re.IGNORECASE)
LIGHT_WIDTH = 640  # pixels: what is compared with the original is the version that a page of this width would show
_THUMB_WIDTH = 240  # pixels that a tile of the grid needs

_PUT_IMAGE = """
INSERT OR IGNORE INTO image (
  id, url, host, words, state, width, height, bytes, light, color, thumb, thumb_width, thumb_height)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PUT_WAITING = """
INSERT OR IGNORE INTO image (url, host, words, state)
SELECT url, host, '', 'waiting' FROM catalogue.image WHERE kind = 'remote'
"""
_PUT_USES = """
INSERT INTO use SELECT s.id, r.article + ?1, r.line, r.column, r.field, r.width, r.height,
  CASE WHEN ?2 THEN r.is_cached END, r.flaggable
FROM catalogue.reference r JOIN catalogue.image i ON i.id = r.image JOIN image s ON s.url = i.url
WHERE i.kind = 'remote'
"""
# With min(), SQLite takes the other columns from the row that has it (sqlite.org/lang_select.html, section 2.5).
_PUT_TITLES = """
UPDATE image SET article = first.title FROM (
  SELECT u.image, coalesce(nullif(a.title, ''), a.path) AS title, min(a.path)
  FROM use u JOIN article a ON a.id = u.article GROUP BY u.image) AS first
WHERE first.image = image.id
"""
_PUT_SITE_ISSUES = """
INSERT INTO site_issue SELECT path || ':' || line || ':' || column, code, message FROM catalogue.article
WHERE code IS NOT NULL
UNION ALL SELECT url, code, message FROM catalogue.image WHERE kind = 'own' AND code IS NOT NULL
"""
_MISMATCHES = """
SELECT i.id, i.state = 'held', i.width, i.height, u.width, u.height, u.is_cached, u.flaggable
FROM use u JOIN image i ON i.id = u.image
WHERE coalesce(u.is_cached, 0) AND i.state != 'held'
  OR u.flaggable AND NOT coalesce(u.is_cached, 0) AND i.state = 'held'
  OR i.width IS NOT NULL AND (coalesce(u.width, i.width) != i.width OR coalesce(u.height, i.height) != i.height)
"""
# The worst problem of each image: `error` sorts before `warning`.
_WORST = """
UPDATE image SET (code, severity) = (
  SELECT code, severity FROM problem WHERE problem.image = image.id ORDER BY severity, code LIMIT 1)
WHERE id IN (SELECT image FROM problem)
"""


def load_gallery(sources: GallerySources, now: float) -> GalleryDatabase:
    """Returns a database with everything that can be read. `now`: seconds since the epoch. Failures become notices."""
    notices: list[str] = []
    with ExitStack() as on_error:
        # With an empty name SQLite uses an anonymous temporary file, and memory alone while the database is small.
        db = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
        on_error.callback(db.close)
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -16000")  # kB
        db.executescript(SCHEMA)
        try:
            db.execute("BEGIN")
            _put_entries(db, sources)
            db.execute("COMMIT")
        except ImgcacheError as error:
            db.execute("COMMIT")
            notices.append(f"Some images are missing here, because the manifest cannot be read: {error}")
        _put_catalogue(db, sources, notices)
        _put_records(db, sources, now, notices)
        db.execute("BEGIN")
        db.executemany("INSERT OR IGNORE INTO problem VALUES (?, ?, ?)", _mismatches(db))
        db.execute(_WORST)
        db.execute("COMMIT")
        db.executescript(INDEXES)
        on_error.pop_all()
    return GalleryDatabase(db, notices)


def _put_entries(db: sqlite3.Connection, sources: GallerySources) -> None:
    rows = enumerate(entries(sources.manifest), 1)
    while batch := list(islice(rows, _BATCH)):
        db.executemany(_PUT_IMAGE, (_image_row(number, url, entry) for number, (url, entry) in batch))
        db.executemany(
            "INSERT INTO fact VALUES (?, 'entry', ?)",
            ((number, _encoded(entry)) for number, (_, entry) in batch),
        )


def _encoded(entry: ManifestEntry) -> bytes:
    """Encodes an entry without its placeholder, which no page shows and which takes a third of the bytes."""
    return msgspec.json.encode(msgspec.structs.replace(entry, placeholder=""))


def _image_row(number: int, url: str, entry: ManifestEntry) -> tuple[Any, ...]:
    found = _AUTHORITY.match(url)
    host = _host(found[0]) if found else ""
    thumb = thumbnail(entry)
    tile = (thumb.path, thumb.width, thumb.height) if thumb else (None, None, None)
    light = for_page(entry)
    return (
        number, url, host, _words(url, host), "held", entry.width, entry.height, entry.bytes,
        light.bytes if light else None, entry.color, *tile,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _host(authority: str) -> str:
    return host_if_any(authority)


def _words(url: str, host: str) -> str:
    return f"{url} {host}".casefold()


def thumbnail(entry: ManifestEntry) -> ManifestVariant | None:
    """Returns the smallest file that is sharp in a tile; None if browsers show none."""
    wide = [one for one in candidates(entry) if one.width >= _THUMB_WIDTH]
    if wide:
        return min(wide, key=lambda one: (one.width, one.bytes))
    return max(candidates(entry), key=lambda one: (one.width, -one.bytes), default=None)


def for_page(entry: ManifestEntry) -> ManifestVariant | None:
    """Returns the file for a page `LIGHT_WIDTH` wide: the narrowest at least that wide, else the widest."""
    wide = [one for one in candidates(entry) if one.width >= LIGHT_WIDTH]
    if wide:
        narrowest = min(one.width for one in wide)
        return min((one for one in wide if one.width == narrowest), key=lambda one: one.bytes)
    widest = max((one.width for one in candidates(entry)), default=0)
    return min((one for one in candidates(entry) if one.width == widest), key=lambda one: one.bytes, default=None)


def candidates(entry: ManifestEntry) -> list[ManifestVariant]:
    """Every file of an image that a browser shows."""
    if entry.media_type not in BROWSER_MEDIA_TYPES:
        return list(entry.variants)
    kind = entry.media_type.removeprefix("image/")
    return [*entry.variants, ManifestVariant("original", entry.width, entry.height, kind, entry.bytes, entry.original)]


def _put_catalogue(db: sqlite3.Connection, sources: GallerySources, notices: list[str]) -> None:
    """Adds articles and uses; without a catalogue uses are unknown."""
    try:
        for file, folder in [(sources.catalogue, ""), *sources.built]:
            if file.is_file():
                db.execute("ATTACH ? AS catalogue", (f"{file.resolve().as_uri()}?mode=ro",))
                try:
                    _copy_catalogue(db, folder)
                finally:
                    db.execute("DETACH catalogue")
    except sqlite3.DatabaseError as error:
        notices.append(
            f"It is unknown where images are used, because catalogue.db cannot be read: {clean_text(str(error))}"
        )


def _copy_catalogue(db: sqlite3.Connection, folder: str) -> None:
    """`folder` is that of built pages, which carry no flags; "" for the articles."""
    db.execute("BEGIN")
    try:
        (before,) = db.execute("SELECT coalesce(max(id), 0) FROM article").fetchone()
        db.execute(_PUT_WAITING)
        new = db.execute("SELECT id, url, host FROM image WHERE words = ''").fetchall()
        db.executemany(
            "UPDATE image SET words = ? WHERE id = ?", ((_words(url, host), number) for number, url, host in new)
        )
        start = f"{folder}/" if folder else ""
        rows = db.execute("SELECT id + ?, ? || path, title FROM catalogue.article", (before, start))
        db.executemany(
            "INSERT INTO article VALUES (?, ?, ?, ?)",
            ((number, path, f"{path} {title}".casefold(), title) for number, path, title in rows),
        )
        db.execute(_PUT_USES, (before, not folder))
        db.execute(_PUT_SITE_ISSUES)
        db.execute("UPDATE image SET uses = 0")
        counts = db.execute("SELECT count(*), image FROM use GROUP BY image").fetchall()
        db.executemany("UPDATE image SET uses = ? WHERE id = ?", counts)
        db.execute(_PUT_TITLES)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _put_records(db: sqlite3.Connection, sources: GallerySources, now: float, notices: list[str]) -> None:
    """Adds times, failures and quarantined images; without an index they are unknown."""
    if not sources.records.is_file():
        return
    index = Index.open_read_only(sources.index)
    db.execute("BEGIN")
    try:
        _put_copies(db, index)
        _put_failures(db, index, now)
        _put_quarantined(db, index)
        for url in index.forgotten_urls():
            db.execute("UPDATE image SET state = 'forgotten' WHERE url = ? AND state != 'held'", (url,))
    except ImgcacheError as error:
        db.execute("ROLLBACK")
        notices.append(f"Times and failures are unknown, because the index cannot be read: {error}")
    else:
        db.execute("COMMIT")


def _put_copies(db: sqlite3.Connection, index: Index) -> None:
    db.execute("CREATE TABLE copied (url TEXT, time REAL, value BLOB)")
    rows = ((url, copy.fetched_at, msgspec.json.encode(copy)) for url, copy in index.copies())
    db.executemany("INSERT INTO copied VALUES (?, ?, ?)", rows)
    db.execute("INSERT INTO fact SELECT i.id, 'copy', c.value FROM copied c JOIN image i ON i.url = c.url")
    db.execute("UPDATE image SET time = c.time FROM copied c WHERE c.url = image.url")
    db.execute("DROP TABLE copied")


def _put_failures(db: sqlite3.Connection, index: Index, now: float) -> None:
    health_by_url = dict(index.healths())
    for url, failure in index.failures():
        found = db.execute("SELECT id, state = 'held' FROM image WHERE url = ?", (url,)).fetchone()
        if not found:  # no article refers to it any more
            continue
        number, held = found
        past = health_by_url.get(url)
        issue = problems.failure_issue(failure, past, now, held=bool(held))
        db.execute("INSERT INTO problem VALUES (?, ?, ?)", (number, issue.code, issue.severity.value))
        db.execute("INSERT INTO fact VALUES (?, 'failure', ?)", (number, msgspec.json.encode(failure)))
        if past is not None:
            db.execute("INSERT INTO fact VALUES (?, 'health', ?)", (number, msgspec.json.encode(past)))
        db.execute("UPDATE image SET status = ? WHERE id = ?", (failure.status, number))
        if not held:
            db.execute("UPDATE image SET state = 'failing', time = ? WHERE id = ?", (failure.last_at, number))


def _put_quarantined(db: sqlite3.Connection, index: Index) -> None:
    for url, record in index.quarantine_records():
        found = db.execute("SELECT id FROM image WHERE url = ?", (url,)).fetchone()
        if record.candidate is None or not found:
            continue
        issue = problems.quarantine_issue(record)
        db.execute("INSERT OR IGNORE INTO problem VALUES (?, ?, ?)", (found[0], issue.code, issue.severity.value))
        db.execute("INSERT INTO fact VALUES (?, 'quarantine', ?)", (found[0], msgspec.json.encode(record)))
        asset: Asset | None = index.asset(record.candidate.digest)
        if asset is not None:
            db.execute(
                "INSERT INTO fact VALUES (?, 'candidate', ?)", (found[0], msgspec.json.encode(ManifestEntry.of(asset)))
            )


def _mismatches(db: sqlite3.Connection) -> Iterator[tuple[int, str, str]]:
    """Yields the problems of all uses, errors first: only the first of each image and code is kept."""
    found = set[tuple[int, str, str]]()
    for number, held, width, height, *entry in db.execute(_MISMATCHES):
        actual = None if width is None else Size(width, height)
        for issue in problems.entry_issues(entry_of(*entry), actual, held=bool(held)):
            found.add((number, issue.code, issue.severity.value))
    yield from sorted(found, key=lambda row: row[2])
