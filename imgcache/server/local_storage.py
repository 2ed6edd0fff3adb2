"""A cache in a folder: files are opened without following links and identified by their bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from imgcache.cache import FILE_NAME
from imgcache.core import SNIFF_BYTES, ImageError, sniff
from imgcache.server.manifest_lines import Descriptor, ManifestLines, Stamp
from imgcache.server.negotiation import Candidate
from imgcache.server.storage import Blob, memory_share, missing
from imgcache.server.tuning import Tuning

_PATH = re.compile(rf"assets/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})/({FILE_NAME.pattern})")
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


class LocalStorage:
    """One cache folder. It waits for the disk in threads."""

    only_named = False
    max_large = 128  # open files
    retry = 0.0

    def __init__(self, folder: Path, memory: int, clock: Callable[[], float], tuning: Tuning) -> None:
        """`memory`: bytes for files; `clock`: monotonic, in seconds."""
        self.folder = folder
        self.manifest_interval = tuning.local_manifest_interval
        self.manifest_max_age = tuning.local_manifest_max_age
        self._manifest = folder / "manifest.json"
        self._found: Stamp | None = None  # of the latest check
        self._read: Stamp | None = None
        self._is_read = False
        self._each = memory_share(memory)
        self._clock = clock
        self._checked_for = tuning.local_file_for

    async def load(self, path: str, _named: Candidate | None, old: Blob | None) -> Blob:
        """Opens a file, or keeps `old` if the file has not changed."""
        if _PATH.fullmatch(path):
            try:
                return await asyncio.to_thread(self._open, path, old)
            except (OSError, ImageError):
                pass
        return missing(path, float("-inf"))

    def _open(self, path: str, old: Blob | None) -> Blob:
        file = _open_regular(self.folder, path)
        stamp = Stamp.of(os.fstat(file.number))
        if old is not None and old.stamp == stamp:
            old.expires_at = self._clock() + self._checked_for
            return old
        data = os.pread(file.number, stamp.size, 0) if stamp.size <= self._each else None
        kind = sniff(data[:SNIFF_BYTES] if data is not None else os.pread(file.number, SNIFF_BYTES, 0))
        return Blob(
            path,
            kind,
            size=stamp.size,
            etag=f'"{_digest(path, file.number, data)}"',
            expires_at=self._clock() + self._checked_for,
            data=data,
            file=file if data is None else None,
            stamp=stamp,
        )

    def is_manifest_unchanged(self) -> bool:
        """Whether the file is the one that was read last, by its stamp."""
        try:
            self._found = Stamp.of(self._manifest.stat())
        except OSError:
            self._found = None
        return self._is_read and self._found == self._read

    async def read_manifest(self) -> ManifestLines:
        """Reads manifest.json. Raises ConfigError."""
        self._is_read, self._read = True, self._found
        lines = await asyncio.to_thread(ManifestLines.read, self._manifest)
        self._read = lines.stamp
        return lines

    def close(self) -> None:
        """Does nothing: open files are closed with their blobs."""


def _open_regular(cache: Path, path: str) -> Descriptor:
    """Opens a file below assets/ without following links; assets/ itself may be one. Raises OSError."""
    assets, *folders, name = path.split("/")
    with ExitStack() as stack:
        number = os.open(cache / assets, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, number)
        for folder in folders:
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK, dir_fd=number)
            stack.callback(os.close, number)
        file = Descriptor(os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK, dir_fd=number))
    if not stat.S_ISREG(os.fstat(file.number).st_mode):
        raise OSError(f"{path} is not a regular file")
    return file


def _digest(path: str, number: int, data: bytes | None) -> str:
    """SHA-256 of the bytes. Large originals are not read: their digest is in the path, and `verify` checks it."""
    _, _, digest, name = path.split("/")
    if data is not None:
        return hashlib.sha256(data).hexdigest()
    if name.startswith("original."):
        return digest
    with open(number, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
