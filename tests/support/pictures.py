"""Drawn images of any kind, and what the processor makes of them in a folder."""

from __future__ import annotations

import io
import random
from pathlib import Path

from PIL import ExifTags, Image, ImageDraw

from imgcache.core import Limits, Recipe, Rendered
from imgcache.processor import render

LIMITS = Limits()
ORIENTATION = ExifTags.Base.Orientation


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def noise(size: tuple[int, int], mode: str = "RGB", seed: int = 1) -> Image.Image:
    count = size[0] * size[1] * len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, random.Random(seed).randbytes(count))


def photo(size: tuple[int, int]) -> Image.Image:
    return Image.merge("RGB", [Image.radial_gradient("L").resize(size), *[Image.linear_gradient("L").resize(size)] * 2])


def quarters(size: tuple[int, int] = (80, 60)) -> Image.Image:
    """Red, green, blue, white: top left, top right, bottom left, bottom right."""
    image, (width, height) = Image.new("RGB", size, "red"), size
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height // 2 - 1), "lime")
    draw.rectangle((0, height // 2, width // 2 - 1, height), "blue")
    draw.rectangle((width // 2, height // 2, width, height), "white")
    return image


def made(body: bytes, folder: Path, *recipes: Recipe, limits: Limits = LIMITS) -> Rendered:
    (folder / "original").write_bytes(body)
    return render(folder / "original", folder, recipes, limits)


def shown(folder: Path, rendered: Rendered, index: int = 0) -> Image.Image:
    with Image.open(folder / rendered.variants[index].path) as image:
        image.load()
        return image


def near(pixel: object, expected: tuple[int, ...], by: int = 24) -> bool:
    assert isinstance(pixel, tuple)
    return len(pixel) == len(expected) and all(abs(a - b) <= by for a, b in zip(pixel, expected, strict=True))


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block
