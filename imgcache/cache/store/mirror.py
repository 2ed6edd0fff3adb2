"""Copies files of a bucket into a folder, for programs that read folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.paths import check_path
from imgcache.core import disk_errors, new_file

_CONCURRENCY = 16  # requests


def mirror_files(bucket: Bucket, sizes: Mapping[str, int], folder: Path, earlier: Path) -> None:
    """Copies files into a folder. Files from an earlier run are linked: files of assets never change.

    Args:
        bucket: where the files are.
        sizes: bytes by path relative to the cache. Paths that the bucket does not have are left out.
        folder: becomes like a cache folder.
        earlier: an `assets/` whose files of the right length are reused; on the same file system.

    Raises:
        ValueError: a path that no asset can have.
        StoreError: the bucket does not answer, or sends more bytes than `sizes` allows.
        DiskFull: the folder cannot be written.
    """
    wanted = [path for path, size in sizes.items() if not _link(check_path(path), size, folder, earlier)]

    def download(path: str) -> None:
        pieces = bucket.chunks(path, limit=sizes[path])
        if pieces is not None:
            with disk_errors(folder / path), new_file(_with_parents(folder / path)) as file:
                file.writelines(pieces)

    with ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="mirror") as executor:
        for _ in executor.map(download, wanted):
            pass


def _link(path: str, size: int, folder: Path, earlier: Path) -> bool:
    """Links a file of an earlier run; returns False if there is none of this size."""
    known = earlier / path.removeprefix("assets/")
    if known.is_symlink() or not known.is_file() or known.stat().st_size != size:
        return False
    with disk_errors(folder / path):
        os.link(known, _with_parents(folder / path))
    return True


def _with_parents(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
