"""Distinguishes imgcache's files in an asset's folder from other files, which are never touched.

A file belongs to imgcache if it is a regular file whose name could be that of an original or a variant. Anything else
was put there by somebody else: a `.DS_Store`, `my photo.png`, a folder, a pipe, a link.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from imgcache.cache.store.merging import FILE_NAME
from imgcache.cache.store.paths import is_digest, is_original

_PREFIX_FOLDER = re.compile(r"[0-9a-f]{2}")  # `assets/ab`, for the digests that begin with `ab`


def own_files(folder: Path) -> dict[str, int]:
    """Returns name and bytes of each file of imgcache in an asset's folder; empty if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries if _is_own(entry)}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def foreign_names(folder: Path) -> list[str]:
    """Returns the names of everything else in it, sorted. Bytes that are not UTF-8 become surrogates (PEP 383)."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not _is_own(entry))


def move_out(folder: Path, target: Path) -> None:
    """Moves every file of imgcache from an asset's folder into another folder.

    This is one step if the folder holds nothing foreign. Otherwise the original goes first, so that after an
    interruption the asset counts as not held, and the foreign files stay.

    Raises:
        FileNotFoundError: there is no such asset.
    """
    if not foreign_names(folder) and not target.exists():
        folder.rename(target)
        return
    target.mkdir(exist_ok=True)  # it exists if an earlier call was interrupted
    for name in sorted(own_files(folder), key=lambda name: (not is_original(name), name)):
        (folder / name).rename(target / name)


def move_in(source: Path, folder: Path) -> None:
    """Moves the files that `move_out` moved back, if there are any. A file that exists again is not replaced."""
    if not source.is_dir():
        return
    folder.parent.mkdir(exist_ok=True)
    if not os.path.lexists(folder):
        source.rename(folder)
        return
    for name in own_files(source).keys() - own_files(folder).keys():
        (source / name).rename(folder / name)


def foreign_paths(assets: Path) -> Iterator[str]:
    """Yields the paths, relative to the cache, of all foreign files in `assets/`, at each of its levels."""
    prefixes, others = _split_folders(assets, lambda name: _PREFIX_FOLDER.fullmatch(name) is not None)
    yield from (f"{assets.name}/{name}" for name in others)
    for prefix in prefixes:
        digests, others = _split_folders(assets / prefix, partial(_is_asset_folder, prefix))
        yield from (f"{assets.name}/{prefix}/{name}" for name in others)
        for digest in digests:
            yield from (f"{assets.name}/{prefix}/{digest}/{name}" for name in foreign_names(assets / prefix / digest))


def _is_asset_folder(prefix: str, name: str) -> bool:
    return is_digest(name) and name.startswith(prefix)


def _split_folders(folder: Path, is_own: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Returns the names of the folders that belong to imgcache, and of everything else."""
    own: list[str] = []
    others: list[str] = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            (own if entry.is_dir(follow_symlinks=False) and is_own(entry.name) else others).append(entry.name)
    return sorted(own), sorted(others)


def _is_own(entry: os.DirEntry[str]) -> bool:
    return FILE_NAME.fullmatch(entry.name) is not None and entry.is_file(follow_symlinks=False)
