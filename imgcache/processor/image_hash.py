"""Computes the perceptual hash of an image: 64 bits that distinguish a new encoding from another picture.

It is a difference hash: the image, upright and on white, is scaled to 9 × 8 grey pixels, with one bit for each pixel
that is clearly brighter than its right neighbour. Size, encoder and brightness hardly change it. Limit: it ignores
colour and everything smaller than an eighth of the image.

It has to run in a worker process of the pool, like everything that decodes.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from PIL import Image

from imgcache.core import Limits
from imgcache.processor import colours
from imgcache.processor.header import UPRIGHT, decoder_errors, open_image, read_file

_COLUMNS, _ROWS = 9, 8
_CLEARLY = 2  # of 255: more than the noise of encoders in flat areas
_DRAFT_SIDE = 64  # pixels: the least side at which a JPEG is decoded


def perceptual_hash(path: str | Path, limits: Limits) -> int:
    """Returns the hash of an image file, 0 to 2**64 - 1; of an animation that of its first frame.

    Raises:
        ImageError: as `probe`; DecoderCrash when memory runs out.
    """
    return perceptual_hash_of(read_file(path), limits)


def perceptual_hash_of(body: bytes, limits: Limits) -> int:
    """Returns the hash of an image file in memory.

    Raises:
        ImageError: as `probe`, except MissingFile; DecoderCrash when memory runs out.
    """
    with decoder_errors(limits):
        opened = open_image(body, limits)
        image = opened.image
        profile = image.info.get("icc_profile")
        if opened.header.format == "jpeg":
            image.draft(None, (_DRAFT_SIDE, _DRAFT_SIDE))
        image.load()
        image = colours.to_eight_bits(image)
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
