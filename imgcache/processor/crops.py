"""Chooses the point of a picture that a crop keeps in its middle.

A crop is the largest part of its shape, so it can move along one side only. The best place along that side is searched
in a small version of the picture, and is the same for all widths of one shape.
"""

from __future__ import annotations

from array import array
from operator import mul
from typing import NamedTuple

from PIL import Image, ImageChops, ImageFilter, ImageStat

from imgcache.core import Recipe


class Point(NamedTuple):
    """A place in a picture, as fractions of its width and height from the left and the top."""

    x: float
    y: float


CENTER = Point(0.5, 0.5)

_SIDE = 128  # pixels of the longer side of the small version: the precision of a crop is 1/128
_GREY = 128
_BLUR = 2  # pixels: edges finer than this are texture
_LEVELS = [value >> 3 for value in range(256)]  # 32 grey levels: finer ones depend on the scale of the source

# Skin of every colour lies in a small part of the plane of Cb and Cr: 77 to 127, 133 to 173 (Chai and Ngan, "Face
# segmentation using skin-color map in videophone applications", IEEE Transactions on Circuits and Systems for Video
# Technology 9, 1999). The score falls from the middle of that box to its sides. Bread and wood score too.
_SKIN_CB = [max(0, 255 - 255 * abs(value - 102) // 25) for value in range(256)]
_SKIN_CR = [max(0, 255 - 255 * abs(value - 153) // 20) for value in range(256)]
_HALF = [value // 2 for value in range(256)]
_BRIGHT = [0 if value < 40 else 255 for value in range(256)]  # darker pixels have no reliable colour


def crop_center(image: Image.Image, recipe: Recipe) -> Point:
    """Returns the point that a recipe keeps in the middle of its crop.

    Args:
        image: the whole picture at any scale: L, RGB or RGBa, upright.
        recipe: its focal point goes before its position.
    """
    if recipe.focus is not None:
        return Point(*recipe.focus)
    match recipe.position:
        case "top":
            return Point(0.5, 0.0)
        case "entropy" | "attention" if recipe.width and recipe.height:
            return _best_window(image, recipe.position, recipe.width / recipe.height)
        case _:
            return CENTER


def _best_window(image: Image.Image, position: str, shape: float) -> Point:
    """Returns the middle of the best window of a shape (width / height); of equally good ones the middle one."""
    small = _small(image)
    is_across = small.width > small.height * shape
    if not is_across:
        small, shape = small.transpose(Image.Transpose.TRANSPOSE), 1 / shape
    window = max(1, round(small.height * shape))
    places_left = small.width - window
    if places_left <= 0:
        return CENTER
    scores = _entropies(small, window) if position == "entropy" else _attention(small, window)
    highest = max(scores)
    best = [left for left, score in enumerate(scores) if score == highest]
    middle = (best[len(best) // 2] + window / 2) / small.width
    return Point(middle, 0.5) if is_across else Point(0.5, middle)


def _small(image: Image.Image) -> Image.Image:
    """Returns a small version in RGB, on grey where it is transparent, so that black and white remain visible.

    The filter is a good one, so that the pixels hardly depend on the scale of the source.
    """
    scale = min(1.0, _SIDE / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.HAMMING, reducing_gap=3.0)
    if small.mode != "RGBa":
        return small.convert("RGB")
    visible = small.convert("RGBA")
    background = Image.new("RGB", small.size, (_GREY, _GREY, _GREY))
    background.paste(visible, mask=visible)
    return background


def _entropies(picture: Image.Image, window: int) -> list[float]:
    """Returns the Shannon entropy of 32 grey levels in the window, in bits, for each place from the left.

    libvips' `entropy` cuts slices off the poorer end; here every place is examined. Limit: a gradient in the sky has
    many grey levels too.
    """
    grey = picture.convert("L").point(_LEVELS)
    places = range(picture.width - window + 1)
    return [round(grey.crop((left, 0, left + window, grey.height)).entropy(), 6) for left in places]


def _attention(picture: Image.Image, window: int) -> list[float]:
    """Returns the salience in the window for each place from the left; its middle counts most (1 - u²)."""
    columns = array("f", _salience(picture).convert("F").resize((picture.width, 1), Image.Resampling.BOX).tobytes())
    weights = [1 - ((2 * at + 1) / window - 1) ** 2 for at in range(window)]
    places = range(picture.width - window + 1)
    return [round(sum(map(mul, weights, columns[left : left + window])), 4) for left in places]


def _salience(picture: Image.Image) -> Image.Image:
    """Returns the sum of edges, contrast and skin, similar to libvips' `attention` and smartcrop.js.

    They use saturation. Here contrast is the distance from the mean colour of the picture (Achanta et al.,
    "Frequency-tuned Salient Region Detection", CVPR 2009), with half the weight for luminance, and skin counts only
    above its average. So a field of straw or a sunset does not dominate.
    """
    bands = picture.convert("YCbCr").split()
    grey, blue, red = bands
    edges = ImageChops.difference(grey, grey.filter(ImageFilter.GaussianBlur(_BLUR)))
    light, *colours = (ImageChops.difference(band, _mean(band)) for band in bands)
    contrast = ImageChops.lighter(light.point(_HALF), ImageChops.lighter(*colours))
    skin = ImageChops.multiply(blue.point(_SKIN_CB), red.point(_SKIN_CR))
    skin = ImageChops.darker(skin, grey.point(_BRIGHT))
    return ImageChops.add(ImageChops.add(edges, contrast), ImageChops.subtract(skin, _mean(skin)))


def _mean(band: Image.Image) -> Image.Image:
    return Image.new("L", band.size, round(ImageStat.Stat(band).mean[0]))
