"""Scaling by floating point, where 8 bits are too few: in linear light, and of 16-bit samples.

Lanczos 3, exact: no reduction goes before it. Works through the picture in strips, so that the memory for it does not
grow with the picture. Linear light is sRGB's (IEC 61966-2-1); for pictures with another profile its curve stands for
theirs, which is exact for Display P3 and near for the rest.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from PIL import Image, ImageMath

from imgcache.processor.lanczos import Box

_STRIP = 2_000_000  # pixels of the original at once; each takes about 30 bytes
_REACH = 3  # of Lanczos 3, in pixels of the larger distance


class Samples(NamedTuple):
    """A picture in L, RGB or RGBA: the high byte of each sample, and the low byte, None where samples have one."""

    high: Image.Image
    low: Image.Image | None = None


def scale(samples: Samples, size: tuple[int, int], box: Box | None = None, *, linear: bool) -> Image.Image:
    """The part `box` of a picture at `size`: 8-bit L, RGB or RGBa, rounded to the nearest.

    Colours count by their opacity.
    """
    image = samples.high
    left, top, right, bottom = box or (0, 0, *image.size)
    planes = [Image.new("F", size) for _ in image.getbands()]
    step = (bottom - top) / size[1]
    margin = math.ceil(_REACH * max(1.0, step)) + 1
    rows = max(1, int(_STRIP / image.width / step))
    for start in range(0, size[1], rows):
        end = min(start + rows, size[1])
        first, last = top + start * step, min(top + end * step, bottom)
        upper, lower = max(0, math.floor(first) - margin), min(image.height, math.ceil(last) + margin)
        area = (0, upper, image.width, lower)
        part = Samples(image.crop(area), samples.low and samples.low.crop(area))
        there = (left, first - upper, right, last - upper)
        for plane, strip in zip(planes, _strips(part, (size[0], end - start), there, linear), strict=True):
            plane.paste(strip, (0, start))
    return _rounded(planes, linear)


def _strips(samples: Samples, size: tuple[int, int], box: Box, linear: bool) -> Iterator[Image.Image]:
    """The planes of one strip, scaled. Colours are not premultiplied any more."""
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
    """One channel in 32-bit floating point, 0 to 65535: light where `linear`, else as stored."""
    high = samples.high.getchannel(name)
    if samples.low is None:
        return high.point(_levels(257, linear)[:256], "F")
    levels = _levels(256, linear)  # a curve within each of 256 steps is taken for straight
    low = samples.low.getchannel(name).point(list(map(float, range(256))), "F")
    slope = high.point([(after - before) / 256 for before, after in pairwise(levels)], "F")
    return _sum(high.point(levels[:256], "F"), _product(slope, low))


@functools.lru_cache(maxsize=4)
def _levels(step: int, linear: bool) -> list[float]:
    """What the samples 0, `step`, 2 × `step` … of 65535 stand for, 257 of them."""
    stored = [min(1.0, level * step / 65_535) for level in range(257)]
    return [65_535 * (_light(value) if linear else value) for value in stored]


def _rounded(planes: Sequence[Image.Image], linear: bool) -> Image.Image:
    """Planes of `_plane` in 8 bits, stored as sRGB is."""
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
    """Light in sRGB's code: all planes in one go, for it takes longer to hand over the table than to look it up."""
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
    """Zero where `other` is."""
    ratio: Image.Image = ImageMath.lambda_eval(lambda of: of["one"] / of["other"], one=one, other=other)
    return ratio


def _sum(one: Image.Image, other: Image.Image) -> Image.Image:
    total: Image.Image = ImageMath.lambda_eval(lambda of: of["one"] + of["other"], one=one, other=other)
    return total
