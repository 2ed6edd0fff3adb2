"""Drawn scenes for judging colours, edges and motion by eye, for docs/fidelity.html. Always the same bytes."""

from __future__ import annotations

import functools
import io
import struct

import pyvips  # type: ignore[import-untyped]
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageFont

from tests.support.moving_samples import animation
from tests.support.pictures import exif, saved

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
SIZE = (240, 150)
_FINE = 4  # shapes are drawn that many times larger, so that their edges are smooth
_SKIN, _SUN = (224, 172, 140), (255, 214, 64)
_PATCHES = ("#ff0000", "#00c000", "#0000ff", "#00c8ff", "#ff00c8", "#ffe600", "#ff7f00", "#7a4a2b")


@functools.cache
def scene() -> Image.Image:
    """Sky, sun, hills, a house, a face, pure colours and greys, for judging colours by eye."""
    width, height = (side * _FINE for side in SIZE)
    image = _fade((60, 130, 220), (215, 235, 250)).resize((width, height))
    draw = ImageDraw.Draw(image)
    unit = float(_FINE)
    draw.ellipse(_box(30, 26, 16, unit), fill=_SUN)
    draw.ellipse(_box(60, 150, 95, unit), fill=(70, 130, 60))
    draw.ellipse(_box(190, 165, 100, unit), fill=(105, 160, 70))
    draw.rectangle(_scaled((84, 62, 134, 104), unit), fill=(245, 240, 230))
    draw.polygon(_scaled((78, 64, 109, 38, 140, 64), unit), fill=(176, 48, 38))
    draw.rectangle(_scaled((102, 80, 114, 104), unit), fill=(72, 46, 30))
    draw.ellipse(_box(196, 58, 30, unit), fill=_SKIN)
    for x in (186, 206):
        draw.ellipse(_box(x, 52, 4, unit), fill=(40, 30, 30))
    draw.arc(_scaled((182, 52, 210, 76), unit), 20, 160, fill=(150, 50, 50), width=round(3 * unit))
    for number, colour in enumerate(_PATCHES):
        draw.rectangle(_scaled((number * 30, 112, number * 30 + 30, 132), unit), fill=colour)
    for number in range(16):
        draw.rectangle(_scaled((number * 15, 132, number * 15 + 15, 150), unit), fill=(number * 17,) * 3)
    return image.resize(SIZE, Image.Resampling.BOX)


def converted(profile: bytes, mode: str = "RGB") -> Image.Image:
    """The scene in another colour space: other numbers, the same colours."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    way = ImageCms.buildTransform(SRGB, target, "RGB", mode, ImageCms.Intent.RELATIVE_COLORIMETRIC,
                                  ImageCms.Flags.BLACKPOINTCOMPENSATION)  # fmt: skip
    result = ImageCms.applyTransform(scene(), way)
    assert result is not None
    return result


def ring() -> Image.Image:
    """A white ring, a yellow disc and a word on transparency, whose colour values are those of black."""
    width, height = (side * _FINE for side in SIZE)
    mask, colour = Image.new("L", (width, height)), Image.new("RGB", (width, height), "white")
    draw, paint = ImageDraw.Draw(mask), ImageDraw.Draw(colour)
    draw.ellipse(_box(60, 75, 54, _FINE), fill=255, outline=255)
    draw.ellipse(_box(60, 75, 42, _FINE), fill=0)
    draw.ellipse(_box(60, 75, 26, _FINE), fill=255)
    paint.ellipse(_box(60, 75, 34, _FINE), fill=_SUN)
    draw.text((124 * _FINE, 36 * _FINE), "Light", fill=255, font=ImageFont.load_default(40 * _FINE))
    for number in range(5):
        draw.line(_scaled((128, 100 + number * 9, 226, 94 + number * 9), _FINE), fill=255, width=_FINE * (number + 1))
    alpha, shown = (image.resize(SIZE, Image.Resampling.BOX) for image in (mask, colour))
    nothing = Image.new("RGBA", SIZE)
    nothing.paste(shown, mask=alpha.point([255 * (level > 0) for level in range(256)]))
    nothing.putalpha(alpha)
    return nothing


def gradient() -> bytes:
    """A 16-bit PNG of a sky from one blue to a paler one, both between levels of 8 bits."""
    width, height = SIZE
    rows = [[0x2F80 + 0x9000 * y // height, 0x6F80 + 0x7000 * y // height, 0xC780 + 0x2000 * y // height]
            for y in range(height)]  # fmt: skip
    samples = b"".join(struct.pack("3H", *row) * width for row in rows)
    image = pyvips.Image.new_from_memory(samples, *SIZE, 3, "ushort").copy(interpretation="rgb16")
    return bytes(image.write_to_buffer(".png"))


def stripes() -> Image.Image:
    """Black and white by turns, a chequered field, thin lines at a slant."""
    image = Image.new("RGB", SIZE, "black")
    for x in range(0, 80, 2):
        image.paste("white", (x, 0, x + 1, 150))
    chequers = Image.frombytes("L", (80, 150), bytes(255 * ((x ^ y) & 1) for y in range(150) for x in range(80)))
    image.paste(chequers, (80, 0))
    draw = ImageDraw.Draw(image)
    for number in range(12):
        draw.line((164 + number * 6, 4, 168 + number * 6, 145), fill="white")
    return image


def turned(orientation: int) -> bytes:
    """The scene, stored so that it is upright when EXIF's `orientation` is obeyed, with that number on it."""
    image = scene().resize((160, 100), Image.Resampling.LANCZOS)
    ImageDraw.Draw(image).text((56, 6), str(orientation), fill="white", stroke_width=2, stroke_fill="black",
                               font=ImageFont.load_default(28))  # fmt: skip
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions: what takes EXIF's back
    stored = image.transpose(Image.Transpose(undone[orientation])) if orientation > 1 else image
    return saved(stored, "JPEG", quality=90, subsampling=0, exif=exif(orientation))


def film(form: str, **options: object) -> bytes:
    """A sun that moves over the scene; the first frames are blank."""
    ground = scene().resize((160, 100), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))
    blank = Image.new("RGB", ground.size, (236, 232, 224))
    frames = [blank, Image.blend(blank, ground, 0.5)]
    for number in range(6):
        frame = ground.copy()
        x = 12 + 27 * number
        ImageDraw.Draw(frame).ellipse((x - 9, 31 - 5 * number, x + 9, 49 - 5 * number), fill=_SUN, outline="white")
        frames.append(frame)
    return animation(frames, form, duration=[400, 200, *[150] * 6], **options)


def _fade(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    down = Image.linear_gradient("L")
    return Image.composite(Image.new("RGB", down.size, bottom), Image.new("RGB", down.size, top), down)


def _box(x: float, y: float, radius: float, unit: float) -> tuple[float, float, float, float]:
    return (x - radius) * unit, (y - radius) * unit, (x + radius) * unit, (y + radius) * unit


def _scaled(points: tuple[float, ...], unit: float) -> tuple[float, ...]:
    return tuple(value * unit for value in points)
