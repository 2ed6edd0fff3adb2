"""Which point of a picture a crop is laid around."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from imgcache.models import Recipe


class Point(NamedTuple):
    """A place in a picture, as fractions of its width and height from the left and the top."""

    x: float
    y: float


CENTER = Point(0.5, 0.5)


def point(image: Image.Image, recipe: Recipe) -> Point:
    """The point of `image`, a whole picture of any scale, that `recipe` wants in the middle of its crop."""
    if recipe.focus is not None:
        return Point(*recipe.focus)
    match recipe.position:
        case "top":
            return Point(0.5, 0.0)
        case _:
            return CENTER
