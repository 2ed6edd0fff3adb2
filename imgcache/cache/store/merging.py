"""Moves the files of one image into a folder that may hold some already, and builds the record of their places."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from imgcache.core import Asset, DiskFull, Rendered, Variant, clean_text, display_path

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def staged(
    folder: Path, sizes: Mapping[str, int], digest: str, variants: tuple[Variant, ...], original: str
) -> dict[str, Variant]:
    """Returns the variants that have a file of their own, by file name.

    A variant with the same bytes as the original shares the original's file and is left out.

    Args:
        folder: holds the files.
        sizes: bytes of the regular files in `folder`, by name.
        digest: SHA-256 of the original, in hex.
        variants: what the worker made.
        original: file name of the original.

    Raises:
        DiskFull: a file is shorter than the worker reported.
        ValueError: a variant's name is not a plain file name, or occurs twice.
    """
    files: dict[str, Variant] = {}
    for variant in variants:
        if variant.digest == digest:
            continue
        if not FILE_NAME.fullmatch(variant.path) or variant.path in files or variant.path == original:
            raise ValueError(f"{clean_text(variant.path)!r} cannot be the name of a variant's file")
        size = sizes.get(variant.path, 0)
        if size != variant.bytes:
            raise DiskFull(
                f"{display_path(folder / variant.path)} has {size} bytes instead of {variant.bytes}: run again"
            )
        files[variant.path] = variant
    return files


def merge(folder: Path, home: Path, digest: str, original: str, files: dict[str, Variant]) -> dict[str, str]:
    """Moves missing files into an existing folder. Returns the final name of each staged file.

    A file is replaced only if its name promises certain bytes and it has others: then it is damaged.
    """
    if (folder / original).exists() and not _has_digest(home / original, digest):
        (folder / original).rename(home / original)
    places: dict[str, str] = {}
    for staged, variant in files.items():
        candidates = names(staged, variant)
        name = next(
            (name for name in candidates if _is_free(home / name) or _has_digest(home / name, variant.digest)),
            candidates[-1],
        )
        if not _has_digest(home / name, variant.digest):
            (folder / staged).rename(home / name)
        places[staged] = name
    return places


def sizes_of(folder: Path) -> dict[str, int]:
    """Returns the bytes of each regular file in a folder, by name; -1 for anything else."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return {name: one.st_size if stat.S_ISREG(one.st_mode) else -1 for name, one in found}


def recorded(rendered: Rendered, digest: str, size: int, original: str, places: Mapping[str, str]) -> Asset:
    """Builds the record of an image whose files are in place.

    Args:
        rendered: what the worker made; a variant that is not in `places` shares the original's file.
        digest: SHA-256 of the original, in hex.
        size: of the original, in bytes.
        original: file name of the original.
        places: the final name of each staged file.
    """
    path, header = f"assets/{digest[:2]}/{digest}", rendered.header
    return Asset(
        digest=digest,
        media_type=header.media_type,
        format=header.format,
        width=header.width,
        height=header.height,
        frames=header.frames,
        bytes=size,
        color=rendered.color,
        placeholder=rendered.placeholder,
        original=f"{path}/{original}",
        variants=tuple(
            msgspec.structs.replace(variant, path=f"{path}/{places.get(variant.path, original)}")
            for variant in rendered.variants
        ),
        recipes=rendered.recipes,
    )


def names(staged: str, variant: Variant) -> tuple[str, str, str]:
    """Returns the names that a variant's file may have, the preferred one first.

    The second contains the recipe. The third contains the bytes' digest too, for another version of an encoder.
    """
    stem, _, extension = staged.rpartition(".")
    by_recipe = f"{stem}.{variant.recipe[:8]}"
    return staged, f"{by_recipe}.{extension}", f"{by_recipe}.{variant.digest[:8]}.{extension}"


def _is_free(path: Path) -> bool:
    return not os.path.lexists(path)


def _has_digest(path: Path, digest: str) -> bool:
    return not path.is_symlink() and path.is_file() and sha256(path) == digest


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_link(folder: Path) -> None:
    """Refuses a link in place of one of our folders: it would redirect our writes.

    Raises:
        DiskFull: `folder` is not a plain folder.
    """
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise DiskFull(f"{display_path(folder)} is not a plain folder: remove it and run again")
