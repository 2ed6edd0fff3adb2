"""Whose articles the catalogues of a cache speak of: one cache may hold the images of several sites.

The sites that a command names together have one catalogue, where an article's path begins with the root of its site. A
site may stand in several, if it is named now alone and now with others: the one that was scanned last speaks for it.
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

from imgcache.cache.catalogue.schema import VERSION, Tables
from imgcache.core import Place

FIRST_CATALOGUE = "catalogue.db"
FURTHER = "sites"  # the folder of all catalogues but one
_BUILT = "/."  # at the end of the name of a built folder: another name for the same folder
_SITES, _SCANNED = "sites", "scanned"  # keys of the table `meta`


class SiteMember(msgspec.Struct, frozen=True):
    """One site of a catalogue: its root relative to the cache's folder, and what paths of its articles begin with."""

    name: str
    prefix: str = ""


_members = msgspec.json.Decoder(tuple[SiteMember, ...])


class SiteTables(Tables):
    """What a catalogue says of whose it is."""

    _scan_time: float | None = None
    _is_only = False

    def sign(self, members: Sequence[SiteMember], now: float, *, is_only: bool) -> None:
        """Record whose articles it is for.

        Args:
            members: the sites.
            now: when the scan that follows is made, in seconds.
            is_only: the cache has no other catalogue: then the time of its first scan will do, and a run with nothing
                to do writes nothing.
        """
        self._scan_time, self._is_only = now, is_only
        if _read(self._db, _SITES) != (said := _encode(members)):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_SITES, said))

    def mark_scanned(self) -> None:
        """Record that it has the articles as they are; belongs into the transaction of the scan."""
        if self._scan_time is not None:
            verb = "IGNORE" if self._is_only else "REPLACE"
            self._db.execute(f"INSERT OR {verb} INTO meta VALUES (?, ?)", (_SCANNED, str(self._scan_time)))  # noqa: S608


class Unreadable(NamedTuple):
    """An article of another site that could not be read at its last scan; the path is relative to that site."""

    name: str
    path: str
    message: str
    line: int
    column: int


class _Other(msgspec.Struct):
    """An open catalogue of other sites. `scanned` is in seconds, 0 where it does not have all their articles."""

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
    """What the other sites of a cache use, as of the last scan of each. Use it in a `with`.

    Attributes:
        damaged: catalogues of which nothing can be read, not even whose they are.
    """

    def __init__(self, folder: Path, names: frozenset[str], *, without: Iterable[str] = ()) -> None:
        """The sites of a cache.

        Args:
            folder: the cache's `index/`, or a copy of it.
            names: the sites that are no others.
            without: others that need no image any more, and are passed over.
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
            speaks = {name for name, scanned in latest.items() if scanned == other.scanned} - self._own
            other.members = tuple(member for member in other.members if member.name in speaks)
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
        """The other sites, sorted."""
        return sorted({member.name for other in self._others for member in other.members})

    @property
    def unknown(self) -> list[str]:
        """Those whose use is not known: never scanned to the end, or by another version of imgcache."""
        return sorted({member.name for other in self._others if not other.scanned for member in other.members})

    def is_used(self, url: str) -> bool:
        """Whether an article of another site names the URL."""
        return any(other.uses(url) for other in self._others)

    def places(self, url: str) -> Iterator[tuple[str, Place]]:
        """Everywhere that another site names a URL: the site, and the place with a path relative to it."""
        for other in self._others:
            yield from other.places(url)

    def unreadable(self) -> Iterator[Unreadable]:
        """Each article of another site that could not be read."""
        for other in self._others:
            rows = other.db.execute("SELECT path, message, line, column FROM article WHERE code IS NOT NULL").fetchall()
            for member in other.members:
                for path, *rest in sorted(rows):
                    if path.startswith(member.prefix):
                        yield Unreadable(member.name, path.removeprefix(member.prefix), *rest)


def catalogue_file(folder: Path, names: frozenset[str]) -> Path:
    """Where the catalogue of these sites is, or is to be.

    The first one of a cache has the name that other readers know. It goes over to sites that include its own.

    Args:
        folder: the cache's `index/`, or a copy of it.
        names: of the sites, as `Member` has them.
    """
    further = further_file(folder, names)
    if further.is_file():
        return further
    held = _names(folder / FIRST_CATALOGUE)
    return folder / FIRST_CATALOGUE if held is None or held <= names else further


def further_file(folder: Path, names: frozenset[str]) -> Path:
    """Where the catalogue of these sites is if it is not the first one of the cache."""
    digest = hashlib.sha256(msgspec.json.encode(sorted(names))).hexdigest()
    return folder / FURTHER / f"{digest[:32]}.db"


def catalogue_files(folder: Path) -> list[Path]:
    """Every catalogue of a cache that is there."""
    home = folder / FIRST_CATALOGUE
    return [*([home] if home.is_file() else []), *sorted((folder / FURTHER).glob("*.db"))]


def built_name(name: str) -> str:
    """The name of what a generator built in a folder, beside the articles of a site that lies there."""
    return name + _BUILT


def is_built(name: str) -> bool:
    """Whether a name is that of a built folder."""
    return name.endswith(_BUILT)


def built_catalogues(folder: Path) -> list[tuple[Path, str]]:
    """Each catalogue of a built folder, with the name of that folder."""
    found = ((file, _names(file) or ()) for file in catalogue_files(folder))
    return [(file, name) for file, names in found for name in names if is_built(name)]


def is_latest_catalogue(folder: Path, file: Path) -> bool:
    """Whether no other catalogue of a cache was scanned after this one: then no other command was at work since."""
    own = _scanned(file)
    return all(_scanned(other) <= own for other in catalogue_files(folder) if other != file)


def scan_time(folder: Path, now: float) -> float:
    """The time that a scan which begins now is recorded with: later than every other, also if the clock was set back.

    Else an older catalogue would speak for a site, and gc would take what its articles name now for unused.
    """
    latest = max((_scanned(file) for file in catalogue_files(folder)), default=0.0)
    return max(now, math.nextafter(latest, math.inf)) if latest else now


def forget_site(folder: Path, name: str) -> bool:
    """Let every catalogue of a cache forget one site; whether any knew it."""
    was_known = False
    for file in catalogue_files(folder):
        db = sqlite3.connect(file, isolation_level=None)
        try:
            members = _members.decode(_read(db, _SITES) or "")
            left = [member for member in members if member.name != name]
            if len(left) < len(members):
                was_known = True
                db.execute("UPDATE meta SET value = ? WHERE key = ?", (_encode(left), _SITES))
        except (sqlite3.DatabaseError, msgspec.DecodeError):  # whose it is cannot be known
            continue
        finally:
            db.close()
        if not left:
            for end in ("", "-wal", "-shm"):
                file.with_name(file.name + end).unlink(missing_ok=True)
    return was_known


def _names(file: Path) -> frozenset[str] | None:
    """Whose a catalogue is; None where it is not there, or does not say."""
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
    """When a catalogue was last scanned; 0 where that is not known."""
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
