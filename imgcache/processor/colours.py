"""Converts all colour modes and profiles of files to 8-bit sRGB.

Working modes are L, RGB and RGBa. RGBa has premultiplied alpha, so that the colours of transparent pixels do not bleed
into edges when scaling. Limit: colour information outside of a profile (cICP in PNG, nclx in AVIF) is not read, so HDR
(PQ, HLG) and wide gamuts that are declared in that way are taken for sRGB.
"""

from __future__ import annotations

import functools
import io
from typing import NamedTuple

from PIL import Image, ImageChops, ImageCms, ImageStat

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# As ICC.1:2010, table 19.
_ICC_SPACES = {"L": "GRAY", "LA": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "LAB"}
CONVERTED_MODES = frozenset({"CMYK", "LAB"})  # modes that variants cannot have
_GREY = "grey"  # key in `info`: the file has grey with transparency, which is RGBa here
_PALETTE_SIZE, _FEW_GREYS = (
    256,
    64,
)  # grey photographs have more than the second
_NOTICEABLE = 2  # of 255: a profile that changes no colour by more is taken for sRGB


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Convert an image to a mode that can be scaled: L, RGB, RGBa, CMYK or LAB. The functions below use its `info`."""
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value * (1 / 257) + 0.5).convert("L")  # 65535 / 255
    if image.mode in {"I", "F"}:
        return _stretched(image)
    if image.has_transparency_data:
        clear = image.convert("RGBA").convert("RGBa")
        clear.info[_GREY] = image.mode in {"1", "L", "LA"}
        return clear
    if image.mode in {"L", "RGB", "CMYK", "LAB"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Convert 32-bit samples, which have no defined range: black is 0; white is 1.0, 255, 65535 or else the largest."""
    _, high = image.getextrema()
    top = float(high[0] if isinstance(high, tuple) else high)
    white = next((limit for limit in (1.0, 255.0, 65_535.0) if top <= limit), top)
    if image.mode == "I" and white == 1.0:
        white = 255.0
    return image.convert("F").point(lambda value: value * (255 / white) + 0.5).convert("L")


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """Convert an image to sRGB and a working mode.

    A broken or unsuitable profile is ignored, as in browsers, and `profile_fault` describes it. CMYK without a profile
    is converted by the simple formula that browsers use.

    Args:
        image: in a mode that `to_eight_bits` returns.
        profile: of its file.

    Returns:
        The image, and whether colours have changed.
    """
    mode = _mode(image)
    transform = _conversion(profile or b"", mode).transform
    if transform is None:
        return (image.convert("RGB"), True) if mode in CONVERTED_MODES else (image, False)
    form = transform.input_mode
    if mode == "LA" and form == "L":  # lcms has no grey with alpha
        grey, *_, opacity = image.convert("RGBA").split()
        converted = ImageCms.applyTransform(grey, transform)
        if converted:
            converted.putalpha(opacity)
    else:
        converted = ImageCms.applyTransform(image.convert(form), transform)
    return (converted.convert({"L": "L", "LA": "RGBa", "RGBA": "RGBa"}.get(mode, "RGB")) if converted else image), True


def _mode(image: Image.Image) -> str:
    """Returns the mode of the file: L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode != "RGBa":
        return image.mode
    return "LA" if image.info.get(_GREY) else "RGBA"


def has_own_profile(image: Image.Image, profile: bytes | None) -> bool:
    """Whether an image is RGB in another colour space than sRGB, so that its profile can be kept.

    WebP and AVIF are RGB only (RFC 9649, section 2.7.1.4): grey, CMYK and Lab are always converted to sRGB.
    """
    mode = _mode(image)
    return mode in {"RGB", "RGBA"} and _conversion(profile or b"", mode).transform is not None


def profile_fault(image: Image.Image, profile: bytes | None) -> str | None:
    """Returns why a profile is ignored, or None."""
    return _conversion(profile or b"", _mode(image)).fault


class _Conversion(NamedTuple):
    """How to convert to sRGB, None where nothing is to be done or it is impossible; and what is wrong."""

    transform: ImageCms.ImageCmsTransform | None = None
    fault: str | None = None


@functools.lru_cache(maxsize=16)
def _conversion(profile: bytes, mode: str) -> _Conversion:
    if not profile and mode != "LAB":
        return _Conversion()
    try:
        lab = ImageCms.createProfile("LAB")
        source = ImageCms.ImageCmsProfile(lab if mode == "LAB" else io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return _Conversion(fault="the colour profile is broken")
    space = source.profile.xcolor_space.strip().upper()
    if space == "RGB":  # a grey image with an RGB profile: equal red, green and blue
        mode = {"L": "RGB", "LA": "RGBA"}.get(mode, mode)
    if _ICC_SPACES[mode] != space:
        return _Conversion(fault=f"the colour profile does not fit an image in {mode}")
    mode = "L" if mode == "LA" else mode
    try:
        transform = ImageCms.buildTransform(
            source,
            _SRGB,
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return _Conversion(fault="the colour profile cannot be converted to sRGB")
    return _Conversion(None if mode not in CONVERTED_MODES and _is_identity(transform, mode) else transform)


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
    difference = ImageChops.difference(before.convert("RGB"), after.convert("RGB"))
    return all(most <= _NOTICEABLE for _, most in ImageStat.Stat(difference).extrema)


def without_alpha_if_opaque(image: Image.Image) -> Image.Image:
    """Remove the alpha channel if all pixels are opaque."""
    if image.mode != "RGBa":
        return image
    lowest, _ = image.getchannel("a").getextrema()
    return image.convert("RGBA").convert("RGB") if lowest == 255 else image


def on_white(image: Image.Image) -> Image.Image:
    """Returns the image on a white background."""
    if image.mode != "RGBa":
        return image
    white = Image.new("RGB", image.size, "white")
    visible = image.convert("RGBA")
    white.paste(visible, mask=visible)
    white.info = image.info
    return white


def palette_colours(image: Image.Image) -> list[tuple[int, ...]] | None:
    """Returns the RGBA colours, sorted, if they fit into a palette and the image is no grey photograph; else None."""
    found = image.convert("RGBA").getcolors(_PALETTE_SIZE)
    if found is None:
        return None
    colours = sorted(colour for _, colour in found if isinstance(colour, tuple))
    is_grey = all(red == green == blue and opacity == 255 for red, green, blue, opacity in colours)
    return None if is_grey and len(colours) > _FEW_GREYS else colours
