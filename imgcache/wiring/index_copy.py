"""Copies the databases of an index, for a command that must not write them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from imgcache.cache import FIRST_CATALOGUE, Index

_COPIED = ("cache.db", FIRST_CATALOGUE, "objects.db")  # SQLite makes its -shm anew
_COPIES = 5  # tries to copy the index whole while another command writes it


def open_index_copy(source: Path, folder: Path) -> Index:
    """The index over a copy of its files. Made again where a sync wrote while they were copied, so that it is torn."""
    for _ in range(_COPIES):
        copy_databases(source, folder, [source / name for name in _COPIED])
        index = Index(folder)
        if not index.damaged:
            break
        index.close()
        for left in folder.iterdir():
            left.unlink()
    else:
        index = Index(folder)
    return index


def copy_databases(source: Path, folder: Path, files: Sequence[Path]) -> None:
    """Copies databases from one folder to the other, at the same place below it. One that is not there is left out."""
    for file in files:
        place = folder / file.relative_to(source)
        place.parent.mkdir(exist_ok=True)
        for ending in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(f"{file}{ending}", place.parent)
