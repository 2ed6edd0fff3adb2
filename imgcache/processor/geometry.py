"""How large each variant comes out, and which part of the picture it shows: whole numbers only, nothing enlarged."""

from __future__ import annotations

import math
from typing import NamedTuple

from imgcache.core import Recipe, Size
from imgcache.processor.crops import CENTER, Point

# The longest side that a format's encoder takes: VP8's 14 bits (RFC 6386, section 9.1); libjpeg's JPEG_MAX_DIMENSION;
# libavif's default dimension limit. Longer pictures come out smaller, for a variant of some size beats none.
LONGEST = {"webp": 16_383, "jpeg": 65_500, "auto": 65_500, "best": 16_383, "avif": 32_768}


class Target(NamedTuple):
    """One variant's geometry. `crop` is (left, top, right, bottom) in pixels of the displayed original.

    `full` is the size that the whole original has at the variant's scale: a source of at least that size is enough.
    """

    size: Size
    crop: tuple[int, int, int, int]
    full: Size

    def is_part(self, size: Size) -> bool:
        """Whether something of an original of this size is left out."""
        return self.crop != (0, 0, size.width, size.height)


def target(recipe: Recipe, size: Size, point: Point = CENTER) -> Target:
    """What `recipe` makes of an original that is displayed at `size`; a crop has `point` as near its middle as it can.

    Only the place of the crop depends on `point`, no size does.
    """
    longest = LONGEST.get(recipe.format, 1 << 31)
    width, height = min(recipe.width or size.width, longest), min(recipe.height or size.height, longest)
    part = _largest_part(size, width, height) if recipe.crops else size
    exact = recipe.crops and size.width >= width and size.height >= height
    out = Size(width, height) if exact else inside(part, width, height)
    if part == size:
        return Target(out, (0, 0, size.width, size.height), out)
    left, top = _start(point.x, size.width, part.width), _start(point.y, size.height, part.height)
    full = Size(-(-size.width * out.width // part.width), -(-size.height * out.height // part.height))
    return Target(out, (left, top, left + part.width, top + part.height), full)


def inside(size: Size, width: int, height: int) -> Size:
    """The largest size of the same shape within width × height, and not larger than `size`; a side is at least 1."""
    if size.width <= width and size.height <= height:
        return size
    if size.width * height >= size.height * width:
        return Size(width, max(1, _divide(size.height * width, size.width)))
    return Size(max(1, _divide(size.width * height, size.height)), height)


def _largest_part(size: Size, width: int, height: int) -> Size:
    """The largest part of `size` that has the shape width : height, to the nearest pixel."""
    if size.width * height > size.height * width:
        return Size(max(1, _divide(size.height * width, height)), size.height)
    return Size(size.width, max(1, _divide(size.width * height, width)))


def _start(middle: float, whole: int, part: int) -> int:
    """Where a part begins whose middle is at a fraction of the whole: moved inwards, so that all of it is there."""
    nearest = math.ceil(middle * whole - part / 2 - 0.5)  # halves down
    return min(max(0, nearest), whole - part)


def _divide(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)  # to the nearest, halves up
