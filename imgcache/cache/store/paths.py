"""Builds and parses the paths of an asset's files, relative to the cache: `assets/ab/abcd…/w320.webp`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgcache.cache.store.merging import FILE_NAME
from imgcache.core import EXTENSIONS, Asset, clean_text

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(rf"assets/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})/({FILE_NAME.pattern})")
ORIGINAL = "original."


def is_digest(text: str) -> bool:
    """Returns whether a text is a SHA-256 in lower-case hex."""
    return _DIGEST.fullmatch(text) is not None


def folder_of(digest: str) -> str:
    """Returns the folder of an asset.

    Raises:
        ValueError: `digest` is not a SHA-256 in hex.
    """
    if not is_digest(digest):
        raise ValueError(f"{clean_text(digest)!r} is not a SHA-256 in hex")
    return f"assets/{digest[:2]}/{digest}"


def parse_asset_path(path: str) -> tuple[str, str] | None:
    """Returns the digest and the file name of a path; None if no asset can have this path."""
    found = _PATH.fullmatch(path)
    return (found[2], found[3]) if found else None


def check_path(path: str) -> str:
    """Returns the path itself.

    Raises:
        ValueError: no asset can have this path.
    """
    if parse_asset_path(path) is None:
        raise ValueError(f"{clean_text(path)!r} is not the path of an asset")
    return path


def original_name(format: str) -> str:  # noqa: A002 (the field's name in `Header`)
    """The name of an original's file."""
    return f"{ORIGINAL}{EXTENSIONS.get(format, format)}"


def is_original(name: str) -> bool:
    """Returns whether a file name is that of an original."""
    return name.startswith(ORIGINAL)


def files_of(asset: Asset) -> Iterator[tuple[str, int, str]]:
    """Yields path, bytes and SHA-256 of each file of an asset, the original first."""
    yield asset.original, asset.bytes, asset.digest
    for variant in asset.variants:
        if variant.path != asset.original:
            yield variant.path, variant.bytes, variant.digest
