"""Scales pictures in floating point: in linear light, and with 16-bit samples.

This is exact Lanczos 3, without a reduction before it. The picture is processed in strips, so that memory does not grow
with its size. Linear light is that of sRGB (IEC 61966-2-1). Pictures with another profile use the same curve, which is
exact for Display P3 and close for others.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from PIL import Image, ImageMath

from imgcache.processor.lanczos import Box

STRIP = 2_000_000  # pixels of the original in one strip, of about 30 bytes each
_REACH = 3  # of Lanczos 3, in pixels of the coarser image


class Samples(NamedTuple):
    """A picture in L, RGB or RGBA: the high bytes of its samples, and the low bytes, None for 8-bit samples."""

    high: Image.Image
    low: Image.Image | None = None


def scale(
    samples: Samples, size: tuple[int, int], box: Box | None = None, *, linear: bool, strip: int = STRIP
) -> Image.Image:
    """Scale the part `box` of a picture to `size`, in 8-bit L, RGB or RGBa. Colours are weighted by opacity.

    `strip` is the number of pixels of the original that are scaled at a time.
    """
    image = samples.high
    left, top, right, bottom = box or (0, 0, *image.size)
    planes = [Image.new("F", size) for _ in image.getbands()]
    step = (bottom - top) / size[1]
    margin = math.ceil(_REACH * max(1.0, step)) + 1
    rows = max(1, int(strip / image.width / step))
    for start in range(0, size[1], rows):
        end = min(start + rows, size[1])
        first, last = top + start * step, min(top + end * step, bottom)
        upper, lower = max(0, math.floor(first) - margin), min(image.height, math.ceil(last) + margin)
        area = (0, upper, image.width, lower)
        part = Samples(image.crop(area), samples.low and samples.low.crop(area))
        there = (left, first - upper, right, last - upper)
        for plane, scaled in zip(planes, _strips(part, (size[0], end - start), there, linear), strict=True):
            plane.paste(scaled, (0, start))
    return _rounded(planes, linear)


def _strips(samples: Samples, size: tuple[int, int], box: Box, linear: bool) -> Iterator[Image.Image]:
    """Yields the scaled planes of one strip. Colours are not premultiplied."""
    *names, last = samples.high.getbands()
    if last != "A":
        for name in (*names, last):
            yield _plane(samples, name, linear=linear).resize(size, Image.Resampling.LANCZOS, box=box)
        return
    opacity = _plane(samples, "A", linear=False)
    small = opacity.resize(size, Image.Resampling.LANCZOS, box=box)
    for name in names:
        weighed = _product(_plane(samples, name, linear=linear), opacity)
        yield _ratio(weighed.resize(size, Image.Resampling.LANCZOS, box=box), small)
    yield small


def _plane(samples: Samples, name: str, *, linear: bool) -> Image.Image:
    """Returns one channel in 32-bit floating point, 0 to 65535: light where `linear`, else as stored."""
    high = samples.high.getchannel(name)
    if samples.low is None:
        return high.point(_levels(257, linear)[:256], "F")
    levels = _levels(256, linear)  # the curve is linear within each of 256 steps
    low = samples.low.getchannel(name).point(list(map(float, range(256))), "F")
    slope = high.point([(after - before) / 256 for before, after in pairwise(levels)], "F")
    return _sum(high.point(levels[:256], "F"), _product(slope, low))


@functools.lru_cache(maxsize=4)
def _levels(step: int, linear: bool) -> list[float]:
    """Returns the values of the samples 0, `step`, 2 × `step` … of 65535; 257 values."""
    stored = [min(1.0, level * step / 65_535) for level in range(257)]
    return [65_535 * (_light(value) if linear else value) for value in stored]


def _rounded(planes: Sequence[Image.Image], linear: bool) -> Image.Image:
    """Converts planes of `_plane` to an 8-bit sRGB picture."""
    *colours, last = planes
    if linear:
        has_alpha = len(planes) == 4
        done = _encoded(colours if has_alpha else planes)
        done += [_eighth(last)] if has_alpha else []
    else:
        done = [_eighth(plane) for plane in planes]
    if len(done) == 1:
        return done[0]
    return Image.merge("RGB", done) if len(done) == 3 else Image.merge("RGBA", done).convert("RGBa")


def _eighth(plane: Image.Image) -> Image.Image:
    return plane.point(lambda value: value * (1 / 257) + 0.5).convert("L")  # 65535 / 255


def _encoded(planes: Sequence[Image.Image]) -> list[Image.Image]:
    """Encodes light as sRGB, all planes at once, because passing the table takes longer than the lookup."""
    width, height = planes[0].size
    stack = Image.new("F", (width, height * len(planes)))
    for index, plane in enumerate(planes):
        stack.paste(plane, (0, index * height))
    codes = stack.point(lambda value: value * 1 + 0.5).convert("I").point(_codes(), "L")
    return [codes.crop((0, index * height, width, (index + 1) * height)) for index in range(len(planes))]


@functools.cache
def _codes() -> list[int]:
    return [round(255 * _stored(level / 65_535)) for level in range(65_536)]


def _light(stored: float) -> float:
    return stored / 12.92 if stored <= 0.04045 else ((stored + 0.055) / 1.055) ** 2.4


def _stored(light: float) -> float:
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def _product(one: Image.Image, other: Image.Image) -> Image.Image:
    product: Image.Image = ImageMath.lambda_eval(lambda of: of["one"] * of["other"], one=one, other=other)
    return product


def _ratio(one: Image.Image, other: Image.Image) -> Image.Image:
    """Divides; the result is 0 where `other` is 0."""
    ratio: Image.Image = ImageMath.lambda_eval(lambda of: of["one"] / of["other"], one=one, other=other)
    return ratio


def _sum(one: Image.Image, other: Image.Image) -> Image.Image:
    total: Image.Image = ImageMath.lambda_eval(lambda of: of["one"] + of["other"], one=one, other=other)
    return total
