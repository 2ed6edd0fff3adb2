"""Puts an export's files where a site's build finds them: what differs is written, nothing of the user's is lost.

Folders below the one that is named are entered as they are, never through a link: a site from elsewhere may hold one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from imgcache.core import ConfigError, OutputFolder, disk_errors, display_path
from imgcache.publisher.entries import FILE
from imgcache.publisher.signature import SIGNATURE

# The files that an earlier run put into a folder, which a later one may remove. Where a
# generator publishes dot files too, the listing reveals no more than the files beside it do.
LISTING = ".imgcache-export"

_HEAD = f"# {SIGNATURE}: the files below this folder that it put here, and may remove.\n"
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES})


class PlacedFiles(msgspec.Struct, frozen=True):
    """What became of a folder of files: counts, and the paths that the cache should have and has not."""

    placed: int
    kept: int
    removed: int
    missing: tuple[str, ...]


def write_files(folder: Path, files: Mapping[str, bytes], *, force: bool) -> list[str]:
    """Writes generated files, and says which of them were not there or other bytes.

    Raises:
        ConfigError: one of the names belongs to a file that no export wrote, and `force` is off; nothing is written.
        DiskFull: the folder cannot be written, or a link stands for one below it.
    """
    with disk_errors(folder), OutputFolder(folder) as root:
        foreign = [name for name in files if not force and _is_foreign(root, name, folder)]
        if foreign:
            raise ConfigError(
                "is there already, and was not written by imgcache export: move it away, name another folder with"
                " --output, or let --force replace it",
                where=display_path(folder / foreign[0]),
            )
        return [name for name, data in files.items() if _write(root, name, data)]


def place_assets(
    paths: Collection[str], cache: Path, folder: Path, *, force: bool, keep_placed: bool = False
) -> PlacedFiles:
    """Brings a folder in line with what pages may ask for: files linked or copied, those of earlier runs removed.

    Args:
        paths: relative to `assets/` of the cache.
        cache: the cache folder.
        folder: becomes what `--assets-url` publishes; files in it that no export put there are left alone.
        force: replace also a file of another origin that has the name of one of ours and other bytes.
        keep_placed: a file that the cache no longer has, and an earlier run put there, is not missing.

    Raises:
        ConfigError: the folder lies in the cache, or holds such a file and `force` is off.
        DiskFull: the folder cannot be written, or a link stands for one below it.
    """
    if folder.resolve().is_relative_to(cache.resolve()):
        raise ConfigError("lies in the cache; name a folder of the site", where=f"--copy-to {display_path(folder)}")
    with disk_errors(folder), OutputFolder(folder) as root:
        before = frozenset(listed_files(root))
        wanted = frozenset(paths)
        absent = {path for path in wanted if not (cache / "assets" / path).is_file()}
        kept = {path for path in absent if keep_placed and path in before and root.stat(path) is not None}
        missing = sorted(absent - kept)
        there = sorted(wanted.difference(missing))
        # Written first: a run that is killed here leaves no file that a later one takes for the user's.
        _write(root, LISTING, _listing(before.union(there)))
        placed = 0
        for path in there:
            if path in kept or is_placed(cache / "assets" / path, root, path):
                continue
            if not (force or path in before) and root.stat(path) is not None:
                _write(root, LISTING, _listing(before.union(there) - {path}))
                raise _in_the_way(folder / path)
            place_file(cache / "assets" / path, root, path)
            placed += 1
        stale = sorted(before - wanted)
        for path in stale:
            _remove(root, path)
        _write(root, LISTING, _listing(there))
    return PlacedFiles(placed=placed, kept=len(there) - placed, removed=len(stale), missing=tuple(missing))


def start_listing(root: OutputFolder) -> None:
    """Makes the list of the files that were put into a folder, where there is none, or ends its last line."""
    data = root.read(LISTING)
    if data is None:
        _write(root, LISTING, _listing(()))
    elif not data.endswith(b"\n"):  # a run was killed while it added to it
        root.append(LISTING, b"\n")


def add_files(paths: Collection[str], assets: Path, root: OutputFolder, folder: Path) -> None:
    """Puts files into a folder beside those of earlier runs.

    Args:
        paths: relative to `assets`.
        assets: the folder of that name in the cache. What it lacks is in `root` already.
        root: the folder, open, with a listing.
        folder: its path, for messages.

    Raises:
        ConfigError: another file has the name of one of them.
    """
    new = [path for path in paths if (assets / path).is_file() and not is_placed(assets / path, root, path)]
    if not new:
        return
    before = frozenset(listed_files(root)) if any(root.stat(path) is not None for path in new) else frozenset()
    for path in new:
        if path not in before and root.stat(path) is not None:
            raise _in_the_way(folder / path)
    root.append(LISTING, "".join(f"{path}\n" for path in new).encode())  # first, as in `place_assets`
    for path in new:
        place_file(assets / path, root, path)


def _in_the_way(path: Path) -> ConfigError:
    return ConfigError(
        "is there already, is not the cached file, and was not put there by imgcache export: move it away, or"
        " let --force replace it",
        where=display_path(path),
    )


def _is_foreign(root: OutputFolder, name: str, folder: Path) -> bool:
    found = root.stat(name)
    if found is not None and stat.S_ISDIR(found.st_mode):  # not even --force replaces a folder
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))
    data = root.read(name)
    if data is None:
        return found is not None  # a link, a device
    return SIGNATURE.encode() not in b"".join(data[:2000].splitlines(keepends=True)[:2])


def _write(root: OutputFolder, name: str, data: bytes) -> bool:
    """Replaces a file in one step; False where it has these bytes already."""
    if root.read(name) == data:
        return False
    root.write(name, data)
    return True


def _listing(paths: Collection[str]) -> bytes:
    return (_HEAD + "".join(f"{path}\n" for path in sorted(paths))).encode()


def listed_files(root: OutputFolder) -> Iterator[str]:
    """What an earlier run put there. A line that is no path of ours is passed over: what it names stays."""
    lines = (root.read(LISTING) or b"").decode(errors="replace").splitlines()
    if lines and SIGNATURE in lines[0]:
        yield from (line for line in lines[1:] if FILE.fullmatch(f"assets/{line}"))


def is_placed(source: Path, root: OutputFolder, path: str) -> bool:
    """Whether a file is in its place: linked, or of one time and size (a copy keeps the time), or the same bytes."""
    ours, theirs = source.stat(), root.stat(path)
    if theirs is None or not stat.S_ISREG(theirs.st_mode):
        return False
    if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
        return True
    if ours.st_size != theirs.st_size:
        return False
    return ours.st_mtime_ns == theirs.st_mtime_ns or source.read_bytes() == root.read(path)


def place_file(source: Path, root: OutputFolder, path: str) -> None:
    """Links a file of the cache into its place, or copies it where the file system cannot link."""
    try:
        root.link(source, path)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        root.copy(source, path)


def _remove(root: OutputFolder, path: str) -> None:
    """One file, and its two folders where nothing else is in them."""
    root.remove(path)
    home, _, _ = path.rpartition("/")
    for folder in (home, home.rpartition("/")[0]):
        if folder and not root.remove_folder(folder):
            return
