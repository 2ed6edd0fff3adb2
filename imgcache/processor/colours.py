"""Every way that files store colours, brought to 8-bit sRGB; the dominant colour and the placeholder of a picture.

Working modes are L, RGB and RGBa. The small a is premultiplied alpha: what is transparent has no colour there, so
scaling cannot bleed it into the edges. Limit: HDR transfer functions (cICP, nclx: PQ, HLG) are taken for sRGB's.
"""

from __future__ import annotations

import base64
import functools
import io
from collections import defaultdict

from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_NOTICEABLE = 2  # of 255: a profile that moves no colour by more than this is sRGB under another name
_SIDE = 16  # pixels of the tiny picture that colour and placeholder are made of
_PLACEHOLDER_BYTES = 400


def eight_bit(image: Image.Image) -> Image.Image:
    """`image` in a mode that can be scaled: L, RGB, RGBa, CMYK or LAB."""
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value * (1 / 257) + 0.5).convert("L")  # 65535 / 255
    if image.mode in {"I", "F"}:
        return _stretched(image)
    if image.has_transparency_data:
        return image.convert("RGBA").convert("RGBa")
    if image.mode in {"L", "RGB", "CMYK", "LAB"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """32-bit samples carry no range: 0 is taken for black; 1.0, 255, 65535 or else the largest value for white."""
    _, high = image.getextrema()
    top = float(high[0] if isinstance(high, tuple) else high)
    white = next((limit for limit in (1.0, 255.0, 65_535.0) if top <= limit), top)
    if image.mode == "I" and white == 1.0:
        white = 255.0
    return image.convert("F").point(lambda value: value * (255 / white) + 0.5).convert("L")


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """`image` (any mode that `eight_bit` gives) in sRGB and a working mode, and whether that changed any colour.

    A profile that is broken, or made for another kind of image, is left unread, as browsers do.
    """
    mode = "RGBA" if image.mode == "RGBa" else image.mode
    transform = _transform(profile or b"", mode)
    if transform is None:
        return (image.convert("RGB"), True) if mode in {"CMYK", "LAB"} else (image, False)
    converted = ImageCms.applyTransform(image.convert(mode), transform)
    return (converted.convert({"L": "L", "RGBA": "RGBa"}.get(mode, "RGB")) if converted else image), True


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From `profile` to sRGB; None where there is nothing to do, or no way to do it."""
    if not profile and mode != "LAB":
        return None
    out = "RGBA" if mode == "RGBA" else "RGB"
    try:
        source = ImageCms.createProfile("LAB") if mode == "LAB" else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source,
            _SRGB,
            mode,
            out,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return None if mode in {"L", "RGB", "RGBA"} and _is_identity(transform, mode) else transform


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = range(0, 256, 17)
    cube = Image.new("RGB", (16, 256))
    cube.putdata([(r, g, b) for r in levels for g in levels for b in levels])
    ramp = Image.new("L", (16, 1))
    ramp.putdata(list(levels))
    before = ramp if mode == "L" else cube.convert(mode)
    after = ImageCms.applyTransform(before, transform)
    if after is None:
        return True
    pairs = zip(before.convert("RGB").tobytes(), after.convert("RGB").tobytes(), strict=True)
    return all(abs(old - new) <= _NOTICEABLE for old, new in pairs)


def opaque(image: Image.Image) -> Image.Image:
    """`image` without an alpha channel that hides nothing."""
    if image.mode != "RGBa":
        return image
    lowest, _ = image.getchannel("a").getextrema()
    return image.convert("RGBA").convert("RGB") if lowest == 255 else image


def on_white(image: Image.Image) -> Image.Image:
    """What a white page shows of `image`."""
    if image.mode != "RGBa":
        return image
    white = Image.new("RGB", image.size, "white")
    visible = image.convert("RGBA")
    white.paste(visible, mask=visible)
    return white


def tiny(image: Image.Image, side: int = _SIDE) -> Image.Image:
    """`image` scaled to fit into side × side pixels; each side at least 1, nothing enlarged."""
    scale = min(1.0, side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BOX, reducing_gap=1.5)


def dominant(image: Image.Image) -> str:
    """The dominant colour of a tiny picture, `#rrggbb`.

    Its pixels fall into 8 × 8 × 8 boxes of equal colour range; the mean of the fullest box is the colour, of equally
    full ones the darkest by red, green, blue. A pixel counts by its opacity; a picture with none to count is white.
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
    """A data URI of at most 400 bytes that shows a tiny picture, blurred by its size; transparency is kept."""
    for side in (16, 12, 8, 6, 4, 2, 1):
        small = tiny(image, side)
        out = io.BytesIO()
        small = small.convert("RGBA") if small.mode == "RGBa" else small
        small.save(out, "WEBP", quality=30, method=0, alpha_quality=50)
        uri = "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
        if len(uri) <= _PLACEHOLDER_BYTES:
            break
    return uri
