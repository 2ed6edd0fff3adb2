"""Every way that files store colours, brought to 8-bit sRGB.

Working modes are L, RGB and RGBa. The small a is premultiplied alpha: what is transparent has no colour there, so
scaling cannot bleed it into the edges. Limit: what is said of colours outside of a profile (cICP in PNG, nclx in AVIF)
is not read: HDR (PQ, HLG) and wide gamuts named in that way are taken for sRGB.
"""

from __future__ import annotations

import functools
import io
from typing import NamedTuple

from PIL import Image, ImageChops, ImageCms, ImageStat

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# As ICC.1:2010, table 19.
_SPACES = {"L": "GRAY", "LA": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "LAB"}
INKS = frozenset({"CMYK", "LAB"})  # modes that no variant can have
_GREY = "grey"  # in `info`: a picture in RGBa that a file has as grey with transparency, which no working mode is
_FEW, _FEW_GREYS = 256, 64  # a photograph in grey has no more than the first itself, and hardly ever only the second
_NOTICEABLE = 2  # of 255: a profile that moves no colour by more than this is sRGB under another name


def eight_bit(image: Image.Image) -> Image.Image:
    """`image` in a mode that can be scaled: L, RGB, RGBa, CMYK or LAB. Its `info` is good for the functions below."""
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
    """32-bit samples carry no range: 0 is taken for black; 1.0, 255, 65535 or else the largest value for white."""
    _, high = image.getextrema()
    top = float(high[0] if isinstance(high, tuple) else high)
    white = next((limit for limit in (1.0, 255.0, 65_535.0) if top <= limit), top)
    if image.mode == "I" and white == 1.0:
        white = 255.0
    return image.convert("F").point(lambda value: value * (255 / white) + 0.5).convert("L")


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """`image` (any mode that `eight_bit` gives) in sRGB and a working mode, and whether that changed any colour.

    A profile that is broken, or made for another kind of image, is left unread, as browsers do; `fault` says so. CMYK
    without a profile is taken for what is left of white light, as browsers do.
    """
    mode = _mode(image)
    transform = _reading(profile or b"", mode).transform
    if transform is None:
        return (image.convert("RGB"), True) if mode in INKS else (image, False)
    form = transform.input_mode
    if mode == "LA" and form == "L":  # lcms has no opacity beside grey
        grey, *_, opacity = image.convert("RGBA").split()
        converted = ImageCms.applyTransform(grey, transform)
        if converted:
            converted.putalpha(opacity)
    else:
        converted = ImageCms.applyTransform(image.convert(form), transform)
    return (converted.convert({"L": "L", "LA": "RGBa", "RGBA": "RGBa"}.get(mode, "RGB")) if converted else image), True


def _mode(image: Image.Image) -> str:
    """What the samples are, whatever they are held as: L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode != "RGBa":
        return image.mode
    return "LA" if image.info.get(_GREY) else "RGBA"


def stays(image: Image.Image, profile: bytes | None) -> bool:
    """Whether `image` has colours that can be kept with their profile: RGB other than sRGB.

    WebP and AVIF hold RGB alone (RFC 9649, section 2.7.1.4); what is grey, CMYK or Lab is converted to sRGB.
    """
    mode = _mode(image)
    return mode in {"RGB", "RGBA"} and _reading(profile or b"", mode).transform is not None


def fault(image: Image.Image, profile: bytes | None) -> str | None:
    """What is wrong with a profile that is left unread; None if nothing is."""
    return _reading(profile or b"", _mode(image)).fault


class _Reading(NamedTuple):
    """What a profile comes to: a way to sRGB, if there is anything to do and a way; and what is wrong."""

    transform: ImageCms.ImageCmsTransform | None = None
    fault: str | None = None


@functools.lru_cache(maxsize=16)
def _reading(profile: bytes, mode: str) -> _Reading:
    if not profile and mode != "LAB":
        return _Reading()
    try:
        lab = ImageCms.createProfile("LAB")
        source = ImageCms.ImageCmsProfile(lab if mode == "LAB" else io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return _Reading(fault="the colour profile is broken")
    space = source.profile.xcolor_space.strip().upper()
    if space == "RGB":  # what writers say of grey: its samples are those of equal red, green and blue
        mode = {"L": "RGB", "LA": "RGBA"}.get(mode, mode)
    if _SPACES[mode] != space:
        return _Reading(fault=f"the colour profile is made for another kind of pixels than {mode}")
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
        return _Reading(fault="the colour profile has no way to sRGB")
    return _Reading(None if mode not in INKS and _is_identity(transform, mode) else transform)


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
    white.info = image.info
    return white


def few(image: Image.Image) -> list[tuple[int, ...]] | None:
    """The colours of `image`, in RGBA and sorted, where a palette holds them and it is no photograph in grey."""
    found = image.convert("RGBA").getcolors(_FEW)
    if found is None:
        return None
    colours = sorted(colour for _, colour in found if isinstance(colour, tuple))
    is_grey = all(red == green == blue and opacity == 255 for red, green, blue, opacity in colours)
    return None if is_grey and len(colours) > _FEW_GREYS else colours
