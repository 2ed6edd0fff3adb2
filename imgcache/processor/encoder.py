"""Encodes one picture. All formats share one scale of settings: quality 1 to 100, effort 0 to 6.

`_ENCODERS` has one row for each format that variants may have.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from PIL import Image

from imgcache.core import FORMATS, Recipe
from imgcache.processor import colours

_AVIF_SPEED = (10, 10, 10, 9, 8, 7, 6)  # by effort; at 10 an AVIF takes the time of a WebP of effort 2 to 4
_PNG_LEVEL = (1, 2, 3, 4, 6, 8, 9)  # compression level of zlib, by effort
_LOSSLESS_QUALITY = 75  # how much effort libwebp puts into lossless compression
_SEARCH_SETTINGS = ("target", "min_quality", "max_quality")  # they matter where the quality is searched

Curve = tuple[tuple[int, float], ...]


class Encoded(NamedTuple):
    """The bytes of one file, and their format."""

    format: str
    data: bytes


class _Encoder(NamedTuple):
    """How one format is written.

    `options` returns what Pillow's encoder gets for a quality and an effort. `settings` are the settings of a recipe
    that change the bytes. `curve` is the typical SSIMULACRA2 score of each quality, empty for a lossless format.
    """

    options: Callable[[int, int], dict[str, Any]]
    settings: tuple[str, ...] = ("quality", "effort")
    curve: Curve = ()


# Curves: the mean of 62 photographs at 640 wide (effort 4, AVIF at speed 10). The curve of a single picture is about
# parallel. The bend of WebP at 75 is libwebp's own.
_ENCODERS: Mapping[str, _Encoder] = {
    "webp": _Encoder(
        lambda quality, effort: {"quality": quality, "method": effort},
        curve=((1, 25.0), (40, 56.4), (50, 61.4), (60, 65.3), (70, 69.0), (75, 70.7), (80, 75.4), (85, 79.9),
               (90, 84.2), (95, 87.9), (100, 91.0)),
    ),
    # One thread: the pool keeps the processors busy, and the bytes do not depend on their number.
    "avif": _Encoder(
        lambda quality, effort: {"quality": quality, "speed": _AVIF_SPEED[effort], "max_threads": 1},
        curve=((1, -40.0), (35, 42.3), (45, 57.6), (50, 63.6), (55, 68.4), (60, 72.9), (65, 75.6), (70, 79.4),
               (80, 84.1), (90, 87.9), (100, 92.0)),
    ),
    # optimize and progressive: 5 to 10 % fewer bytes for about a millisecond
    "jpeg": _Encoder(
        lambda quality, _: {"quality": quality, "optimize": True, "progressive": True},
        ("quality",),
        ((1, 0.0), (45, 60.6), (55, 65.3), (62, 68.4), (70, 72.3), (75, 74.8), (80, 77.9), (85, 81.0), (90, 84.8),
         (95, 89.0), (100, 92.0)),
    ),
    "png": _Encoder(lambda _, effort: {"compress_level": _PNG_LEVEL[effort]}, ("effort",)),
}  # fmt: skip


def curve(format: str) -> Curve:  # noqa: A002 (the word of recipes)
    """Returns the typical score of each quality of a format: pairs of quality and score, ascending."""
    return _ENCODERS[format].curve


def settings(format: str, recipe: Recipe) -> tuple[object, ...]:  # noqa: A002
    """Returns the settings of a recipe that change the bytes in a format, which may be `best`."""
    used = _ENCODERS[format].settings if format in _ENCODERS else ("quality", "effort")
    if recipe.quality == "auto" and "quality" in used:
        used += ("effort", *_SEARCH_SETTINGS)
    return tuple(getattr(recipe, name) for name in used)


def encode_at(image: Image.Image, format: str, *, quality: int, effort: int) -> bytes:  # noqa: A002
    """Encode a picture at a given quality. A colour profile in its `info` is embedded.

    Args:
        image: L, RGB or RGBa. In a format without transparency it is shown on white.
        format: of a variant.
        quality: 1 to 100.
        effort: 0 to 6.
    """
    options = _ENCODERS[format].options(quality, effort)
    options["icc_profile"] = image.info.get("icc_profile", b"")
    if not FORMATS[format].transparency:
        image = colours.on_white(image)
    image = image.convert("RGBA") if image.mode == "RGBa" else image
    if format == "png":
        return _png(image, options)
    return _save(image, FORMATS[format].encoder, options)


def lossless(image: Image.Image, format: str, *, effort: int) -> bytes:  # noqa: A002
    """Encode a picture (L, RGB or RGBa) as webp or png without loss."""
    if format == "png":
        return encode_at(image, format, quality=100, effort=effort)
    shown = image.convert("RGBA") if image.mode == "RGBa" else image
    profile = image.info.get("icc_profile")
    options = {"lossless": True, "quality": _LOSSLESS_QUALITY, "method": effort, "icc_profile": profile}
    return _save(shown, "WEBP", options)


def _save(image: Image.Image, encoder: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    image.save(out, encoder, **options)
    return out.getvalue()


def _png(image: Image.Image, options: dict[str, Any]) -> bytes:
    """Encode L, RGB or RGBA as PNG; pictures of few colours also with a palette, of which the smaller is returned."""
    plain = _save(image, "PNG", options)
    palette = colours.palette_colours(image)
    if palette is None:
        return plain
    palette.sort(key=lambda colour: colour[3] == 255)  # tRNS ends with the last colour that is not opaque
    places = {int.from_bytes(bytes(colour), sys.byteorder): place for place, colour in enumerate(palette)}
    samples = memoryview(image.convert("RGBA").tobytes()).cast("I")
    indexed = Image.frombytes("P", image.size, bytes(map(places.__getitem__, samples)))
    indexed.putpalette(bytes(value for colour in palette for value in colour[:3]))
    if palette[0][3] < 255:
        options = options | {"transparency": bytes(colour[3] for colour in palette if colour[3] < 255)}
    return min(plain, _save(indexed, "PNG", options), key=len)
