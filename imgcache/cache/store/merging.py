"""How the files of one image come into a folder that may hold some already, and the record of where they lie."""

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
    """The variants that have a file of their own, by its name; those with the original's bytes share its file.

    `sizes` are the bytes of the plain files in `folder`.

    Raises:
        DiskFull: a file is shorter than the worker said.
        ValueError: a name that is no plain file name, or stands twice.
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
    """Moves what is missing into a folder that is there. Returns the final name of each staged file.

    A file is replaced only where its name says which bytes it has to have, and it has others: then it is damaged.
    """
    if (folder / original).exists() and not _same(home / original, digest):
        (folder / original).rename(home / original)
    places: dict[str, str] = {}
    for staged, variant in files.items():
        wanted = names(staged, variant)
        name = next((name for name in wanted if _free(home / name) or _same(home / name, variant.digest)), wanted[-1])
        if not _same(home / name, variant.digest):
            (folder / staged).rename(home / name)
        places[staged] = name
    return places


def sizes_of(folder: Path) -> dict[str, int]:
    """The bytes of each plain file in a folder; -1 for what is none."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return {name: one.st_size if stat.S_ISREG(one.st_mode) else -1 for name, one in found}


def recorded(rendered: Rendered, digest: str, size: int, original: str, places: Mapping[str, str]) -> Asset:
    """The record of an image whose files have their places.

    Args:
        rendered: what the worker made; a variant that is not in `places` shares the original's file.
        digest: SHA-256 of the original, in hex.
        size: of the original, in bytes.
        original: its file's name.
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
    """Where a variant may lie: under its name, that of its recipe too, or that of its bytes too (another encoder)."""
    stem, _, extension = staged.rpartition(".")
    by_recipe = f"{stem}.{variant.recipe[:8]}"
    return staged, f"{by_recipe}.{extension}", f"{by_recipe}.{variant.digest[:8]}.{extension}"


def _free(path: Path) -> bool:
    return not os.path.lexists(path)


def _same(path: Path, digest: str) -> bool:
    return not path.is_symlink() and path.is_file() and sha256(path) == digest


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_link(folder: Path) -> None:
    """A link in place of a folder of ours would lead our writing somewhere else.

    Raises:
        DiskFull: it is one.
    """
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise DiskFull(f"{display_path(folder)} is no plain folder: remove it and run again")
