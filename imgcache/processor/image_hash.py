"""What a picture looks like, in 64 bits: to tell another file of one picture from another picture.

A difference hash: the whole picture, upright and on white, scaled to 9 × 8 grey pixels; a bit for each pixel that is
clearly brighter than its right neighbour. Sizes, encoders and brightness hardly change it. Limit: it sees neither
colour nor anything smaller than an eighth of the picture.

Meant to run in a worker process of `render_pool`, as all that decodes.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from PIL import Image

from imgcache.core import Limits
from imgcache.processor import colours
from imgcache.processor.header import UPRIGHT, contained, open_image, read_file

_COLUMNS, _ROWS = 9, 8
_CLEARLY = 2  # of 255: in a flat area the noise of an encoder decides nothing
_ENOUGH = 64  # pixels a side that a JPEG is decoded to at least


def perceptual_hash(path: str | Path, limits: Limits) -> int:
    """The hash of the image at `path`, 0 to 2**64 - 1, of an animation's first frame.

    Raises:
        ImageError: as `probe`, DecoderCrash when memory runs out.
    """
    return likeness_of(read_file(path), limits)


def likeness_of(body: bytes, limits: Limits) -> int:
    """`likeness` of a whole file in memory.

    Raises:
        ImageError: as `probe`, but MissingFile; DecoderCrash when memory runs out.
    """
    with contained(limits):
        opened = open_image(body, limits)
        image = opened.image
        profile = image.info.get("icc_profile")
        if opened.header.format == "jpeg":
            image.draft(None, (_ENOUGH, _ENOUGH))
        image.load()
        image = colours.eight_bit(image)
        if opened.orientation != 1:
            image = image.transpose(UPRIGHT[opened.orientation])
        image, _ = colours.to_srgb(image, profile if isinstance(profile, bytes) else None)
        return _hash(colours.on_white(image).convert("L"))


def _hash(grey: Image.Image) -> int:
    samples = grey.resize((_COLUMNS, _ROWS), Image.Resampling.BOX).tobytes()
    bits = 0
    for row in range(_ROWS):
        line = samples[row * _COLUMNS : (row + 1) * _COLUMNS]
        for left, right in pairwise(line):
            bits = bits << 1 | (left > right + _CLEARLY)
    return bits
