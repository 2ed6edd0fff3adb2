"""Every way to store colour ends in the same colours."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from imgcache.models import Recipe
from tests.pictures import made, near, quarters, saved, shown


def test_every_way_to_store_colour_is_understood(tmp_path: Path) -> None:
    grey16 = Image.frombytes("I;16", (4, 4), struct.pack("<16H", *[0x8000] * 16))
    float32 = Image.new("F", (4, 4), 0.5)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    red, grey = (255, 0, 0), (128, 128, 128)
    for body, colour in (
        (saved(grey16, "PNG"), grey),
        (saved(grey16, "TIFF"), grey),
        (saved(float32, "TIFF"), grey),
        (saved(palette, "PNG"), red),
        (saved(palette, "GIF"), red),
        (saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=95), red),
        (saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF"), red),
        (saved(Image.new("1", (4, 4), 1), "PNG"), (255, 255, 255)),
        (saved(Image.new("LA", (4, 4), (128, 255)), "PNG"), grey),
        (saved(Image.new("YCbCr", (4, 4), (76, 85, 255)), "TIFF"), red),
        (saved(Image.new("LAB", (4, 4), (136, 80 + 128, 67 + 128)), "TIFF"), red),
    ):
        rendered = made(body, tmp_path, Recipe("p", width=2, format="png"))
        assert near(shown(tmp_path, rendered).convert("RGB").getpixel((1, 1)), colour, 12), (body[:60], colour)
        assert near(tuple(bytes.fromhex(rendered.color[1:])), colour, 12)


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(0, (0, 0, 8, 4))
    rendered = made(saved(image, "PNG", transparency=0), tmp_path, Recipe("p", format="png"), Recipe("w", width=4))
    assert rendered.header.has_alpha
    for index, rows in ((0, (1, 6)), (1, (0, 3))):
        result = shown(tmp_path, rendered, index).convert("RGBA")
        assert result.getpixel((2, rows[0]))[3] < 8  # type: ignore[index]
        assert near(result.getpixel((2, rows[1])), (255, 0, 0, 255))


def swapped_profile() -> bytes:
    """An sRGB profile that has red and green exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tXYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tXYZ", b"gXYZ", 1)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_colour_profile_is_applied_and_left_out(form: str, tmp_path: Path) -> None:
    body = saved(Image.new("RGB", (16, 16), "red"), form, icc_profile=swapped_profile())
    rendered = made(
        body, tmp_path, Recipe("p", width=8, format="png"), Recipe("same", format=form.lower().replace("tiff", "webp"))
    )
    for index in (0, 1):
        result = shown(tmp_path, rendered, index)
        assert near(result.convert("RGB").getpixel((4, 4)), (0, 255, 0)), form
        assert "icc_profile" not in result.info
    assert near(tuple(bytes.fromhex(rendered.color[1:])), (0, 255, 0))


@pytest.mark.parametrize(
    "profile", [b"nonsense" * 40, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
)
def test_a_broken_profile_and_plain_srgb_change_nothing(profile: bytes, tmp_path: Path) -> None:
    rendered = made(saved(quarters(), "PNG", icc_profile=profile), tmp_path, Recipe("p", format="png"))
    assert shown(tmp_path, rendered).tobytes() == quarters().tobytes()


def test_the_dominant_colour_is_the_one_most_seen_of_what_is_opaque(tmp_path: Path) -> None:
    image = Image.new("RGBA", (100, 100), (0, 255, 0, 0))
    image.paste((200, 30, 40, 255), (0, 0, 100, 30))
    image.paste((20, 30, 240, 255), (0, 30, 100, 45))
    assert near(tuple(bytes.fromhex(made(saved(image, "PNG"), tmp_path).color[1:])), (200, 30, 40), 3)
    assert made(saved(Image.new("RGBA", (5, 5)), "PNG"), tmp_path).color == "#ffffff"
    assert made(saved(Image.new("RGB", (700, 2), (1, 2, 3)), "PNG"), tmp_path).color == "#010203"
