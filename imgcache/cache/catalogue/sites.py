"""Records which sites a catalogue describes: one cache may hold the images of several sites.

Sites that a command names together share one catalogue, where an article's path begins with the root of its site. A
site may be in several catalogues, if it is used alone and with others: the one that was scanned last counts.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from imgcache.cache.catalogue.database import Database
from imgcache.cache.catalogue.schema import VERSION
from imgcache.core import Place

FIRST_CATALOGUE = "catalogue.db"
FURTHER = "sites"  # the folder of all catalogues but the first
_BUILT = "/."  # at the end of the name of a built folder: another name for the same folder
_SITES, _SCANNED = "sites", "scanned"  # keys of the table `meta`


class SiteMember(msgspec.Struct, frozen=True):
    """One site of a catalogue: its root relative to the cache's folder, and the prefix of its articles' paths."""

    name: str
    prefix: str = ""


_members = msgspec.json.Decoder(tuple[SiteMember, ...])


class SiteTables:
    """The sites of one open catalogue, and the time of its last scan."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._scan_time: float | None = None
        self._is_only = False

    def record(self, members: Sequence[SiteMember], now: float, *, is_only: bool) -> None:
        """Records the sites of the catalogue.

        Args:
            members: the sites.
            now: the time of the scan that follows, in seconds.
            is_only: the cache has no other catalogue: then the time of its first scan is kept, and a run with nothing
                to do writes nothing.
        """
        self._scan_time, self._is_only = now, is_only
        if _read(self._db, _SITES) != (encoded := _encode(members)):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_SITES, encoded))

    def mark_scanned(self) -> None:
        """Records that all articles were scanned. Call it in the transaction of the scan."""
        if self._scan_time is not None:
            verb = "IGNORE" if self._is_only else "REPLACE"
            self._db.execute(f"INSERT OR {verb} INTO meta VALUES (?, ?)", (_SCANNED, str(self._scan_time)))  # noqa: S608


class Unreadable(NamedTuple):
    """An article of another site that could not be read at its last scan. The path is relative to that site."""

    name: str
    path: str
    message: str
    line: int
    column: int


class _Other(msgspec.Struct):
    """An open catalogue of other sites. `scanned` is in seconds; 0 if it does not have all their articles."""

    db: sqlite3.Connection
    scanned: float
    members: tuple[SiteMember, ...]

    def places(self, url: str) -> Iterator[tuple[str, Place]]:
        """Everywhere that an article of its sites names a URL: the site, and the place with a path relative to it."""
        rows = self.db.execute(
            "SELECT a.path, r.line, r.column, r.field FROM image i JOIN reference r ON r.image = i.id"
            " JOIN article a ON a.id = r.article WHERE i.url = ? ORDER BY a.path, r.line, r.column",
            (url,),
        ).fetchall()
        for member in self.members:
            for path, *rest in rows:
                if path.startswith(member.prefix):
                    yield member.name, Place(path.removeprefix(member.prefix), *rest)

    def uses(self, url: str) -> bool:
        query = (
            "SELECT 1 FROM image i JOIN reference r ON r.image = i.id JOIN article a ON a.id = r.article"
            " WHERE i.url = ?1 AND substr(a.path, 1, length(?2)) = ?2 LIMIT 1"
        )
        return any(self.db.execute(query, (url, member.prefix)).fetchone() for member in self.members)


class OtherSites:
    """The images that other sites of a cache use, as of the last scan of each. A context manager.

    Attributes:
        damaged: catalogues that cannot be read, not even the names of their sites.
    """

    def __init__(self, folder: Path, names: frozenset[str], *, without: Iterable[str] = ()) -> None:
        """Prepares the list; the catalogues are opened on entry.

        Args:
            folder: the cache's `index/`, or a copy of it.
            names: the sites of the command, which are not other sites.
            without: other sites that are ignored.
        """
        self._folder = folder
        self._own = names
        self._without = frozenset(without)
        self._others: list[_Other] = []
        self.damaged: list[Path] = []

    def __enter__(self) -> Self:
        own = catalogue_file(self._folder, self._own)
        for file in catalogue_files(self._folder):
            if file != own:
                self._open(file)
        latest: dict[str, float] = {}
        for other in self._others:
            for member in other.members:
                latest[member.name] = max(other.scanned, latest.get(member.name, 0))
        for other in self._others:
            current = {name for name, scanned in latest.items() if scanned == other.scanned} - self._own
            other.members = tuple(member for member in other.members if member.name in current)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for other in self._others:
            other.db.close()

    def _open(self, file: Path) -> None:
        db = sqlite3.connect(file, isolation_level=None)
        try:
            members = _members.decode(_read(db, _SITES) or "")
            members = tuple(member for member in members if member.name not in self._without)
            scanned = float(_read(db, _SCANNED) or 0)
            is_ours = db.execute("PRAGMA user_version").fetchone()[0] == VERSION
        except (sqlite3.DatabaseError, msgspec.DecodeError):
            db.close()
            self.damaged.append(file)
        else:
            self._others.append(_Other(db, scanned if is_ours else 0, members))

    @property
    def names(self) -> list[str]:
        """The names of the other sites, sorted."""
        return sorted({member.name for other in self._others for member in other.members})

    @property
    def unknown(self) -> list[str]:
        """The names of sites whose images are not known: not scanned completely, or by another version of imgcache."""
        return sorted({member.name for other in self._others if not other.scanned for member in other.members})

    def is_used(self, url: str) -> bool:
        """Returns whether an article of another site uses the URL."""
        return any(other.uses(url) for other in self._others)

    def places(self, url: str) -> Iterator[tuple[str, Place]]:
        """Everywhere that another site names a URL: the site, and the place with a path relative to it."""
        for other in self._others:
            yield from other.places(url)

    def unreadable(self) -> Iterator[Unreadable]:
        """Yields each article of another site that could not be read."""
        for other in self._others:
            rows = other.db.execute("SELECT path, message, line, column FROM article WHERE code IS NOT NULL").fetchall()
            for member in other.members:
                for path, *rest in sorted(rows):
                    if path.startswith(member.prefix):
                        yield Unreadable(member.name, path.removeprefix(member.prefix), *rest)


