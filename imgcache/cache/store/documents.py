"""A single file beside `assets/`, such as manifest.json, replaced in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from imgcache.cache.store.merging import sha256
from imgcache.core import disk_errors, display_path, fsync_folder


class Document(Protocol):
    """One file of a store that is read and replaced as a whole. `where` names it in messages."""

    where: str

    def mark(self) -> str:
        """Another one, in ASCII, whenever the document was replaced; "" where there is none."""
        ...

    def read(self) -> bytes | None:
        """Its bytes; None where there is none."""
        ...

    def replace(self, part: Path) -> bool:
        """Puts a local file in its place and takes that file away; False if it had these very bytes already.

        Raises:
            DiskFull: it cannot be replaced; the one that is there stays.
        """
        ...


class LocalDocument:
    """A `Document` in the cache folder. Its mark is of size, time and inode."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.where = display_path(file)

    def mark(self) -> str:
        """Another one whenever the file was written; "" where there is none."""
        try:
            found = self._file.lstat()
        except FileNotFoundError:
            return ""
        return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"

    def read(self) -> bytes | None:
        """The file's bytes."""
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, part: Path) -> bool:
        """By rename, so `part` is on the file system of the cache. Raises DiskFull."""
        with disk_errors(self._file):
            if self._file.is_file() and not self._file.is_symlink() and sha256(part) == sha256(self._file):
                part.unlink()
                return False
            part.replace(self._file)
            fsync_folder(self._file.parent)
        return True
