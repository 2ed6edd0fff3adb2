"""Reads directories of TIFF 6.0 (section 2) and BigTIFF, which EXIF blocks of other formats use too. Pure."""

from __future__ import annotations

import struct

from imgcache.core import Undecodable
from imgcache.downloader.headers.partial_file import PartialFile

WIDTH, HEIGHT, ORIENTATION = 0x0100, 0x0101, 0x0112
_WANTED = frozenset({WIDTH, HEIGHT, ORIENTATION})
_NUMBERS = {3: "H", 4: "I", 16: "Q"}  # SHORT, LONG, LONG8: the types that a size or an orientation may have


def first_directory(file: PartialFile, base: int = 0, end: int | None = None) -> dict[int, int]:
    """Return width, height and orientation, as far as they are integers, from the first directory of a block.

    Args:
        file: the file.
        base: the offset of the block.
        end: where the block ends; None for the end of the file.

    Raises:
        MoreBytesNeeded: the directory is not available.
        Undecodable: this is no such block.
    """
    mark = file.read(base, 4)
    order = {b"II": "<", b"MM": ">"}.get(mark[:2])
    version = struct.unpack(f"{order}H", mark[2:])[0] if order else 0
    if order is None or version not in {42, 43}:
        raise Undecodable("the directory of tags has a wrong signature")
    form, width, entry = ("Q", 8, 20) if version == 43 else ("I", 4, 12)
    at = base + struct.unpack(order + form, file.read(base + width, width))[0]
    count_form, count_width = ("Q", 8) if version == 43 else ("H", 2)
    if end is not None and at + count_width > end:
        raise Undecodable("the directory of tags is outside its block")
    count = struct.unpack(order + count_form, file.read(at, count_width))[0]
    at += count_width
    limit = file.total if end is None else end
    if limit is not None:
        count = min(count, max(0, limit - at) // entry)  # the entries before the end are used, as by Pillow
    return _numbers(file.read(at, count * entry), order, form, entry)


def _numbers(block: bytes, order: str, form: str, entry: int) -> dict[int, int]:
    found = {}
    for tag, kind, count, value in struct.iter_unpack(f"{order}HH{form}{entry - 4 - struct.calcsize(form)}s", block):
        if tag in _WANTED and kind in _NUMBERS and count == 1:
            number = order + _NUMBERS[kind]
            if struct.calcsize(number) <= len(value):
                found[tag] = struct.unpack_from(number, value)[0]
    return found


def swaps_sides(file: PartialFile, base: int, end: int) -> bool:
    """Return whether the EXIF block between `base` and `end` swaps width and height (Exif 3.0, section 4.6.5: 5 to 8).

    A broken block is ignored. Raises MoreBytesNeeded.
    """
    try:
        return first_directory(file, base, end).get(ORIENTATION, 1) in {5, 6, 7, 8}
    except Undecodable:
        return False
