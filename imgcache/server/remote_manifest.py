"""What can be served out of an object store: its manifest.json, copied here, and looked for again by its etag."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

from imgcache.cache import FileInfo
from imgcache.core import ConfigError, DiskFull, disk_errors
from imgcache.server.manifest_lines import ManifestLines
from imgcache.server.manifest_view import ManifestView, ManifestWatcher
from imgcache.server.upstream import Unavailable, Upstream

_NAME = "manifest.json"
_LOOK_EVERY = 2.0  # seconds: a request each, while somebody asks this server for something
_STALE_AFTER = 10.0
_PIECE = 8_000_000  # bytes of manifest.json in one request, which is small enough for the time that one may take
_TRIES = 3
_logger = logging.getLogger("imgcache.server")


class RemoteLibrary(ManifestWatcher):
    """Gives the view to answer from. While the store gives no answer it is the last one.

    Attributes:
        folder: a temporary one, private to this object, with the copy of manifest.json.
        edition: another number for each view.
        close: removes the folder. Called by itself at the end of the process, unless a signal ends that.
    """

    def __init__(self, upstream: Upstream, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that only go forward. Raises ConfigError: there is no place for temporary files."""
        self.folder = _folder()
        self.close = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        super().__init__(self.folder, clock, look_every=_LOOK_EVERY, stale_after=_STALE_AFTER)
        self._upstream = upstream
        self._etag: str | None = None
        self.edition = 0

    async def view(self) -> ManifestView:
        """The newest view, where that was right a moment ago: else waits for the look that has begun."""
        return self.at_hand() or await super().view()

    def _look(self, now: float) -> None:
        self._looked_at = self._reading_since = now
        self._reading = asyncio.ensure_future(self._refresh())

    async def _refresh(self) -> None:
        try:
            found = await self._upstream.ask(self._upstream.store.look, _NAME)
            if self._etag is None or (found.etag if found else "") != self._etag:
                await self._take(found)
        except Unavailable:
            self.unreachable = True
        else:
            if self.unreachable:
                _logger.warning("the object store answers again")
            self.unreachable = False
        finally:
            self._is_read = True
            self._confirmed_at = self._clock()
            self._reading = None

    async def _take(self, found: FileInfo | None) -> None:
        """The view of another manifest.json; where it cannot be read, the one before it stays, as in a folder."""
        try:
            found, digest = await self._copy(found)
            lines = await asyncio.to_thread(_indexed, self._file, digest)
        except (ConfigError, DiskFull) as error:
            self._cannot_read(str(error).replace(str(self.folder), "the object store"))
        else:
            self._view, self.trouble = ManifestView(lines), None
            self.edition += 1
        self._etag = found.etag if found else ""

    async def _copy(self, found: FileInfo | None) -> tuple[FileInfo, str]:
        """Brings the object here, in pieces; gives what was brought, and its SHA-256 in hex.

        Raises:
            ConfigError: there is none.
            DiskFull: the folder for temporary files cannot be written.
            Unavailable: the store gives no answer, or another object each time.
        """
        for _ in range(_TRIES):
            if found is None or not found.bytes:
                raise ConfigError("the object store has none, or an empty one: run sync to write it", where=_NAME)
            try:
                digest = await self._pieces(found.bytes)
            except Unavailable:  # also where it is shorter by now, so that a piece lies beyond its end
                digest = ""
            again = await self._upstream.ask(self._upstream.store.look, _NAME)
            if digest and again == found:  # so that all pieces are of one object
                with disk_errors(self._file):
                    self._part.replace(self._file)
                return found, digest
            found = again
        raise Unavailable(f"{_NAME} cannot be read, or is replaced faster than it is read")

    async def _pieces(self, size: int) -> str:
        hashing = hashlib.sha256()
        for start in range(0, size, _PIECE):
            hashing.update(await self._upstream.ask(self._bring, start, min(start + _PIECE, size)))
        return hashing.hexdigest()

    @property
    def _part(self) -> Path:
        return self._file.with_suffix(".part")

    def _bring(self, start: int, end: int) -> bytes:
        piece = self._upstream.store.read(_NAME, start, end) or b""
        with disk_errors(self._part), self._part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.write(piece)
        return piece


def _folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="imgcache-serve-"))
    except OSError as error:
        raise ConfigError(f"no folder for temporary files ({error.strerror}): name one", where="TMPDIR") from None


def _indexed(file: Path, digest: str) -> ManifestLines:
    lines = ManifestLines.read(file, etag=f'"{digest}"')
    lines.index_digests()
    return lines
