"""Makes the transparent image that replaces a missing one, with `fallback: placeholder`. Pure.

The logical screen of a GIF may be larger than the image on it (GIF89a, sections 18 and 20): 43 bytes make a transparent
image of any size.
"""

from __future__ import annotations

import struct

_MAX_SIDE = 4096  # pixels; a browser needs four bytes of memory for each pixel
_SCREEN = struct.Struct("<6sHHBBB")
_ONE_PIXEL = (
    b"\x00\x00\x00\x00\x00\x00"  # two colours
    b"\x21\xf9\x04\x01\x00\x00\x00\x00"  # the first one is transparent
    b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00"
    b"\x02\x02\x44\x01\x00\x3b"
)


def gif(width: int, height: int) -> bytes:
    """Returns a transparent GIF of this size in pixels, scaled down to at most 4096 on each side."""
    scale = min(1.0, _MAX_SIDE / max(width, height))
    across, down = (max(1, round(side * scale)) for side in (width, height))
    return _SCREEN.pack(b"GIF89a", across, down, 0x80, 0, 0) + _ONE_PIXEL
