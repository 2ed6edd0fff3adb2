"""Reads the size in formats that have it at a fixed offset, or nearly: PNG, GIF, WebP, BMP, ICO, TIFF. Pure."""

from __future__ import annotations

import struct
import zlib

from imgcache.core import Undecodable
from imgcache.downloader.headers import ifd
from imgcache.downloader.headers.partial_file import PartialFile

_PNG = b"\x89PNG\r\n\x1a\n"
_DIB_HEADERS = frozenset({40, 52, 56, 64, 108, 124})  # the lengths that Pillow reads, beside 12 of OS/2


def png(file: PartialFile, at: int = 0) -> tuple[int, int, int]:
    """Return width and height as displayed, and frames (PNG, third edition). Chunks before the data are skipped."""
    first = file.read(at + 8, 25)
    if first[:8] != b"\0\0\0\x0dIHDR" or zlib.crc32(first[4:21]) != int.from_bytes(first[21:], "big"):
        raise Undecodable("the PNG's first chunk is damaged")
    width, height = struct.unpack_from(">II", first, 8)
    at, frames, is_rotated = at + 33, 1, False
    while True:
        length, kind = struct.unpack(">I4s", file.read(at, 8))
        if kind in {b"IDAT", b"IEND"}:
            return (height, width, frames) if is_rotated else (width, height, frames)
        if kind == b"acTL" and length >= 8:
            frames = max(1, file.integer(at + 8, 4))
        elif kind == b"eXIf":
            is_rotated = ifd.swaps_sides(file, at + 8, at + 8 + length)
        at += 12 + length


def gif(file: PartialFile) -> tuple[int, int]:
    """Return width and height of the canvas, or of the first frame where it is larger (GIF89a, sections 18 to 20)."""
    width, height, flags = struct.unpack("<HHB", file.read(6, 5))
    if not (width and height):
        raise Undecodable("the GIF's canvas has no size")
    at = 13 + _table(flags)
    while (kind := file.integer(at, 1)) == 0x21:  # an extension
        at += 2
        while length := file.integer(at, 1):
            at += length + 1
        at += 1
    if kind != 0x2C:
        raise Undecodable("the GIF has no frame")
    left, top, wide, high = struct.unpack("<HHHH", file.read(at + 1, 8))
    return max(width, left + wide), max(height, top + high)


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def webp(file: PartialFile) -> tuple[int, int]:
    """Return width and height as displayed (WebP container specification; RFC 6386, section 9.1, for VP8).

    EXIF follows the image, so the chunks before it are skipped. Limit: that of an animation, which may follow thousands
    of frames, is read only where it is available.
    """
    kind = file.read(12, 4)
    if kind == b"VP8X":
        return _extended(file)
    if kind == b"VP8L":
        signature, bits = struct.unpack("<BI", file.read(20, 5))
        if signature != 0x2F:
            raise Undecodable("the WebP's image data have a wrong signature")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    frame = file.read(20, 10)
    if kind != b"VP8 " or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        raise Undecodable("the WebP's image data have a wrong signature")
    width, height = struct.unpack_from("<HH", frame, 6)
    return width & 0x3FFF, height & 0x3FFF


def _extended(file: PartialFile) -> tuple[int, int]:
    flags = file.integer(20, 1)
    width, height = (1 + file.integer(at, 3, "little") for at in (24, 27))
    end = 8 + file.integer(4, 4, "little")
    if flags & 0x02 and end > len(file.head):
        return width, height
    at = 30
    while flags & 0x08 and at + 8 <= end:
        kind, length = struct.unpack("<4sI", file.read(at, 8))
        if kind == b"EXIF":
            start = at + 8
            start += 6 * (length >= 6 and file.read(start, 6) == b"Exif\0\0")  # some writers add the prefix of JPEG
            return (height, width) if ifd.swaps_sides(file, start, at + 8 + length) else (width, height)
        at += 8 + length + (length & 1)
    return width, height


def bmp(file: PartialFile, at: int = 14) -> tuple[int, int]:
    """Return width and height of a bitmap whose header is at `at`; a negative height means top-down order."""
    size = file.integer(at, 4, "little")
    if size == 12:
        width, height = struct.unpack("<HH", file.read(at + 4, 4))
        return width, height
    if size not in _DIB_HEADERS:
        raise Undecodable("the bitmap's header has an unknown length")
    width, height = struct.unpack("<Ii", file.read(at + 4, 8))
    return width, abs(height)


def ico(file: PartialFile) -> tuple[int, int]:
    """Return width and height of the largest icon, by its own header: the directory has 0 for 256, and may be wrong."""
    entries = list(struct.iter_unpack("<BBBBHHII", file.read(6, 16 * file.integer(4, 2, "little"))))
    if not entries:
        raise Undecodable("the icon file has no icon")
    offset = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), -_depth(entry)))[7]
    if file.read(offset, 8) == _PNG:
        return png(file, offset)[:2]
    width, height = bmp(file, offset)
    return width, height // 2  # image and mask, one above the other


def _depth(entry: tuple[int, ...]) -> int:
    colours, bits = entry[2], entry[5]
    return bits or (colours and (colours - 1).bit_length()) or 256


def tiff(file: PartialFile) -> tuple[int, int]:
    """Return width and height as displayed, of the first page; its directory may be anywhere in the file."""
    tags = ifd.first_directory(file)
    width, height = tags.get(ifd.WIDTH, 0), tags.get(ifd.HEIGHT, 0)
    return (height, width) if tags.get(ifd.ORIENTATION, 1) in {5, 6, 7, 8} else (width, height)
