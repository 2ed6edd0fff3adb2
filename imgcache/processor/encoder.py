"""One picture to the bytes of one file. Settings are one scale for all formats: quality 1 to 100, effort 0 to 6."""

from __future__ import annotations

import io

from PIL import Image

from imgcache.processor import colours

_AVIF_SPEED = (10, 10, 10, 9, 8, 7, 6)  # by effort; at 10 an AVIF costs what a WebP of effort 2 to 4 costs
_PNG_LEVEL = (1, 2, 3, 4, 6, 8, 9)  # zlib's level, by effort
_USED = {"jpeg": ("quality",), "png": ("effort",)}  # the others use both


def settings(form: str, quality: int, effort: int) -> tuple[int, ...]:
    """What of quality and effort makes a difference to `form`: equal settings make equal bytes."""
    values = {"quality": quality, "effort": effort}
    return tuple(values[name] for name in _USED.get(form, ("quality", "effort")))


def encode(image: Image.Image, form: str, *, quality: int, effort: int) -> bytes:
    """`image` (L, RGB or RGBa) as webp, avif, jpeg or png. JPEG has no transparency: it shows the picture on white."""
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
