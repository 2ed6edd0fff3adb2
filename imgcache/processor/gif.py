"""Reads the blocks of a GIF without decompressing them (GIF89a specification, sections 15 to 26).

Pillow counts frames by visiting each of them. This stops at a limit, finds frames that are larger than the canvas, and
detects truncation inside a block. A missing trailer is accepted, as in browsers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from imgcache.core import TooManyFrames, Undecodable, plural

_TRAILER, _EXTENSION, _IMAGE = 0x3B, 0x21, 0x2C
_GRAPHIC_CONTROL = 0xF9


class GifShape(NamedTuple):
    """The number of frames, and the pixels of the canvas or the largest frame, whichever is more."""

    frames: int
    pixels: int
    transparent: bool


class GifPart(NamedTuple):
    """One frame as stored. `delay` is in hundredths of a second; `alone` is a GIF of this frame only."""

    left: int
    top: int
    width: int
    height: int
    delay: int
    disposal: int
    alone: bytes


def shape(body: bytes, most: int) -> GifShape:
    """Count frames and pixels of a whole GIF.

    Raises:
        TooManyFrames: there are more than `most` frames.
        Undecodable: there is no frame, or the file is truncated.
    """
    try:
        return _walk(body, most)
    except (IndexError, struct.error) as error:
        raise Undecodable("the GIF ends inside a block: the file is cut off") from error


def parts(body: bytes) -> Iterator[GifPart]:
    """Yields the frames of a GIF that `shape` has accepted."""
    flags = body[10]
    at = 13 + _table(flags)
    colours, bits = body[13:at], flags & 0x87
    control = b"\0\0\0\0"
    while at < len(body) and body[at] in {_EXTENSION, _IMAGE}:
        if body[at] == _EXTENSION:
            if body[at + 1] == _GRAPHIC_CONTROL:
                control = body[at + 3 : at + 7]
            at = _skip(body, at + 2)
            continue
        left, top, wide, high, flags = struct.unpack_from("<HHHHB", body, at + 1)
        data = at + 10 + _table(flags)
        end = _skip(body, data + 1)
        table, depth = (body[at + 10 : data], flags & 0x87) if flags & 0x80 else (colours, bits)
        picture = struct.pack("<BHHHHB", _IMAGE, 0, 0, wide, high, flags & 0x40) + body[data:end]  # interlaced or not
        yield GifPart(
            *(left, top, wide, high),
            delay=struct.unpack_from("<H", control, 1)[0],
            disposal=control[0] >> 2 & 7,
            alone=_still(wide, high, table, depth, control) + picture + bytes([_TRAILER]),
        )
        at, control = end, b"\0\0\0\0"


def _still(width: int, height: int, colours: bytes, bits: int, control: bytes) -> bytes:
    """Returns the start of a GIF: screen, colour table, and the transparent colour."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, bits, 0, 0) + colours
    return screen + bytes([_EXTENSION, _GRAPHIC_CONTROL, 4, control[0] & 1, 0, 0, control[3], 0])


def _walk(body: bytes, most: int) -> GifShape:
    width, height, flags = struct.unpack_from("<HHB", body, 6)
    at, frames, pixels, transparent = 13 + _table(flags), 0, width * height, False
    while at < len(body) and body[at] in {_EXTENSION, _IMAGE}:
        if body[at] == _EXTENSION:
            transparent |= body[at + 1] == _GRAPHIC_CONTROL and bool(body[at + 3] & 1)
            at = _skip(body, at + 2)
            continue
        left, top, wide, high, flags = struct.unpack_from("<HHHHB", body, at + 1)
        pixels = max(pixels, (left + wide) * (top + high))
        at = _skip(body, at + 11 + _table(flags))
        frames += 1
        if frames > most:
            raise TooManyFrames(f"the GIF has more than {plural(most, 'frame')}")
    if not frames:
        raise Undecodable("the GIF has no frame")
    return GifShape(frames, pixels, transparent)


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip(body: bytes, at: int) -> int:
    """Returns the position after a chain of sub-blocks."""
    while length := body[at]:
        at += length + 1
    return at + 1
