"""Directories of TIFF 6.0 (section 2) and BigTIFF: in TIFF files, and in the EXIF blocks of other formats. Pure."""

from __future__ import annotations

import struct

from imgcache.core import Undecodable
from imgcache.downloader.headers.partial_file import Pieces

WIDTH, HEIGHT, ORIENTATION = 0x0100, 0x0101, 0x0112
_WANTED = frozenset({WIDTH, HEIGHT, ORIENTATION})
_NUMBERS = {3: "H", 4: "I", 16: "Q"}  # SHORT, LONG, LONG8: the types that a size or an orientation may have


def first_directory(pieces: Pieces, base: int = 0, end: int | None = None) -> dict[int, int]:
    """Of the first directory of the block at `base` the tags that matter here, as far as they are whole numbers.

    `end` is where the block ends. Raises Undecodable where the block is none, and as `Pieces.take`.
    """
    mark = pieces.take(base, 4)
    order = {b"II": "<", b"MM": ">"}.get(mark[:2])
    version = struct.unpack(f"{order}H", mark[2:])[0] if order else 0
    if order is None or version not in {42, 43}:
        raise Undecodable("the directory of tags does not begin as one")
    form, width, entry = ("Q", 8, 20) if version == 43 else ("I", 4, 12)
    at = base + struct.unpack(order + form, pieces.take(base + width, width))[0]
    count_form, count_width = ("Q", 8) if version == 43 else ("H", 2)
    if end is not None and at + count_width > end:
        raise Undecodable("the directory of tags lies outside its block")
    count = struct.unpack(order + count_form, pieces.take(at, count_width))[0]
    at += count_width
    limit = pieces.total if end is None else end
    if limit is not None:
        count = min(count, max(0, limit - at) // entry)  # the entries before the break count, as for Pillow
    return _numbers(pieces.take(at, count * entry), order, form, entry)


def _numbers(block: bytes, order: str, form: str, entry: int) -> dict[int, int]:
    found = {}
    for tag, kind, count, value in struct.iter_unpack(f"{order}HH{form}{entry - 4 - struct.calcsize(form)}s", block):
        if tag in _WANTED and kind in _NUMBERS and count == 1:
            number = order + _NUMBERS[kind]
            if struct.calcsize(number) <= len(value):
                found[tag] = struct.unpack_from(number, value)[0]
    return found


def lies_on_its_side(pieces: Pieces, base: int, end: int) -> bool:
    """Whether the EXIF block between `base` and `end` swaps width and height (Exif 3.0, section 4.6.5: 5 to 8).

    A broken block says nothing of the picture. Raises Needs.
    """
    try:
        return first_directory(pieces, base, end).get(ORIENTATION, 1) in {5, 6, 7, 8}
    except Undecodable:
        return False
