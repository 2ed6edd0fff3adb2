"""The neutral image that stands for one that is not held, if the configuration wants it. Pure.

A GIF's screen may be larger than the picture on it (GIF89a, sections 18 and 20): 43 bytes for any size, all
transparent, with nothing rendered.
"""

from __future__ import annotations

import struct

_LARGEST = 4096  # pixels a side: a browser needs four bytes for each pixel of the screen
_SCREEN = struct.Struct("<6sHHBBB")
_ONE_PIXEL = (
    b"\x00\x00\x00\x00\x00\x00"  # two colours
    b"\x21\xf9\x04\x01\x00\x00\x00\x00"  # the first of them is transparent
    b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00"
    b"\x02\x02\x44\x01\x00\x3b"
)


def gif(width: int, height: int) -> bytes:
    """A transparent image of this size in pixels, in the same shape where that is larger than 4096 a side."""
    scale = min(1.0, _LARGEST / max(width, height))
    across, down = (max(1, round(side * scale)) for side in (width, height))
    return _SCREEN.pack(b"GIF89a", across, down, 0x80, 0, 0) + _ONE_PIXEL
