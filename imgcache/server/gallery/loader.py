"""Fills the gallery's shelf from manifest.json and the index, each of which may be missing or unreadable."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from imgcache.core import BROWSER_MEDIA_TYPES, Asset, ImgcacheError, Size, clean_text, host_if_any
from imgcache.manifest import ManifestEntry, ManifestVariant
from imgcache.server.gallery import problems
from imgcache.server.gallery.database import INDEXES, SCHEMA, GalleryDatabase, claim_of
from imgcache.server.gallery.sources import GallerySources, IndexView, entries

_BATCH = 1000
_AUTHORITY = re.compile(r"\s*(?:https?:)?//[^/\\?#]*", re.IGNORECASE)
LIGHT_WIDTH = 640  # pixels: what is compared with the original is the version that a page of this width would show
_THUMB_WIDTH = 240  # pixels that a tile of the grid needs

_PUT_IMAGE = "INSERT OR IGNORE INTO image VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, NULL)"
_PUT_WAITING = """
INSERT OR IGNORE INTO image (url, host, words, state)
SELECT url, host, '', 'waiting' FROM catalogue.image WHERE kind = 'remote'
"""
_PUT_USES = """
INSERT INTO use SELECT s.id, r.article, r.line, r.column, r.field, r.width, r.height, r.is_cached, r.flaggable
FROM catalogue.reference r JOIN catalogue.image i ON i.id = r.image JOIN image s ON s.url = i.url
WHERE i.kind = 'remote'
"""
_PUT_REMARKS = """
INSERT INTO remark SELECT path || ':' || line || ':' || column, code, message FROM catalogue.article
WHERE code IS NOT NULL
UNION ALL SELECT url, code, message FROM catalogue.image WHERE kind = 'own' AND code IS NOT NULL
"""
_FALSE_CLAIMS = """
SELECT i.id, i.state = 'held', i.width, i.height, u.width, u.height, u.is_cached, u.flaggable
FROM use u JOIN image i ON i.id = u.image
WHERE coalesce(u.is_cached, 0) AND i.state != 'held'
  OR u.flaggable AND NOT coalesce(u.is_cached, 0) AND i.state = 'held'
  OR i.width IS NOT NULL AND (coalesce(u.width, i.width) != i.width OR coalesce(u.height, i.height) != i.height)
"""
# The worst of each image: `error` comes before `warning` in the alphabet.
_WORST = """
UPDATE image SET (code, severity) = (
  SELECT code, severity FROM problem WHERE problem.image = image.id ORDER BY severity, code LIMIT 1)
