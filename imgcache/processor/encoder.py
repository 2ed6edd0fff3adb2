"""One picture to the bytes of one file. Settings are one scale for all formats: quality 1 to 100, effort 0 to 6."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image

from imgcache.models import Recipe
from imgcache.processor import colours

_AVIF_SPEED = (10, 10, 10, 9, 8, 7, 6)  # by effort; at 10 an AVIF costs what a WebP of effort 2 to 4 costs
_PNG_LEVEL = (1, 2, 3, 4, 6, 8, 9)  # zlib's level, by effort
_USED = {"jpeg": ("quality",), "png": ("effort",)}  # the others use both


class Encoded(NamedTuple):
    """The bytes of one file, and what they are: webp, avif, jpeg or png."""

    format: str
    data: bytes


def settings(form: str, recipe: Recipe) -> tuple[object, ...]:
    """What of a recipe makes a difference to `form`: equal settings make equal bytes."""
    return tuple(getattr(recipe, name) for name in _USED.get(form, ("quality", "effort")))


def encode(image: Image.Image, form: str, recipe: Recipe) -> Encoded:
    """`image` (L, RGB or RGBa) as webp, avif, jpeg or png. JPEG has no transparency: it shows the picture on white."""
    return Encoded(form, encode_at(image, form, quality=int(recipe.quality), effort=recipe.effort))


def encode_at(image: Image.Image, form: str, *, quality: int, effort: int) -> bytes:
    """`image` (L, RGB or RGBa) in one format at one quality."""
    out = io.BytesIO()
    if form == "jpeg":  # optimize and progressive: 5 to 10 % fewer bytes for about a millisecond
        colours.on_white(image).save(out, "JPEG", quality=quality, optimize=True, progressive=True)
        return out.getvalue()
    image = image.convert("RGBA") if image.mode == "RGBa" else image
    match form:
        case "webp":
            image.save(out, "WEBP", quality=quality, method=effort)
        case "avif":  # one thread: the pool keeps the processors busy, and the bytes do not depend on their number
            image.save(out, "AVIF", quality=quality, speed=_AVIF_SPEED[effort], max_threads=1)
        case "png":
            image.save(out, "PNG", compress_level=_PNG_LEVEL[effort])
        case _:
            raise ValueError(f"no encoder for {form!r}")
    return out.getvalue()
