"""A snapshot of a cache for the gallery: compact rows in a temporary SQLite file, read-only once it is filled.

Manifest and index are copied when they change, not read for each page: a page then costs one query, a concurrent sync
cannot make it inconsistent, and 100,000 images need no more memory than SQLite's page cache.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from array import array
from typing import Any, NamedTuple, TypeVar

import msgspec

from imgcache.core import Copy, Declared, Failure
from imgcache.manifest import ManifestEntry
from imgcache.policy import Health, QuarantineRecord
from imgcache.server.gallery.problems import DeclaredEntry
from imgcache.server.gallery.search import ANY_PROBLEM, PAGE, SORTS, Search

_T = TypeVar("_T")
MAX_PLACES = 200  # uses of one image on its page
_MAX_SEARCHES = 16  # with results in memory, 8 bytes an image
_MAX_HOSTS = 200  # in the list of hosts

SCHEMA = """
CREATE TABLE image (
  id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, host TEXT NOT NULL, words TEXT NOT NULL, state TEXT NOT NULL,
  width INTEGER, height INTEGER, bytes INTEGER, light INTEGER, color TEXT, thumb TEXT, thumb_width INTEGER,
  thumb_height INTEGER, uses INTEGER, time REAL, status INTEGER, code TEXT, severity TEXT, article TEXT);
CREATE TABLE fact (image INTEGER NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (image, kind));
CREATE TABLE problem (
  image INTEGER NOT NULL, code TEXT NOT NULL, severity TEXT NOT NULL, PRIMARY KEY (image, code)) WITHOUT ROWID;
CREATE TABLE article (id INTEGER PRIMARY KEY, path TEXT NOT NULL, words TEXT NOT NULL, title TEXT NOT NULL);
CREATE TABLE use (
  image INTEGER NOT NULL, article INTEGER NOT NULL, line INTEGER, column INTEGER, field TEXT, width INTEGER,
  height INTEGER, is_cached INTEGER, flaggable INTEGER);
CREATE TABLE site_issue (place TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL);
"""
INDEXES = """
CREATE INDEX use_image ON use (image);
CREATE INDEX use_article ON use (article, image);
CREATE INDEX problem_code ON problem (code);
"""
_TILE = (
    "url, host, state, width, height, bytes, light, color, thumb, thumb_width, thumb_height, uses,"
    " status, code, severity, article"
)
# Whether an article with the word in its path uses the image: from the articles if few match, else from the image.
_IN_FEW = "id IN (SELECT image FROM use WHERE article IN (SELECT id FROM article WHERE instr(words, ?)))"
_IN_MANY = (
    "EXISTS (SELECT 1 FROM use JOIN article ON article.id = use.article"
    " WHERE use.image = image.id AND instr(article.words, ?))"
)
_TOTALS = """
SELECT count(*), count(DISTINCT host), coalesce(sum(state = 'held'), 0), coalesce(sum(bytes), 0),
  coalesce(sum(coalesce(light, bytes)), 0) FROM image
"""


class Tile(NamedTuple):
    """One image in the grid. `light`: bytes of the version that a page would load. None: not cached, or not known."""

    url: str
    host: str
    state: str
    width: int | None
    height: int | None
    bytes: int | None
    light: int | None
    color: str | None
    thumb: str | None
    thumb_width: int | None
    thumb_height: int | None
    uses: int | None
    status: int | None  # of its server's response
    code: str | None  # of the worst problem
    severity: str | None
    article: str | None  # the title of the first article that uses it, or its path


class Totals(NamedTuple):
    """Totals: known images, their hosts, cached images, bytes of originals, bytes of the versions that pages load."""

    images: int
    hosts: int
    held: int
    before: int
    after: int


class UseRow(NamedTuple):
    """One use of an image, and what the article declares there. `title` is "" where it is not known."""

    article: str
    title: str
    line: int
    column: int
    field: str
    entry: DeclaredEntry


class SiteIssue(NamedTuple):
    """A problem of an article, or of one of the site's own files."""

    place: str
    code: str
    message: str


class SearchResult(NamedTuple):
    """One page of results, and the number of images that the search finds in all."""

    tiles: list[Tile]
    number: int


class ImageDetails(msgspec.Struct, frozen=True):
    """Everything known about one image. `uses`: the first ones, None without a catalogue; `use_count`: of all uses."""

    url: str
    host: str
    state: str
    entry: ManifestEntry | None
    copy: Copy | None
    failure: Failure | None
    health: Health | None
    quarantine: QuarantineRecord | None
    candidate: ManifestEntry | None
    uses: list[UseRow] | None
    use_count: int


class Overview(NamedTuple):
    """The values at the head of every page, counted over all images."""

    totals: Totals
    states: dict[str, int]
    problems: dict[str, int]
    images_with_problems: int
    hosts: list[str]
    site_issues: list[SiteIssue]
    notices: list[str]  # what could not be read


