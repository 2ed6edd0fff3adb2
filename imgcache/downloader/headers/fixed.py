"""The size in formats that say it at a fixed place, or nearly: PNG, GIF, WebP, BMP, ICO, TIFF. Pure."""

from __future__ import annotations

import struct
import zlib

from imgcache.core import Undecodable
from imgcache.downloader.headers import ifd
from imgcache.downloader.headers.partial_file import Pieces

_PNG = b"\x89PNG\r\n\x1a\n"
_DIB_HEADERS = frozenset({40, 52, 56, 64, 108, 124})  # what Pillow reads beside OS/2's 12


def png(pieces: Pieces, at: int = 0) -> tuple[int, int, int]:
    """Width and height as displayed, and frames (PNG, third edition). Chunks before the data are stepped over."""
    first = pieces.take(at + 8, 25)
    if first[:8] != b"\0\0\0\x0dIHDR" or zlib.crc32(first[4:21]) != int.from_bytes(first[21:], "big"):
        raise Undecodable("the PNG's first chunk is damaged")
    width, height = struct.unpack_from(">II", first, 8)
    at, frames, sideways = at + 33, 1, False
    while True:
        length, kind = struct.unpack(">I4s", pieces.take(at, 8))
        if kind in {b"IDAT", b"IEND"}:
            return (height, width, frames) if sideways else (width, height, frames)
        if kind == b"acTL" and length >= 8:
            frames = max(1, pieces.number(at + 8, 4))
        elif kind == b"eXIf":
            sideways = ifd.lies_on_its_side(pieces, at + 8, at + 8 + length)
        at += 12 + length


def gif(pieces: Pieces) -> tuple[int, int]:
    """Width and height: the canvas, or the first frame where it reaches over it (GIF89a, sections 18 to 20)."""
    width, height, flags = struct.unpack("<HHB", pieces.take(6, 5))
    if not (width and height):
        raise Undecodable("the GIF's canvas has no size")
    at = 13 + _table(flags)
    while (kind := pieces.number(at, 1)) == 0x21:  # an extension
        at += 2
        while length := pieces.number(at, 1):
            at += length + 1
        at += 1
    if kind != 0x2C:
        raise Undecodable("the GIF holds no frame")
    left, top, wide, high = struct.unpack("<HHHH", pieces.take(at + 1, 8))
    return max(width, left + wide), max(height, top + high)


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def webp(pieces: Pieces) -> tuple[int, int]:
    """Width and height as displayed (WebP container specification; RFC 6386, section 9.1, for VP8).

    EXIF stands behind the picture, so the chunks are stepped over to reach it. Limit: that of an animation, which may
    have thousands of frames before it, is read only where it is in hand.
    """
    kind = pieces.take(12, 4)
    if kind == b"VP8X":
        return _extended(pieces)
    if kind == b"VP8L":
        signature, bits = struct.unpack("<BI", pieces.take(20, 5))
        if signature != 0x2F:
            raise Undecodable("the WebP's picture does not begin as one")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    frame = pieces.take(20, 10)
    if kind != b"VP8 " or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        raise Undecodable("the WebP's picture does not begin as one")
    width, height = struct.unpack_from("<HH", frame, 6)
    return width & 0x3FFF, height & 0x3FFF


def _extended(pieces: Pieces) -> tuple[int, int]:
    flags = pieces.number(20, 1)
    width, height = (1 + pieces.number(at, 3, "little") for at in (24, 27))
    end = 8 + pieces.number(4, 4, "little")
    if flags & 0x02 and end > len(pieces.head):
        return width, height
    at = 30
    while flags & 0x08 and at + 8 <= end:
        kind, length = struct.unpack("<4sI", pieces.take(at, 8))
        if kind == b"EXIF":
            start = at + 8
            start += 6 * (length >= 6 and pieces.take(start, 6) == b"Exif\0\0")  # a habit from JPEG
            return (height, width) if ifd.lies_on_its_side(pieces, start, at + 8 + length) else (width, height)
        at += 8 + length + (length & 1)
    return width, height


def bmp(pieces: Pieces, at: int = 14) -> tuple[int, int]:
    """Width and height of a bitmap whose header is at `at`; a negative height says that it is stored from the top."""
    size = pieces.number(at, 4, "little")
    if size == 12:
        width, height = struct.unpack("<HH", pieces.take(at + 4, 4))
        return width, height
    if size not in _DIB_HEADERS:
        raise Undecodable("the bitmap's header is of no known length")
    width, height = struct.unpack("<Ii", pieces.take(at + 4, 8))
    return width, abs(height)


def ico(pieces: Pieces) -> tuple[int, int]:
    """Width and height of the largest icon, by what its own header says: the list counts 256 as 0, and may lie."""
    entries = list(struct.iter_unpack("<BBBBHHII", pieces.take(6, 16 * pieces.number(4, 2, "little"))))
    if not entries:
        raise Undecodable("the icon file holds no icon")
    offset = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), -_depth(entry)))[7]
    if pieces.take(offset, 8) == _PNG:
        return png(pieces, offset)[:2]
    width, height = bmp(pieces, offset)
    return width, height // 2  # picture and mask, one above the other


def _depth(entry: tuple[int, ...]) -> int:
    colours, bits = entry[2], entry[5]
    return bits or (colours and (colours - 1).bit_length()) or 256


def tiff(pieces: Pieces) -> tuple[int, int]:
    """Width and height as displayed, of the first page, wherever its directory stands."""
    tags = ifd.first_directory(pieces)
    width, height = tags.get(ifd.WIDTH, 0), tags.get(ifd.HEIGHT, 0)
    return (height, width) if tags.get(ifd.ORIENTATION, 1) in {5, 6, 7, 8} else (width, height)
