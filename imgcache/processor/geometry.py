"""How large each variant comes out, and which part of the picture it shows: whole numbers only, nothing enlarged."""

from __future__ import annotations

from typing import NamedTuple

from imgcache.models import Recipe, Size

# The longest side that a format's encoder takes: VP8's 14 bits (RFC 6386, section 9.1); libjpeg's JPEG_MAX_DIMENSION;
# libavif's default dimension limit. Longer pictures come out smaller, for a variant of some size beats none.
LONGEST = {"webp": 16_383, "jpeg": 65_500, "auto": 65_500, "avif": 32_768}


class Target(NamedTuple):
    """One variant's geometry. `crop` is (left, top, right, bottom) in pixels of the displayed original.

    `full` is the size that the whole original has at the variant's scale: a source of at least that size is enough.
    """

    size: Size
    crop: tuple[int, int, int, int]
    full: Size


def target(recipe: Recipe, size: Size) -> Target:
    """What `recipe` makes of an original that is displayed at `size`."""
    longest = LONGEST.get(recipe.format, 1 << 31)
    width, height = min(recipe.width or size.width, longest), min(recipe.height or size.height, longest)
    covers = recipe.fit == "cover" and recipe.width and recipe.height
    part = _largest_part(size, width, height) if covers else size
    exact = covers and size.width >= width and size.height >= height
    out = Size(width, height) if exact else inside(part, width, height)
    if part == size:
        return Target(out, (0, 0, size.width, size.height), out)
    left, top = (size.width - part.width) // 2, (size.height - part.height) // 2
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


def _divide(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)  # to the nearest, halves up
