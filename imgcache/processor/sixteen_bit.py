"""Samples of 16 bits, whole: of RGB, Pillow's decoders keep the high byte of each and drop the low one.

Both are had by decoding twice, the second time with the order of the bytes exchanged: then the low byte is the one that
stays. Limit: that is done for PNG and TIFF in RGB and RGBA, and for grey, which Pillow has whole. Grey with alpha, CMYK
and animations are read at 8 bits; so are AVIF and JPEG 2000, whose decoders give no more (AVIF's rounds, the others
cut).
"""

from __future__ import annotations

import io
import sys

from PIL import Image, ImageFile

from imgcache.processor.header import Opened
from imgcache.processor.linear_light import Samples

_NATIVE = "L" if sys.byteorder == "little" else "B"
_SWAPPED = {
    f"{mode};16{order}": f"{mode};16{'B' if (_NATIVE if order == 'N' else order) == 'L' else 'L'}"
    for mode in ("RGB", "RGBA")
    for order in "LBN"
}


def samples(opened: Opened) -> Samples | None:
    """A picture that is not loaded yet, with both bytes of each sample.

    None if it has 8 bits, or if there is no way to have more; then it is still not loaded.
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
    """The same piece of a file to be read with its bytes exchanged; None if it has 8 bits."""
    if isinstance(tile.args, str):
        return tile._replace(args=_SWAPPED[tile.args]) if tile.args in _SWAPPED else None
    if tile.args and tile.args[0] in _SWAPPED:
        return tile._replace(args=(_SWAPPED[tile.args[0]], *tile.args[1:]))
    return None
