"""Reads the size in the markers of a JPEG (ITU-T T.81, annex B). Pure."""

from __future__ import annotations

from imgcache.core import Undecodable
from imgcache.downloader.headers.ifd import swaps_sides
from imgcache.downloader.headers.partial_file import PartialFile

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn; the others are DHT, JPG and DAC
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RSTn, SOI: neither length nor content
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9


def size(file: PartialFile) -> tuple[int, int]:
    """Return width and height as displayed.

    Segments are skipped, so thumbnails inside EXIF do not matter, and the content of a large segment is not needed. All
    segments before the scan are read: EXIF may follow the frame header, and the last of several frame headers counts,
    as for Pillow.
    """
    at, found, is_rotated, exif_seen = 2, None, False, False
    while True:
        marker, at = _next(file, at)
        if marker in _STANDALONE:
            continue
        if marker == _SCAN and found:
            return found[::-1] if is_rotated else found
        if marker in {_SCAN, _END}:
            raise Undecodable("the JPEG has no frame header before its data")
        length = file.integer(at, 2)
        if length < 2:
            raise Undecodable("a segment of the JPEG has no length")
        if marker in _FRAMES:
            if file.integer(at + 2, 1) != 8:
                raise Undecodable("the JPEG has samples of other than 8 bits")
            found = file.integer(at + 5, 2), file.integer(at + 3, 2)
        elif marker == _APP1 and not exif_seen and length >= 8 and file.read(at + 2, 6) == b"Exif\0\0":
            is_rotated, exif_seen = swaps_sides(file, at + 8, at + length), True
        at += length


def _next(file: PartialFile, at: int) -> tuple[int, int]:
    """Return the next marker, and where its content begins; bytes between segments are skipped (B.1.1.2)."""
    while True:
        mark, code = file.read(at, 2)
        if mark == 0xFF and code not in {0x00, 0xFF}:
            return code, at + 2
        if mark == 0xFF:
            at += 2 if code == 0x00 else 1
            continue
        rest = file.rest(at)
        begin = rest.find(0xFF)
        at += begin if begin >= 0 else len(rest)
