"""What lies in the folder of one asset: files of ours, and foreign ones, which stay where they are.

A file is ours if its name could be that of an original or a variant, and it is a plain file. Anything else was put
there by somebody else: a `.DS_Store`, `my photo.png`, a folder, a pipe, a link.
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

_SHELF = re.compile(r"[0-9a-f]{2}")


def own(home: Path) -> dict[str, int]:
    """Name and bytes of each file of ours; empty where there is no such folder."""
    try:
        with os.scandir(home) as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries if _is_own(entry)}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def foreign(home: Path) -> list[str]:
    """The names of all else, sorted. Bytes that are no UTF-8 are surrogates in them (PEP 383)."""
    with os.scandir(home) as entries:
        return sorted(entry.name for entry in entries if not _is_own(entry))


def move_out(home: Path, folder: Path) -> None:
    """Moves every file of ours from an asset's folder into one that is not there yet.

    In one step where nothing foreign lies beside them. Else the original goes first, so that what an interruption
    leaves counts as not held, and the foreign files stay.

    Raises:
        FileNotFoundError: there is no such asset.
    """
    if not foreign(home):
        home.rename(folder)
        return
    folder.mkdir()
    for name in sorted(own(home), key=lambda name: (not is_original(name), name)):
        (home / name).rename(folder / name)


def move_in(folder: Path, home: Path) -> None:
    """Moves the files of a folder, if it is there, back to where they were. A file that is there again stays."""
    if not folder.is_dir():
        return
    home.parent.mkdir(exist_ok=True)
    if not os.path.lexists(home):
        folder.rename(home)
        return
    for name in own(folder).keys() - own(home).keys():
        (folder / name).rename(home / name)


def strangers(assets: Path) -> Iterator[str]:
    """The paths, relative to the cache, of all foreign files: in `assets/`, in its folders, in those of assets."""
    shelves, others = _sorted_out(assets, lambda name: _SHELF.fullmatch(name) is not None)
    yield from (f"{assets.name}/{name}" for name in others)
    for shelf in shelves:
        homes, others = _sorted_out(assets / shelf, partial(_is_home, shelf))
        yield from (f"{assets.name}/{shelf}/{name}" for name in others)
        for home in homes:
            yield from (f"{assets.name}/{shelf}/{home}/{name}" for name in foreign(assets / shelf / home))


def _is_home(shelf: str, name: str) -> bool:
    return is_digest(name) and name.startswith(shelf)


def _sorted_out(folder: Path, is_ours: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """The names of the folders of ours, and of all else that is there."""
    ours: list[str] = []
    others: list[str] = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            (ours if entry.is_dir(follow_symlinks=False) and is_ours(entry.name) else others).append(entry.name)
    return sorted(ours), sorted(others)


def _is_own(entry: os.DirEntry[str]) -> bool:
    return FILE_NAME.fullmatch(entry.name) is not None and entry.is_file(follow_symlinks=False)
