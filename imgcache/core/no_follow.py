"""Creates and changes files and folders without following symbolic links.

A name that another program created, before or during a write, can be a link to any file of this user. So new files are
created with O_EXCL and O_NOFOLLOW (open(2)), and folders below a root are opened one by one, each by its name in its
parent. The root itself may be a link, because the user named it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_new(path: str | Path, mode: int = 0o666, *, folder: int | None = None) -> int:
    """Create a file for writing and return its descriptor.

    Args:
        path: of the file; relative to `folder` where that is given.
        mode: its permissions, before the umask.
        folder: descriptor of a folder.

    Raises:
        FileExistsError: the name exists, even as a dangling link.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)


def touch(path: Path) -> None:
    """Create an empty file if there is none. Raises OSError if the name is a link."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))


class OutputFolder:
    """A folder to write into, used in a `with` block. Names are relative to it and never followed through a link.

    Every method raises NotADirectoryError where a folder on the way is a link or anything else.
    """

    def __init__(self, path: Path) -> None:
        """`path` is created if it is missing."""
        self._path = path
        self._number = -1

    def __enter__(self) -> Self:
        self._path.mkdir(parents=True, exist_ok=True)
        self._number = os.open(self._path, _FOLDER)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._number)

    @contextmanager
    def folder_of(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder of a file; yields its descriptor and the name of the file in it.

        Args:
            name: relative to this root.
            make: create missing folders.

        Raises:
            FileNotFoundError: a folder is missing, and `make` is off.
            ValueError: the name is absolute or contains `..`.
        """
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if not parts or name.startswith("/") or ".." in parts:
            raise ValueError(f"{name!r} is not a name below the folder")
        if len(parts) == 1:
            yield self._number, parts[0]
            return
        number = os.dup(self._number)
        try:
            for at, part in enumerate(parts[:-1], start=1):
                deeper = self._enter(number, part, "/".join(parts[:at]), make=make)
                os.close(number)
                number = deeper
            yield number, parts[-1]
        finally:
            os.close(number)

    @contextmanager
    def parent_of(self, name: str) -> Iterator[tuple[OutputFolder, str]]:
        """Open the folder of a file as a root of its own, for several operations in it; yields the file's name too.

        Raises:
            FileNotFoundError: a folder is missing.
            ValueError: the name is absolute or contains `..`.
        """
        with self.folder_of(name) as (number, file):
            parent = OutputFolder(self._path / PurePosixPath(name).parent)
            parent._number = number
            yield parent, file

    def _enter(self, folder: int, part: str, name: str, *, make: bool) -> int:
        if make:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
        try:
            return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                raise
            path = str(self._path / name)
            raise NotADirectoryError(errno.ENOTDIR, "A link or a file is in the place of the folder", path) from None

    def stat(self, name: str) -> os.stat_result | None:
        """Returns the status of a file, or of a link itself; None if nothing is there."""
        try:
            with self.folder_of(name) as (folder, file):
                return os.stat(file, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes | None:
        """Returns the bytes of a regular file; None if there is none."""
        try:
            with self.folder_of(name) as (folder, file):
                number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
                return None
            raise
        with os.fdopen(number, "rb") as opened:
            return opened.read() if stat.S_ISREG(os.fstat(number).st_mode) else None

    def write(self, name: str, data: bytes) -> None:
        """Write a file under a temporary name and rename it. A file or link of its name is replaced."""
        with self.folder_of(name, make=True) as (folder, file):
            part = temporary_name(file)
            _discard(part, folder)
            try:
                with os.fdopen(open_new(part, folder=folder), "wb") as opened:
                    opened.write(data)
                os.replace(part, file, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                _discard(part, folder)
                raise

    def replace(self, name: str, data: bytes, found: os.stat_result) -> os.stat_result | None:
        """Replaces a file in one step by another with the same permissions; other hard links keep the old bytes.

        Args:
            name: of the file.
            data: all of its new bytes.
            found: what `stat` gave when the old bytes were read.

        Returns:
            The status of the new file; None where the old one was changed since then, and is left as it is.
        """
        with self.folder_of(name) as (folder, file):
            part = temporary_name(file)
            _discard(part, folder)
            try:
                with os.fdopen(open_new(part, folder=folder), "wb") as opened:
                    opened.write(data)
                    opened.flush()
                    os.fchmod(opened.fileno(), stat.S_IMODE(found.st_mode))
                    written = os.fstat(opened.fileno())
                if not _is_unchanged(os.stat(file, dir_fd=folder, follow_symlinks=False), found):
                    _discard(part, folder)
                    return None
                os.replace(part, file, src_dir_fd=folder, dst_dir_fd=folder)
            except FileNotFoundError:  # it was removed
                _discard(part, folder)
                return None
            except BaseException:
                _discard(part, folder)
                raise
        return written

    def append(self, name: str, data: bytes) -> None:
        """Adds bytes at the end of a file that is there. Raises OSError where it is a link."""
        with self.folder_of(name) as (folder, file):
            number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(number, "ab") as opened:
            opened.write(data)

    def link(self, source: Path, name: str) -> None:
        """Create a hard link to a file (link(2)) and rename it into place. Raises OSError where that is impossible."""
        with self.folder_of(name, make=True) as (folder, file):
            part = temporary_name(file)
            _discard(part, folder)
            os.link(source, part, dst_dir_fd=folder)
            os.replace(part, file, src_dir_fd=folder, dst_dir_fd=folder)
            _discard(part, folder)  # rename(2) does nothing if both names are the same file

    def copy(self, source: Path, name: str) -> None:
        """Copy a file, with its time and permissions, and rename the copy into place."""
        with self.folder_of(name, make=True) as (folder, file):
            part = temporary_name(file)
            _discard(part, folder)
            try:
                with source.open("rb") as original, os.fdopen(open_new(part, folder=folder), "wb") as opened:
                    while piece := original.read(1 << 20):
                        opened.write(piece)
                    opened.flush()
                    found = os.fstat(original.fileno())
                    os.fchmod(opened.fileno(), stat.S_IMODE(found.st_mode) & 0o777)
                    os.utime(opened.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
                os.replace(part, file, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                _discard(part, folder)
                raise

    def remove(self, name: str) -> None:
        """Remove a file, or a link itself, if it exists; never a folder."""
        with suppress(FileNotFoundError), self.folder_of(name) as (folder, file):
            os.unlink(file, dir_fd=folder)

    def remove_folder(self, name: str) -> bool:
        """Remove a folder if it is empty. Returns whether it is gone."""
        try:
            with self.folder_of(name) as (folder, file):
                os.rmdir(file, dir_fd=folder)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            return False
        return True


def temporary_name(file: str) -> str:
    """Returns the temporary name of a file: always the same one, so that leftovers do not pile up."""
    return f".{file}.imgcache-part"


def _is_unchanged(now: os.stat_result, found: os.stat_result) -> bool:
    return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) == (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
    )


def _discard(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
