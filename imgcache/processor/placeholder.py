"""Computes what pages show before an image is loaded: its dominant colour and a placeholder of a few hundred bytes."""

from __future__ import annotations

import base64
import io
from collections import defaultdict

from PIL import Image

from imgcache.processor import colours

_SIDE = 16  # pixels of the thumbnail for colour and placeholder
_PLACEHOLDER_BYTES = 400


def thumbnail(image: Image.Image, side: int = _SIDE) -> Image.Image:
    """Scale an image to fit into side × side pixels, in sRGB; each side at least 1, nothing enlarged."""
    scale = min(1.0, side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    small = image.resize((width, height), Image.Resampling.BOX, reducing_gap=1.5)
    return colours.to_srgb(small, image.info.get("icc_profile"))[0]


def dominant(image: Image.Image) -> str:
    """Returns the dominant colour of a thumbnail, `#rrggbb`.

    Its pixels are counted in 8 × 8 × 8 boxes of equal colour range. The result is the mean of the fullest box; of
    equally full ones the darkest by red, green, blue. Pixels are weighted by opacity; a transparent picture is white.
    """
    boxes: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    samples = image.convert("RGBA").tobytes()
    for red, green, blue, alpha in zip(samples[::4], samples[1::4], samples[2::4], samples[3::4], strict=True):
        box = boxes[red >> 5, green >> 5, blue >> 5]
        for index, value in enumerate((alpha, red * alpha, green * alpha, blue * alpha)):
            box[index] += value
    if not any(box[0] for box in boxes.values()):
        return "#ffffff"
    _, (weight, *sums) = min(boxes.items(), key=lambda item: (-item[1][0], item[0]))
    return "#" + "".join(f"{(2 * total + weight) // (2 * weight):02x}" for total in sums)


def placeholder(image: Image.Image) -> str:
    """Returns a data URI of at most 400 bytes with a tiny WebP, which keeps transparency."""
    for side in (16, 12, 8, 6, 4, 2, 1):
        small = thumbnail(image, side)
        out = io.BytesIO()
        small = small.convert("RGBA") if small.mode == "RGBa" else small
        small.save(out, "WEBP", quality=30, method=0, alpha_quality=50)
        uri = "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
        if len(uri) <= _PLACEHOLDER_BYTES:
            break
    return uri
