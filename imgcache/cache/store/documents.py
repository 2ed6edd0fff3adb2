"""A single file beside `assets/`, for example manifest.json, that is replaced in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from imgcache.cache.store.merging import sha256
from imgcache.core import disk_errors, display_path, fsync_folder


class Document(Protocol):
    """One file of a store that is read and replaced as a whole.

    Attributes:
        where: names the file in messages.
    """

    where: str

    def version(self) -> str:
        """Returns a mark, in ASCII, that changes when the document is replaced; "" if there is none."""
        ...

    def read(self) -> bytes | None:
        """Returns the bytes of the document; None if there is none."""
        ...

    def replace(self, part: Path) -> bool:
        """Replaces the document by a local file, which is removed.

        Returns:
            False if the document already had exactly these bytes.

        Raises:
            DiskFull: it cannot be replaced; the present one stays.
        """
        ...


class LocalDocument:
    """A `Document` in the cache folder. Its mark consists of size, time and inode."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.where = display_path(file)

    def version(self) -> str:
        """Returns a mark that changes when the file is written; "" if there is no file."""
        try:
            found = self._file.lstat()
        except FileNotFoundError:
            return ""
        return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"

    def read(self) -> bytes | None:
        """Returns the file's bytes; None if there is no file."""
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, part: Path) -> bool:
        """Replaces the file by rename, so `part` must be on the file system of the cache. Raises DiskFull."""
        with disk_errors(self._file):
            if self._file.is_file() and not self._file.is_symlink() and sha256(part) == sha256(self._file):
                part.unlink()
                return False
            part.replace(self._file)
            fsync_folder(self._file.parent)
        return True
