"""Reads 16-bit samples completely. Of RGB, Pillow's decoders keep only the high byte of each sample.

The low bytes are read by decoding again with the byte order exchanged. Limit: this works for PNG and TIFF in RGB and
RGBA; grey is complete in Pillow. Grey with alpha, CMYK and animations are read at 8 bits. So are AVIF and JPEG 2000,
because their decoders return no more.
"""

from __future__ import annotations

import io
import sys

from PIL import Image, ImageFile

from imgcache.processor.header import OpenedImage
from imgcache.processor.linear_light import Samples

_NATIVE = "L" if sys.byteorder == "little" else "B"
_SWAPPED = {
    f"{mode};16{order}": f"{mode};16{'B' if (_NATIVE if order == 'N' else order) == 'L' else 'L'}"
    for mode in ("RGB", "RGBA")
    for order in "LBN"
}


def read_samples(opened: OpenedImage) -> Samples | None:
    """Load a picture with both bytes of each sample.

    Returns None, and does not load it, if it has 8 bits or if its low bytes cannot be read.
    """
    image = opened.image
    if image.mode.startswith("I;16"):
        data, high, low = image.tobytes(), "L;16", "L;16B"
        if image.mode.endswith("B"):
            high, low = low, high
        return Samples(*(Image.frombytes("L", image.size, data, "raw", half) for half in (high, low)))
    if opened.header.frames != 1 or not isinstance(image, ImageFile.ImageFile) or "transparency" in image.info:
        return None
    tiles = [_swapped(tile) for tile in getattr(image, "tile", None) or ()]
    if not tiles or None in tiles:
        return None
    again = type(image)(io.BytesIO(opened.body))
    again.tile = [tile for tile in tiles if tile is not None]
    for half in (image, again):
        half.load()
    return Samples(image, again)


def _swapped(tile: ImageFile._Tile) -> ImageFile._Tile | None:
    """Returns the tile with its byte order exchanged; None if it has 8 bits."""
    if isinstance(tile.args, str):
        return tile._replace(args=_SWAPPED[tile.args]) if tile.args in _SWAPPED else None
    if tile.args and tile.args[0] in _SWAPPED:
        return tile._replace(args=(_SWAPPED[tile.args[0]], *tile.args[1:]))
    return None
