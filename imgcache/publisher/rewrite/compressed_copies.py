"""Brings precompressed copies beside a page, which web servers send in its place, in line with its new bytes."""

from __future__ import annotations

import gzip
from importlib import import_module

from imgcache.core import OutputFolder


def refresh_compressed_copies(root: OutputFolder, path: str, data: bytes) -> None:
    """Brings the compressed copies of a file, if there are any, in line with its new bytes.

    Gzip is made anew; Brotli too where a library for it is installed; any other copy is removed, so that servers send
    the file itself.
    """
    for ending in (".gz", ".br", ".zst"):
        copy = path + ending
        if root.stat(copy) is None:
            continue
        packed = _packed(data, ending)
        if packed is None:
            root.remove(copy)
        else:
            root.write(copy, packed)


def _packed(data: bytes, ending: str) -> bytes | None:
    if ending == ".gz":
        return gzip.compress(data, 9, mtime=0)
    if ending == ".br":
        for name in ("brotli", "brotlicffi"):
            try:
                packed: bytes = import_module(name).compress(data)
            except ImportError:
                continue
            return packed
    return None
