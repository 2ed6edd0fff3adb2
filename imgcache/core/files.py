"""Writes files atomically, and turns errors of the disk into messages that say what to do."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from imgcache.core.errors import DiskFull
from imgcache.core.no_follow import open_new
from imgcache.core.urls import clean_text

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_DISK = frozenset({errno.EIO, errno.EXDEV})
_OCCUPIED = frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR})


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of writing to a disk into one `DiskFull`.

    Args:
        path: what is being written; named in the message where the system error names no file.

    Raises:
        DiskFull: no space, no quota, no permission, an existing file of another kind, a read-only or failing disk.
            Any other OSError is raised as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE | _NO_PERMISSION | _NO_DISK | _OCCUPIED:
            raise
        raise DiskFull(
            f"{display_path(Path(error.filename2 or error.filename or path))} cannot be written: {_advice(error)}"
        ) from error


def display_path(path: Path) -> str:
    """Returns a path for a message: complete, and free of control characters."""
    return clean_text(str(path), 4096)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable: fsync of a file does not cover its name (fsync(2), notes)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file for writing. It is durable when the block ends, and removed if the block fails.

    An older file of this name is removed first; a symbolic link is removed, not followed.
    """
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(open_new(path), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, *, temporary_name: str) -> None:
    """Write a file and rename it into place. A file or link of its name is replaced.

    Args:
        path: of the file, in an existing folder.
        data: its content.
        temporary_name: the temporary name, in the same folder.

    Raises:
        DiskFull: the file cannot be written.
    """
    with disk_errors(path):
        temporary = path.with_name(temporary_name)
        with new_file(temporary) as file:
            file.write(data)
        temporary.replace(path)


def make_folder(path: Path) -> None:
    """Create a folder and its parents where they are missing. Raises DiskFull."""
    with disk_errors(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # as /proc answers
            raise PermissionError(errno.EACCES, "No folder can be created there", str(path)) from error


def refuse_links(*paths: Path) -> None:
    """Check that files and folders of the cache are no symbolic links, which would lead writes to another place.

    Raises:
        DiskFull: one of them is a link.
    """
    for path in paths:
        if path.is_symlink():
            raise DiskFull(
                f"{display_path(path)} is a symbolic link, which is not followed: remove it and run again, or name the"
                " folder itself with --cache"
            )


def remove_tree(path: Path) -> None:
    """Remove a file, a link, or a folder with its content, if it exists. Links are removed, never followed."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def _advice(error: OSError) -> str:
    reason = error.strerror or "the system gives no reason"
    if error.errno in _NO_SPACE:
        return f"{reason}; free some space and run again"
    if error.errno in _NO_PERMISSION:
        return f"{reason}; give this user write permission, or name another folder with --cache"
    if error.errno in _OCCUPIED:
        return f"{reason}; move away what is there, or name another folder with --cache"
    return f"{reason}; the whole cache must be on one working disk"
