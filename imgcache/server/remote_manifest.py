"""Copies manifest.json out of an object store whenever its etag has changed."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path

from imgcache.cache import FileInfo
from imgcache.core import ConfigError, disk_errors
from imgcache.server.manifest_lines import ManifestLines
from imgcache.server.upstream import Unavailable, Upstream

_NAME = "manifest.json"
_TRIES = 3


class RemoteManifest:
    """The manifest.json of one object store.

    Attributes:
        folder: a temporary folder, private to this object, with the copy.
        close: removes the folder; called at the end of the process, unless a signal kills it.
    """

    def __init__(self, upstream: Upstream, piece: int) -> None:
        """`piece`: bytes in one request. Raises ConfigError: there is no folder for temporary files."""
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="imgcache-serve-"))
        except OSError as error:
            message = f"no folder for temporary files ({error.strerror}): set it to a folder that can be written"
            raise ConfigError(message, where="TMPDIR") from None
        self.close = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._upstream = upstream
        self._piece = piece
        self._file = self.folder / _NAME
        self._part = self._file.with_suffix(".part")
        self._etag: str | None = None

    async def read(self) -> ManifestLines | None:
        """Returns the manifest with its digests indexed; None where its etag has not changed.

        Raises:
            ConfigError: there is none, or it cannot be read.
            DiskFull: the folder for temporary files cannot be written.
            Unavailable: the store does not answer.
        """
        found = await self._upstream.ask(self._upstream.store.metadata, _NAME)
        if self._etag is not None and (found.etag if found else "") == self._etag:
            return None
        try:
            found, digest = await self._copy(found)
            lines = await asyncio.to_thread(_indexed, self._file, digest)
        except Unavailable:
            raise
        except Exception:  # the same object would fail again
            self._etag = found.etag if found else ""
            raise
        self._etag = found.etag
        return lines

    async def _copy(self, found: FileInfo | None) -> tuple[FileInfo, str]:
        """Copies the object in pieces; returns what was copied, and its SHA-256 in hex. Raises as `read` does."""
        for _ in range(_TRIES):
            if found is None or not found.bytes:
                raise ConfigError("the object store has none, or an empty one: run sync to write it", where=_NAME)
            try:
                digest = await self._copy_pieces(found.bytes)
            except Unavailable:  # also where the object is shorter by now, so that a piece is beyond its end
                digest = ""
            again = await self._upstream.ask(self._upstream.store.metadata, _NAME)
            if digest and again == found:  # so that all pieces are of one object
                with disk_errors(self._file):
                    self._part.replace(self._file)
                return found, digest
            found = again
        raise Unavailable(f"{_NAME} cannot be read, or is replaced faster than it is read")

    async def _copy_pieces(self, size: int) -> str:
        hashing = hashlib.sha256()
        for start in range(0, size, self._piece):
            hashing.update(await self._upstream.ask(self._copy_piece, start, min(start + self._piece, size)))
        return hashing.hexdigest()

    def _copy_piece(self, start: int, end: int) -> bytes:
        piece = self._upstream.store.read(_NAME, start, end) or b""
        with disk_errors(self._part), self._part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.write(piece)
        return piece


def _indexed(file: Path, digest: str) -> ManifestLines:
    try:
        lines = ManifestLines.read(file, etag=f'"{digest}"')
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(file.parent), "the object store")) from None
    lines.index_digests()
    return lines