WHERE id IN (SELECT image FROM problem)
"""


def load_gallery(sources: GallerySources, now: float) -> GalleryDatabase:
    """A shelf with all that can be read now. `now`: seconds since the epoch. What cannot be read becomes a notice."""
    notices: list[str] = []
    with ExitStack() as undo:
        # A database without a name is a file without a name: SQLite keeps it in memory while it is small.
        db = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
        undo.callback(db.close)
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -16000")  # kB
        db.executescript(SCHEMA)
        try:
            db.execute("BEGIN")
            _put_entries(db, sources)
            db.execute("COMMIT")
        except ImgcacheError as error:
            db.execute("COMMIT")
            notices.append(f"The manifest is not shown in full: {error}")
        _put_catalogue(db, sources, notices)
        _put_records(db, sources, now, notices)
        db.execute("BEGIN")
        db.executemany("INSERT OR IGNORE INTO problem VALUES (?, ?, ?)", _false_claims(db))
        db.execute(_WORST)
        db.execute("COMMIT")
        db.executescript(INDEXES)
        undo.pop_all()
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
    """Without its placeholder, which no page shows and which is a third of the whole."""
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
    """The lightest file that is sharp in a tile; None where no browser shows what there is."""
    wide = [one for one in candidates(entry) if one.width >= _THUMB_WIDTH]
    if wide:
        return min(wide, key=lambda one: (one.width, one.bytes))
    return max(candidates(entry), key=lambda one: (one.width, -one.bytes), default=None)


def for_page(entry: ManifestEntry) -> ManifestVariant | None:
    """The lightest file for a page `LIGHT_WIDTH` wide: the narrowest at least as wide, else the widest."""
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
    """Articles and uses; without a catalogue, uses are not known."""
    if not sources.catalogue.is_file():
        return
    try:
        db.execute("ATTACH ? AS catalogue", (f"{sources.catalogue.resolve().as_uri()}?mode=ro",))
        try:
            _copy_catalogue(db)
        finally:
            db.execute("DETACH catalogue")
    except sqlite3.DatabaseError as error:
        notices.append(
            f"Where images are used is not known now: catalogue.db cannot be read ({clean_text(str(error))})"
        )


def _copy_catalogue(db: sqlite3.Connection) -> None:
    db.execute("BEGIN")
    try:
        db.execute(_PUT_WAITING)
        new = db.execute("SELECT id, url, host FROM image WHERE words = ''").fetchall()
        db.executemany(
            "UPDATE image SET words = ? WHERE id = ?", ((_words(url, host), number) for number, url, host in new)
        )
        articles = db.execute("SELECT id, path FROM catalogue.article")
        db.executemany("INSERT INTO article VALUES (?, ?, ?)", ((n, path, path.casefold()) for n, path in articles))
        db.execute(_PUT_USES)
        db.execute(_PUT_REMARKS)
        db.execute("UPDATE image SET uses = 0")
        counts = db.execute("SELECT count(*), image FROM use GROUP BY image").fetchall()
        db.executemany("UPDATE image SET uses = ? WHERE id = ?", counts)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _put_records(db: sqlite3.Connection, sources: GallerySources, now: float, notices: list[str]) -> None:
    """Times, failures and doubts; without an index, none is known."""
    if not sources.records.is_file():
        return
    index = IndexView(sources.records)
    db.execute("BEGIN")
    try:
        _put_copies(db, index)
        _put_failures(db, index, now)
        _put_doubts(db, index)
        for url in index.forgotten_urls():
            db.execute("UPDATE image SET state = 'forgotten' WHERE url = ? AND state != 'held'", (url,))
    except ImgcacheError as error:
        db.execute("ROLLBACK")
        notices.append(f"Times and failures are not known now: {error}")
    else:
        db.execute("COMMIT")


def _put_copies(db: sqlite3.Connection, index: IndexView) -> None:
    db.execute("CREATE TABLE copied (url TEXT, time REAL, value BLOB)")
    rows = ((url, copy.fetched_at, msgspec.json.encode(copy)) for url, copy in index.copies())
    db.executemany("INSERT INTO copied VALUES (?, ?, ?)", rows)
    db.execute("INSERT INTO fact SELECT i.id, 'copy', c.value FROM copied c JOIN image i ON i.url = c.url")
    db.execute("UPDATE image SET time = c.time FROM copied c WHERE c.url = image.url")
    db.execute("DROP TABLE copied")


def _put_failures(db: sqlite3.Connection, index: IndexView, now: float) -> None:
    healths = dict(index.healths())
    for url, failure in index.failures():
        found = db.execute("SELECT id, state = 'held' FROM image WHERE url = ?", (url,)).fetchone()
        if not found:  # no article names it any more
            continue
        number, held = found
        past = healths.get(url)
        wrong = problems.of_failure(failure, past, now, held=bool(held))
        db.execute("INSERT INTO problem VALUES (?, ?, ?)", (number, wrong.code, wrong.severity.value))
        db.execute("INSERT INTO fact VALUES (?, 'failure', ?)", (number, msgspec.json.encode(failure)))
        if past is not None:
            db.execute("INSERT INTO fact VALUES (?, 'health', ?)", (number, msgspec.json.encode(past)))
        db.execute("UPDATE image SET status = ? WHERE id = ?", (failure.status, number))
        if not held:
            db.execute("UPDATE image SET state = 'failing', time = ? WHERE id = ?", (failure.last_at, number))


def _put_doubts(db: sqlite3.Connection, index: IndexView) -> None:
    for url, doubt in index.doubts():
        found = db.execute("SELECT id FROM image WHERE url = ?", (url,)).fetchone()
        if doubt.candidate is None or not found:
            continue
        wrong = problems.of_doubt(doubt)
        db.execute("INSERT OR IGNORE INTO problem VALUES (?, ?, ?)", (found[0], wrong.code, wrong.severity.value))
        db.execute("INSERT INTO fact VALUES (?, 'doubt', ?)", (found[0], msgspec.json.encode(doubt)))
        asset: Asset | None = index.asset(doubt.candidate.digest)
        if asset is not None:
            db.execute(
                "INSERT INTO fact VALUES (?, 'candidate', ?)", (found[0], msgspec.json.encode(ManifestEntry.of(asset)))
            )


def _false_claims(db: sqlite3.Connection) -> Iterator[tuple[int, str, str]]:
    """Every entry of an article that is not so. Errors first, for the first of an image and code is kept."""
    found = set[tuple[int, str, str]]()
    for number, held, width, height, *claim in db.execute(_FALSE_CLAIMS):
        true = None if width is None else Size(width, height)
        for wrong in problems.of_claim(claim_of(*claim), true, held=bool(held)):
            found.add((number, wrong.code, wrong.severity.value))
    yield from sorted(found, key=lambda row: row[2])
