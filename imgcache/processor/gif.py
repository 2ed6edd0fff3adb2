"""The frames of a GIF, counted from its blocks with nothing decompressed (GIF89a specification, sections 15 to 26).

Pillow counts by visiting every frame; this stops at a limit, sees extents that no canvas announced, and notices a body
that ends inside a block of a frame nobody will decode. A missing trailer is forgiven, as browsers do.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from imgcache.errors import TooManyFrames, Undecodable

_TRAILER, _EXTENSION, _IMAGE = 0x3B, 0x21, 0x2C
_GRAPHIC_CONTROL = 0xF9


class GifShape(NamedTuple):
    """Frames, and the pixels of the largest of them or of the canvas, whichever is more."""

    frames: int
    pixels: int
    transparent: bool


def shape(body: bytes, most: int) -> GifShape:
    """The shape of a whole GIF.

    Raises:
        TooManyFrames: more than `most`.
        Undecodable: no frame, or the body ends inside a block.
    """
    try:
        return _walk(body, most)
    except (IndexError, struct.error) as error:
        raise Undecodable("the GIF ends in the middle of a block: the file is cut off") from error


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
            raise TooManyFrames(f"the GIF has more than {most} frames")
    if not frames:
        raise Undecodable("the GIF holds no frame")
    return GifShape(frames, pixels, transparent)


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip(body: bytes, at: int) -> int:
    """Past a chain of sub-blocks."""
    while length := body[at]:
        at += length + 1
    return at + 1
