"""Puts an export's files where a site's build finds them: what differs is written, nothing of the user's is lost."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from imgcache.atomic import shown, writing
from imgcache.errors import ConfigError
from imgcache.export import SIGNATURE
from imgcache.export.entries import FILE

# The files that an earlier run put into a folder, which a later one may remove. Where a
# generator publishes dot files too, it tells no more than the files beside it do.
LISTING = ".imgcache-export"

_HEAD = f"# {SIGNATURE}: the files below this folder that it put here, and may remove.\n"
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES})


class Copied(msgspec.Struct, frozen=True):
    """What became of a folder of files: counts, and the paths that the cache should have and has not."""

    placed: int
    kept: int
    removed: int
    missing: tuple[str, ...]


def write_files(folder: Path, files: Mapping[str, bytes], *, force: bool) -> list[str]:
    """Writes generated files, and says which of them were not there or other bytes.

    Raises:
        ConfigError: one of the names belongs to a file that no export wrote, and `force` is off; nothing is written.
        DiskFull: the folder cannot be written.
    """
    foreign = [name for name in files if not force and _is_foreign(folder / name)]
    if foreign:
        raise ConfigError(
            "is there already, and was not written by imgcache export: move it away, name another folder with"
            " --output, or let --force replace it",
            where=shown(folder / foreign[0]),
        )
    return [name for name, data in files.items() if _write(folder / name, data)]


def copy_assets(paths: Collection[str], cache: Path, folder: Path, *, force: bool) -> Copied:
    """Brings a folder in line with what pages may ask for: files linked or copied, those of earlier runs removed.

    Args:
        paths: relative to `assets/` of the cache.
        cache: the cache folder.
        folder: becomes what `--assets-url` publishes; files in it that no export put there are left alone.
        force: replace also a file of another origin that has the name of one of ours and other bytes.

    Raises:
        ConfigError: the folder lies in the cache, or holds such a file and `force` is off.
        DiskFull: the folder cannot be written.
    """
    if folder.resolve().is_relative_to(cache.resolve()):
        raise ConfigError("lies in the cache; name a folder of the site", where=f"--copy-to {shown(folder)}")
    listing = folder / LISTING
    before = frozenset(_listed(listing))
    wanted = frozenset(paths)
    missing = sorted(path for path in wanted if not (cache / "assets" / path).is_file())
    there = sorted(wanted.difference(missing))
    # Told before it is done: a run that is killed here leaves no file that a later one takes for the user's.
    _write(listing, _listing(before.union(there)))
    placed = 0
    for path in there:
        try:
            placed += _bring(cache / "assets" / path, folder / path, may_replace=force or path in before)
        except ConfigError:
            _write(listing, _listing(before.union(there) - {path}))
            raise
    stale = sorted(before - wanted)
    for path in stale:
        _remove(folder, path)
    _write(listing, _listing(there))
    return Copied(placed=placed, kept=len(there) - placed, removed=len(stale), missing=tuple(missing))


def _is_foreign(path: Path) -> bool:
    try:
        with writing(path), path.open("rb") as file:  # a folder of this name is in the way of writing, too
            return SIGNATURE.encode() not in file.readline(1000) + file.readline(1000)
    except FileNotFoundError:
        return os.path.lexists(path)  # a link that leads nowhere


def _write(path: Path, data: bytes) -> bool:
    """Replaces a file in one step; False where it has these bytes already."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _part(path)
        part.write_bytes(data)
        part.replace(path)
    return True


def _part(path: Path) -> Path:
    """Where a file lies until it is whole: beside its place, under one name, so that nothing piles up."""
    return path.with_name(f".{path.name}.imgcache-part")


def _listing(paths: Collection[str]) -> bytes:
    return (_HEAD + "".join(f"{path}\n" for path in sorted(paths))).encode()


def _listed(listing: Path) -> Iterator[str]:
    """What an earlier run put there. A line that is no path of ours is passed over: what it names stays."""
    try:
        lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    if lines and SIGNATURE in lines[0]:
        yield from (line for line in lines[1:] if FILE.fullmatch(f"assets/{line}"))


def _is_same(source: Path, target: Path) -> bool:
    """Linked, or of the same time and size (a copy keeps the time), or of the same bytes."""
    if not target.is_file() or target.is_symlink():
        return False
    ours, theirs = source.stat(), target.stat()
    if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
        return True
    if ours.st_size != theirs.st_size:
        return False
    return ours.st_mtime_ns == theirs.st_mtime_ns or filecmp.cmp(source, target, shallow=False)


def _bring(source: Path, target: Path, *, may_replace: bool) -> bool:
    """One file into its place; False where it is there. Raises ConfigError where another one is in its way."""
    if _is_same(source, target):
        return False
    if os.path.lexists(target) and not may_replace:
        raise ConfigError(
            "is there already, is not the cached file, and was not put there by imgcache export: move it away, or"
            " let --force replace it",
            where=shown(target),
        )
    _place(source, target)
    return True


def _place(source: Path, target: Path) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _part(target)
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            shutil.copy2(source, part)
        part.replace(target)


def _remove(folder: Path, path: str) -> None:
    """One file, and its two folders where nothing else is in them."""
    target = folder / path
    with writing(target):
        target.unlink(missing_ok=True)
        for parent in (target.parent, target.parent.parent):
            try:
                parent.rmdir()
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
                    raise
                return