class GalleryDatabase:
    """One snapshot of a cache, for any number of threads. The file is deleted with the object."""

    def __init__(self, db: sqlite3.Connection, notices: list[str]) -> None:
        """`db` was filled by `load_gallery`; this object takes it over. `notices`: what could not be read."""
        self._db = db
        self._lock = threading.Lock()
        self._searches: dict[Search, array[int]] = {}
        weakref.finalize(self, db.close)
        self.overview = self._overview(notices)

    def _overview(self, notices: list[str]) -> Overview:
        states = dict(self._rows("SELECT state, count(*) FROM image GROUP BY state"))
        unused = self._rows("SELECT count(*) FROM image WHERE uses = 0")[0][0]
        hosts = self._rows("SELECT host FROM image GROUP BY host ORDER BY count(*) DESC, host LIMIT ?", _MAX_HOSTS)
        problems = self._rows("SELECT code, count(*) FROM problem GROUP BY code ORDER BY count(*) DESC, code")
        return Overview(
            totals=Totals(*self._rows(_TOTALS)[0]),
            states=states | ({"unused": unused} if unused else {}),
            problems=dict(problems),
            images_with_problems=self._rows("SELECT count(*) FROM image WHERE code IS NOT NULL")[0][0],
            hosts=sorted(host for (host,) in hosts if host),
            site_issues=[
                SiteIssue(*row) for row in self._rows("SELECT place, code, message FROM site_issue ORDER BY place")
            ],
            notices=notices,
        )

    def find(self, search: Search) -> SearchResult:
        """Returns one page of the images that a search finds."""
        found = self._found(search.changed())
        start = (search.page - 1) * PAGE
        page = found[start : start + PAGE].tolist()
        marks = ", ".join("?" * len(page))
        rows = self._rows(f"SELECT id, {_TILE} FROM image WHERE id IN ({marks})", *page)  # noqa: S608 (values are bound)
        tiles = {number: Tile(*row) for number, *row in rows}
        return SearchResult([tiles[number] for number in page], len(found))

    def _found(self, search: Search) -> array[int]:
        """Returns the ids of all images that a search finds, in order, and keeps them for its other pages."""
        known = self._searches.get(search)
        if known is None:
            where, values = self._where(search)
            query = f"SELECT id FROM image WHERE {where} ORDER BY {SORTS[search.sort].columns}, url"  # noqa: S608
            known = array("q", (number for (number,) in self._rows(query, *values)))
            while len(self._searches) >= _MAX_SEARCHES:
                self._searches.pop(next(iter(self._searches)), None)
            self._searches[search] = known
        return known

    def _where(self, search: Search) -> tuple[str, list[object]]:
        """Returns the condition of a search in SQL, and its values."""
        parts, values = ["1"], list[object]()
        for term in search.terms:
            in_articles, taken = self._in_articles(term)
            parts.append(f"(instr(words, ?) OR {in_articles})")
            values += [term, *taken]
        if search.state == "unused":
            parts.append("uses = 0")
        elif search.state:
            parts.append("state = ?")
            values.append(search.state)
        if search.problem == ANY_PROBLEM:
            parts.append("code IS NOT NULL")
        elif search.problem:
            parts.append("id IN (SELECT image FROM problem WHERE code = ?)")
            values.append(search.problem)
        if search.host:
            parts.append("host = ?")
            values.append(search.host)
        return " AND ".join(parts), values

    def _in_articles(self, term: str) -> tuple[str, list[object]]:
        """Returns the condition that an article with this word in its path uses the image."""
        ((matches, articles),) = self._rows("SELECT sum(instr(words, ?) > 0), count(*) FROM article", term)
        if not matches:
            return "0", []
        if matches == articles:
            return "uses > 0", []
        return (_IN_MANY if matches * 4 > articles else _IN_FEW), [term]

    def image(self, url: str) -> ImageDetails | None:
        """Returns everything known about one image, None if it is unknown."""
        rows = self._rows("SELECT id, host, state, uses FROM image WHERE url = ?", url)
        if not rows:
            return None
        number, host, state, uses = rows[0]
        facts = dict(self._rows("SELECT kind, value FROM fact WHERE image = ?", number))
        return ImageDetails(
            url=url,
            host=host,
            state=state,
            entry=_decoded(facts, "entry", ManifestEntry),
            copy=_decoded(facts, "copy", Copy),
            failure=_decoded(facts, "failure", Failure),
            health=_decoded(facts, "health", Health),
            quarantine=_decoded(facts, "quarantine", QuarantineRecord),
            candidate=_decoded(facts, "candidate", ManifestEntry),
            uses=None if uses is None else self._uses(number),
            use_count=uses or 0,
        )

    def neighbours(self, search: Search, url: str) -> tuple[str, str]:
        """Returns the URLs before and after an image in the order of a search; "" where there is none."""
        rows = self._rows("SELECT id FROM image WHERE url = ?", url)
        found = self._found(search.changed())
        if not rows or rows[0][0] not in found:
            return "", ""
        at = found.index(rows[0][0])
        beside = (found[at - 1] if at else None, found[at + 1] if at + 1 < len(found) else None)
        urls = dict(self._rows("SELECT id, url FROM image WHERE id IN (?, ?)", *beside))
        return urls.get(beside[0], ""), urls.get(beside[1], "")

    def _uses(self, image: int) -> list[UseRow]:
        rows = self._rows(
            "SELECT path, title, line, column, field, width, height, is_cached, flaggable FROM use"
            " JOIN article ON article.id = use.article WHERE image = ? ORDER BY path, line, column LIMIT ?",
            image,
            MAX_PLACES,
        )
        return [
            UseRow(path, title, line, column, field, entry_of(*entry))
            for path, title, line, column, field, *entry in rows
        ]

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def entry_of(width: int | None, height: int | None, flag: int | None, flaggable: int) -> DeclaredEntry:
    """Builds a declared entry from the columns of a row."""
    return DeclaredEntry(Declared(width, height), None if flag is None else bool(flag), bool(flaggable))


def _decoded(facts: dict[str, bytes], kind: str, type_: type[_T]) -> _T | None:
    value = facts.get(kind)
    return None if value is None else msgspec.json.decode(value, type=type_)
