"""Computes the size and the crop of each variant, in whole pixels. Nothing is enlarged."""

from __future__ import annotations

import math
from typing import NamedTuple

from imgcache.core import FORMATS, VARIANT_FORMATS, Recipe, Size
from imgcache.processor.crops import CENTER, Point

# The longest side that each encoder takes. A longer picture is made smaller, because that is better than no variant.
_LONGEST = {name: FORMATS[name].longest_side for name in VARIANT_FORMATS}
_LONGEST |= {"auto": min(_LONGEST["jpeg"], _LONGEST["png"]), "best": min(_LONGEST.values())}


class Target(NamedTuple):
    """The geometry of one variant.

    `crop` is (left, top, right, bottom) in pixels of the displayed original. `full` is the size of the whole original
    at the scale of the variant: a source of at least that size is enough.
    """

    size: Size
    crop: tuple[int, int, int, int]
    full: Size

    def is_part(self, size: Size) -> bool:
        """Whether it shows only a part of an original of this size."""
        return self.crop != (0, 0, size.width, size.height)


def plan_target(recipe: Recipe, size: Size, point: Point = CENTER) -> Target:
    """Compute the geometry of a recipe.

    Args:
        recipe: of the variant.
        size: of the original as displayed.
        point: the middle of the crop, as far as the edges allow. No size depends on it.
    """
    longest = _LONGEST[recipe.format]
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
    """Returns the largest size of the same shape within width × height and `size`; a side is at least 1."""
    if size.width <= width and size.height <= height:
        return size
    if size.width * height >= size.height * width:
        return Size(width, max(1, _divide(size.height * width, size.width)))
    return Size(max(1, _divide(size.width * height, size.height)), height)


def _largest_part(size: Size, width: int, height: int) -> Size:
    """Returns the largest part of `size` with the shape width : height, to the nearest pixel."""
    if size.width * height > size.height * width:
        return Size(max(1, _divide(size.height * width, height)), size.height)
    return Size(size.width, max(1, _divide(size.width * height, width)))


def _start(middle: float, whole: int, part: int) -> int:
    """Returns the start of a part whose middle is at a fraction of the whole, moved so that it is inside."""
    nearest = math.ceil(middle * whole - part / 2 - 0.5)  # halves down
    return min(max(0, nearest), whole - part)


def _divide(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)  # to the nearest, halves up
