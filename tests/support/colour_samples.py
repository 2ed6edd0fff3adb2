"""Images with known colours, and libvips, which uses its own lcms, as the reference for colours."""

from __future__ import annotations

import struct
from pathlib import Path

import pyvips  # type: ignore[import-untyped]
from PIL import Image, ImageCms, PngImagePlugin

from imgcache.processor import icc
from tests.support.pictures import saved

ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)  # Adobe RGB (1998), section 4.3.1: white, r, g, b
PROPHOTO = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)  # ISO 22028-2
SIDE = 64


def vips_profile(name: str) -> bytes:
    """One that libvips brings: cmyk, p3 or srgb."""
    return bytes(pyvips.Image.profile_load(name))


def spectrum(mode: str = "RGB") -> Image.Image:
    """Every hue in many lightnesses: a sweep of all channels."""
    sweeps = [
        Image.linear_gradient("L").resize((SIDE, SIDE)),
        Image.linear_gradient("L").rotate(90).resize((SIDE, SIDE)),
        Image.radial_gradient("L").resize((SIDE, SIDE)),
        Image.new("L", (SIDE, SIDE), 20),
    ]
    return sweeps[0] if mode == "L" else Image.merge(mode, sweeps[: len(mode)])


def png_chunks(gamma: float | None = None, chromaticity: tuple[float, ...] = (), *, srgb: bool = False) -> object:
    """The chunks of a PNG that speak of colours: the `pnginfo` to save it with."""
    said = PngImagePlugin.PngInfo()
    if gamma is not None:
        said.add(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    if chromaticity:
        said.add(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in chromaticity)))
    if srgb:
        said.add(b"sRGB", b"\0")
    return said


def lab(path: Path) -> pyvips.Image:
    """A file as libvips sees it, its profile obeyed: relative colorimetric, with black point compensation."""
    image = pyvips.Image.new_from_file(str(path))
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)
    step = max(1, image.width // 300)  # that many pixels are enough
    return image.colourspace("srgb")[:3].subsample(step, step).colourspace("lab")


def difference(one: pyvips.Image, other: pyvips.Image) -> float:
    """CIEDE2000, the mean of all pixels."""
    return float(one.dE00(other).avg())


def deep(samples: list[tuple[int, ...]], size: tuple[int, int], form: str, **options: object) -> bytes:
    """A file with 16 bits a sample, by libvips: `.png` or `.tif`."""
    data = b"".join(struct.pack(f"{len(one)}H", *one) for one in samples)
    image = pyvips.Image.new_from_memory(data, *size, len(samples[0]), "ushort")
    image = image.copy(interpretation="grey16" if len(samples[0]) == 1 else "rgb16")
    return bytes(image.write_to_buffer(form, **options))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE = icc.matrix(563 / 256, ADOBE_RGB)
WIDE = icc.matrix(1.8, PROPHOTO)
P3 = vips_profile("p3")
DRAWN = {
    "p3": lambda: saved(spectrum(), "PNG", icc_profile=P3),
    "p3-webp": lambda: saved(spectrum(), "WEBP", icc_profile=P3, lossless=True),
    "adobe": lambda: saved(spectrum(), "PNG", icc_profile=ADOBE),
    "adobe-alpha": lambda: saved(spectrum("RGBA"), "PNG", icc_profile=ADOBE),
    "prophoto": lambda: saved(spectrum(), "TIFF", icc_profile=WIDE),
    "cmyk": lambda: saved(spectrum("CMYK"), "TIFF", icc_profile=vips_profile("cmyk")),
    "cmyk-jpeg": lambda: saved(spectrum("CMYK"), "JPEG", quality=95, icc_profile=vips_profile("cmyk")),
    "grey": lambda: saved(spectrum("L"), "PNG", icc_profile=icc.gray(1.5)),
    "grey-jpeg": lambda: saved(spectrum("L"), "JPEG", quality=95, icc_profile=icc.gray(2.6)),
}


def swapped_profile() -> bytes:
    """An sRGB profile that has red and green exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tXYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tXYZ", b"gXYZ", 1)
