"""Some files of a bucket as plain files in a folder, for what reads folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.paths import checked
from imgcache.core import disk_errors, new_file

_AT_ONCE = 16


def mirror_files(bucket: Bucket, sizes: Mapping[str, int], folder: Path, earlier: Path) -> None:
    """Brings files into a folder. What an earlier run brought is linked: files of assets are never changed.

    Args:
        bucket: has them.
        sizes: paths relative to the cache, and bytes. What the bucket has not is left out.
        folder: becomes as a cache folder.
        earlier: an `assets/` of which a file of the right length is taken; on the same file system.

    Raises:
        ValueError: a path that no asset can have.
        StoreError: the bucket gives no answer.
        DiskFull: the folder cannot be written.
    """
    lacking = [path for path, size in sizes.items() if not _link(checked(path), size, folder, earlier)]

    def bring(path: str) -> None:
        pieces = bucket.chunks(path)
        if pieces is not None:
            with disk_errors(folder / path), new_file(_made(folder / path)) as file:
                file.writelines(pieces)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mirror") as hands:
        for _ in hands.map(bring, lacking):
            pass


def _link(path: str, size: int, folder: Path, earlier: Path) -> bool:
    there = earlier / path.removeprefix("assets/")
    if there.is_symlink() or not there.is_file() or there.stat().st_size != size:
        return False
    with disk_errors(folder / path):
        os.link(there, _made(folder / path))
    return True


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
