"""The size in a JPEG's markers (ITU-T T.81, annex B). Pure."""

from __future__ import annotations

from imgcache.core import Undecodable
from imgcache.downloader.headers.ifd import lies_on_its_side
from imgcache.downloader.headers.partial_file import Pieces

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn; the others are DHT, JPG and DAC
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RSTn, SOI: no length, no content
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9


def size(pieces: Pieces) -> tuple[int, int]:
    """Width and height as displayed.

    Segments are stepped over, so pictures inside EXIF do not count, and a large one need not be in hand. The way goes
    on to the scan: EXIF may stand behind the frame's header, and the last of several frame headers counts, as for
    Pillow.
    """
    at, found, sideways, is_read = 2, None, False, False
    while True:
        marker, at = _next(pieces, at)
        if marker in _ALONE:
            continue
        if marker == _SCAN and found:
            return found[::-1] if sideways else found
        if marker in {_SCAN, _END}:
            raise Undecodable("the JPEG has no frame header before its data")
        length = pieces.number(at, 2)
        if length < 2:
            raise Undecodable("a segment of the JPEG has no length")
        if marker in _FRAMES:
            if pieces.number(at + 2, 1) != 8:
                raise Undecodable("the JPEG has samples of other than 8 bits")
            found = pieces.number(at + 5, 2), pieces.number(at + 3, 2)
        elif marker == _APP1 and not is_read and length >= 8 and pieces.take(at + 2, 6) == b"Exif\0\0":
            sideways, is_read = lies_on_its_side(pieces, at + 8, at + length), True
        at += length


def _next(pieces: Pieces, at: int) -> tuple[int, int]:
    """The next marker, and where its content begins; whatever stands between segments is passed over (B.1.1.2)."""
    while True:
        mark, code = pieces.take(at, 2)
        if mark == 0xFF and code not in {0x00, 0xFF}:
            return code, at + 2
        if mark == 0xFF:
            at += 2 if code == 0x00 else 1
            continue
        rest = pieces.rest(at)
        begin = rest.find(0xFF)
        at += begin if begin >= 0 else len(rest)