def catalogue_file(folder: Path, names: frozenset[str]) -> Path:
    """Returns the path of the catalogue of these sites, which may not exist yet.

    Other readers know the name of the first catalogue of a cache. A set of sites that includes its own takes it over.

    Args:
        folder: the cache's `index/`, or a copy of it.
        names: of the sites, as in `SiteMember`.
    """
    further = further_file(folder, names)
    if further.is_file():
        return further
    first = _names(folder / FIRST_CATALOGUE)
    return folder / FIRST_CATALOGUE if first is None or first <= names else further


def further_file(folder: Path, names: frozenset[str]) -> Path:
    """Returns the path of the catalogue of these sites if it is not the first one of the cache."""
    digest = hashlib.sha256(msgspec.json.encode(sorted(names))).hexdigest()
    return folder / FURTHER / f"{digest[:32]}.db"


def catalogue_files(folder: Path) -> list[Path]:
    """Returns every existing catalogue of a cache."""
    first = folder / FIRST_CATALOGUE
    return [*([first] if first.is_file() else []), *sorted((folder / FURTHER).glob("*.db"))]


def built_name(name: str) -> str:
    """Returns the catalogue's name for the built pages of a folder, which may also be a site with articles."""
    return name + _BUILT


def is_built(name: str) -> bool:
    """Whether a name is that of a built folder."""
    return name.endswith(_BUILT)


def built_catalogues(folder: Path) -> list[tuple[Path, str]]:
    """Each catalogue of a built folder, with the name of that folder."""
    found = ((file, _names(file) or ()) for file in catalogue_files(folder))
    return [(file, name) for file, names in found for name in names if is_built(name)]


def is_latest_catalogue(folder: Path, file: Path) -> bool:
    """Returns whether no other catalogue was scanned after this one: then no other command has run since."""
    own = _scanned(file)
    return all(_scanned(other) <= own for other in catalogue_files(folder) if other != file)


def scan_time(folder: Path, now: float) -> float:
    """Returns the time to record for a scan that begins now: later than all others, even if the clock was set back.

    Otherwise an older catalogue would count for a site, and gc would remove images that its articles use now.
    """
    latest = max((_scanned(file) for file in catalogue_files(folder)), default=0.0)
    return max(now, math.nextafter(latest, math.inf)) if latest else now


def forget_site(folder: Path, name: str) -> bool:
    """Removes one site from every catalogue of a cache. Returns whether any had it."""
    was_known = False
    for file in catalogue_files(folder):
        db = sqlite3.connect(file, isolation_level=None)
        try:
            members = _members.decode(_read(db, _SITES) or "")
            left = [member for member in members if member.name != name]
            if len(left) < len(members):
                was_known = True
                db.execute("UPDATE meta SET value = ? WHERE key = ?", (_encode(left), _SITES))
        except (sqlite3.DatabaseError, msgspec.DecodeError):  # its sites cannot be read
            continue
        finally:
            db.close()
        if not left:
            for end in ("", "-wal", "-shm"):
                file.with_name(file.name + end).unlink(missing_ok=True)
    return was_known


def _names(file: Path) -> frozenset[str] | None:
    """Returns the sites of a catalogue; None if there is no such file, or it does not name them."""
    if not file.is_file():
        return None
    db = sqlite3.connect(file, isolation_level=None)
    try:
        return frozenset(member.name for member in _members.decode(_read(db, _SITES) or ""))
    except (sqlite3.DatabaseError, msgspec.DecodeError):
        return None
    finally:
        db.close()


def _scanned(file: Path) -> float:
    """Returns when a catalogue was last scanned, in seconds; 0 if that is unknown."""
    if not file.is_file():
        return 0
    db = sqlite3.connect(file, isolation_level=None)
    try:
        return float(_read(db, _SCANNED) or 0)
    except sqlite3.DatabaseError:
        return 0
    finally:
        db.close()


def _encode(members: Sequence[SiteMember]) -> str:
    return msgspec.json.encode(sorted(members, key=lambda member: member.name)).decode()


def _read(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])
