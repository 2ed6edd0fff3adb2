"""Every way that files store colours, brought to 8-bit sRGB.

Working modes are L, RGB and RGBa. The small a is premultiplied alpha: what is transparent has no colour there, so
scaling cannot bleed it into the edges. Limit: HDR transfer functions (cICP, nclx: PQ, HLG) are taken for sRGB's.
"""

from __future__ import annotations

import functools
import io

from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_NOTICEABLE = 2  # of 255: a profile that moves no colour by more than this is sRGB under another name


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
