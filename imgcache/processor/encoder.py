"""One picture to the bytes of one file. Settings are one scale for all formats: quality 1 to 100, effort 0 to 6."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from PIL import Image

from imgcache.core import Recipe
from imgcache.processor import colours

_AVIF_SPEED = (10, 10, 10, 9, 8, 7, 6)  # by effort; at 10 an AVIF costs what a WebP of effort 2 to 4 costs
_PNG_LEVEL = (1, 2, 3, 4, 6, 8, 9)  # zlib's level, by effort
_USED: Mapping[str, tuple[str, ...]] = {"jpeg": ("quality",), "png": ("effort",)}  # the others use both
_LOSSLESS_QUALITY = 75  # how hard libwebp looks for repetitions, no loss
_SEARCHED = ("target", "min_quality", "max_quality")  # where the quality is searched


class Encoded(NamedTuple):
    """The bytes of one file, and what they are: webp, avif, jpeg or png."""

    format: str
    data: bytes


def settings(form: str, recipe: Recipe) -> tuple[object, ...]:
    """What of a recipe makes a difference to `form`, which may be `best`: equal settings make equal bytes."""
    used = _USED.get(form, ("quality", "effort"))
    if recipe.quality == "auto" and "quality" in used:
        used += ("effort", *_SEARCHED)
    return tuple(getattr(recipe, name) for name in used)


def encode_at(image: Image.Image, form: str, *, quality: int, effort: int) -> bytes:
    """`image` (L, RGB or RGBa) as webp, avif, jpeg or png. JPEG has no transparency: it shows the picture on white.

    A colour profile in the picture's `info` goes with it.
    """
    out, profile = io.BytesIO(), image.info.get("icc_profile", b"")
    if form == "jpeg":  # optimize and progressive: 5 to 10 % fewer bytes for about a millisecond
        shown = colours.on_white(image)
        shown.save(out, "JPEG", quality=quality, optimize=True, progressive=True, icc_profile=profile)
        return out.getvalue()
    image = image.convert("RGBA") if image.mode == "RGBa" else image
    match form:
        case "webp":
            image.save(out, "WEBP", quality=quality, method=effort, icc_profile=profile)
        case "avif":  # one thread: the pool keeps the processors busy, and the bytes do not depend on their number
            speed = _AVIF_SPEED[effort]
            image.save(out, "AVIF", quality=quality, speed=speed, max_threads=1, icc_profile=profile)
        case "png":
            return _png(image, compress_level=_PNG_LEVEL[effort], icc_profile=profile)
        case _:
            raise ValueError(f"no encoder for {form!r}")
    return out.getvalue()


def lossless(image: Image.Image, form: str, *, effort: int) -> bytes:
    """`image` (L, RGB or RGBa) as webp or png that loses nothing of it."""
    if form == "png":
        return encode_at(image, form, quality=100, effort=effort)
    out = io.BytesIO()
    shown = image.convert("RGBA") if image.mode == "RGBa" else image
    profile = image.info.get("icc_profile")
    shown.save(out, "WEBP", lossless=True, quality=_LOSSLESS_QUALITY, method=effort, icc_profile=profile)
    return out.getvalue()


def _png(image: Image.Image, **options: Any) -> bytes:
    """`image` (L, RGB or RGBA) as PNG, of few colours with a palette where that is smaller: the pixels are the same."""
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    few = colours.few(image)
    if few is None:
        return out.getvalue()
    few.sort(key=lambda colour: colour[3] == 255)  # tRNS ends with the last that is not opaque
    places = {int.from_bytes(bytes(colour), sys.byteorder): place for place, colour in enumerate(few)}
    samples = memoryview(image.convert("RGBA").tobytes()).cast("I")
    indexed = Image.frombytes("P", image.size, bytes(map(places.__getitem__, samples)))
    indexed.putpalette(bytes(value for colour in few for value in colour[:3]))
    if few[0][3] < 255:
        options["transparency"] = bytes(colour[3] for colour in few if colour[3] < 255)
    smaller = io.BytesIO()
    indexed.save(smaller, "PNG", **options)
    return min(out.getvalue(), smaller.getvalue(), key=len)
