"""Files that appear whole or not at all, and errors of the disk in words that a person can act on."""

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
_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_DISK = frozenset({errno.EIO, errno.EXDEV})
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR})


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns the ways in which a disk refuses to be written into one error.

    Args:
        path: what is being written; named in the message where the system names no file itself.

    Raises:
        DiskFull: no space, no quota, no right, something in the way, a read-only or failing disk. Any other OSError
            passes as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE | _NO_RIGHT | _NO_DISK | _IN_THE_WAY:
            raise
        raise DiskFull(
            f"{display_path(Path(error.filename2 or error.filename or path))} cannot be written: {_advice(error)}"
        ) from error


def display_path(path: Path) -> str:
    """A path for a message: whole, and free of control characters."""
    return clean_text(str(path), 4096)


def fsync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: fsync of a file does not cover its name (fsync(2), notes)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A new file, open for writing, on the disk when the block ends, and gone if the block fails.

    What a killed run left under this name is removed first; a symbolic link there is removed, not followed.
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


def replace_file(path: Path, data: bytes, *, part: str) -> None:
    """Puts a file in its place in one step, whole; what has its name goes, a link with it. Raises DiskFull.

    Args:
        path: of the file, in a folder that is there.
        data: all of its bytes.
        part: the name, in the same folder, under which it lies until it is whole.
    """
    with disk_errors(path):
        place = path.with_name(part)
        with new_file(place) as file:
            file.write(data)
        place.replace(path)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are missing. Raises DiskFull."""
    with disk_errors(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # what /proc says, where nobody can make one
            raise PermissionError(errno.EACCES, "No folder can be made there", str(path)) from error


def refuse_links(*paths: Path) -> None:
    """A link in place of a file or folder of ours would lead our writing, and our removing, somewhere else.

    Raises:
        DiskFull: one of them is a link.
    """
    for path in paths:
        if path.is_symlink():
            raise DiskFull(
                f"{display_path(path)} is a link, which is not followed: remove it and run again, or name the folder itself"
                " with --cache"
            )


def remove_tree(path: Path) -> None:
    """Removes a file, a link or a folder with all it holds, if it is there; links are removed, never followed."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def _advice(error: OSError) -> str:
    reason = error.strerror or "the system gives no reason"
    if error.errno in _NO_SPACE:
        return f"{reason}; free some space and run again"
    if error.errno in _NO_RIGHT:
        return f"{reason}; give this user the right to write there, or name another folder with --cache"
    if error.errno in _IN_THE_WAY:
        return f"{reason}; move away what is there, or name another folder with --cache"
    return f"{reason}; the whole cache has to be on one disk that works"
