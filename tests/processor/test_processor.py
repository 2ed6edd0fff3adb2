"""Rendering: variants of real files, their geometry and their records."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgcache.core import Fit, Recipe, Size, VariantFormat, sniff
from imgcache.processor.geometry import inside, plan_target
from tests.support.pictures import exif, made, near, noise, photo, saved, shown

sides = st.integers(1, 30_000)


@given(sides, sides, sides, sides)
def test_inside_fits_keeps_the_shape_and_never_enlarges(width: int, height: int, wide: int, high: int) -> None:
    out = inside(Size(width, height), wide, high)
    assert 1 <= out.width <= min(width, wide)
    assert 1 <= out.height <= min(height, high)
    assert out.width in {width, wide} or out.height in {height, high}
    exact = min(1, wide / width, high / height)
    assert abs(out.width - width * exact) <= 1
    assert abs(out.height - height * exact) <= 1


@given(sides, sides, st.integers(1, 4000), st.integers(1, 4000))
def test_cover_cuts_the_middle_and_never_enlarges(width: int, height: int, wide: int, high: int) -> None:
    size, crop, full = plan_target(
        Recipe("c", width=wide, height=high, fit=Fit.COVER, format=VariantFormat.PNG), Size(width, height)
    )
    left, top, right, bottom = crop
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs(left - (width - right)) <= 1
    assert abs(top - (height - bottom)) <= 1
    assert size.width <= min(wide, right - left)
    assert size.height <= min(high, bottom - top)
    if width >= wide and height >= high:
        assert size == Size(wide, high)
    assert full.width >= size.width
    assert full.height >= size.height


def test_a_picture_too_long_for_webp_is_made_smaller(tmp_path: Path) -> None:
    rendered = made(saved(Image.new("L", (3, 20_000)), "PNG"), tmp_path, Recipe("w", width=640))
    assert (rendered.variants[0].width, rendered.variants[0].height) == (2, 16_383)


def test_variants_have_the_requested_size_and_are_recorded(tmp_path: Path) -> None:
    recipes = [
        Recipe("thumb", width=320, format=VariantFormat.AUTO),
        Recipe("w640", width=640),
        Recipe("w1280", width=1280),
        Recipe("w5000", width=5000),
        Recipe("huge", width=9000, height=9000),
        Recipe("square", width=200, height=200, fit=Fit.COVER, format=VariantFormat.AVIF),
        Recipe("tall", height=99, format=VariantFormat.PNG),
    ]
    rendered = made(saved(photo((2001, 1499)), "JPEG"), tmp_path, *recipes)
    assert [(one.path, one.width, one.height) for one in rendered.variants] == [
        ("thumb.jpg", 320, 240),
        ("w640.webp", 640, 479),
        ("w1280.webp", 1280, 959),
        ("w5000.webp", 2001, 1499),
        ("square.avif", 200, 200),
        ("tall.png", 132, 99),
    ]
    assert rendered.recipes == tuple(recipe.fingerprint for recipe in recipes)
    for index, variant in enumerate(rendered.variants):
        data = (tmp_path / variant.path).read_bytes()
        assert (variant.bytes, variant.digest) == (len(data), hashlib.sha256(data).hexdigest())
        assert sniff(data) == variant.format
        assert shown(tmp_path, rendered, index).size == (variant.width, variant.height)
    assert {one.name: one.recipe for one in rendered.variants}["w5000"] == recipes[3].fingerprint


@pytest.mark.parametrize("size", [(1001, 667), (4003, 2999), (121, 97)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_decoding_at_a_fraction_agrees_with_full_decoding(
    size: tuple[int, int], orientation: int, tmp_path: Path
) -> None:
    picture = photo(size)
    rendered = made(
        saved(picture, "JPEG", quality=95, exif=exif(orientation)),
        tmp_path,
        Recipe("s", width=size[0] // 10, format=VariantFormat.PNG),
    )
    upright = picture.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else picture
    result = shown(tmp_path, rendered)
    wanted = upright.resize(result.size, Image.Resampling.LANCZOS)
    pairs = zip(result.tobytes(), wanted.tobytes(), strict=True)
    assert sum(abs(a - b) for a, b in pairs) / len(wanted.tobytes()) < 1.5


def test_cover_keeps_the_middle(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    rendered = made(
        saved(image, "PNG"), tmp_path, Recipe("s", width=50, height=50, fit=Fit.COVER, format=VariantFormat.PNG)
    )
    result = shown(tmp_path, rendered).convert("RGB")
    assert all(near(result.getpixel(at), (0, 0, 255)) for at in ((2, 25), (25, 2), (47, 25), (25, 47)))


def test_auto_is_png_only_for_transparent_pictures(tmp_path: Path) -> None:
    solid, clear = Image.new("RGBA", (9, 9), "red"), Image.new("RGBA", (9, 9), (255, 0, 0, 128))
    recipe = Recipe("thumb", width=5, format=VariantFormat.AUTO)
    assert made(saved(solid, "PNG"), tmp_path, recipe).variants[0].format == "jpeg"
    assert made(saved(clear, "PNG"), tmp_path, recipe).variants[0].format == "png"
    flat = made(saved(clear, "PNG"), tmp_path, Recipe("flat", width=5, format=VariantFormat.JPEG))
    assert near(shown(tmp_path, flat).getpixel((2, 2)), (255, 127, 127))


@pytest.mark.parametrize("form", ["webp", "png", "avif"])
def test_transparency_has_no_dark_fringe(form: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (101, 101, 299, 299))
    rendered = made(saved(image, "PNG"), tmp_path, Recipe("s", width=90, format=VariantFormat(form), quality=95))
    result = shown(tmp_path, rendered).convert("RGBA")
    assert result.getpixel((2, 2))[3] == 0  # type: ignore[index]
    visible = [value[:3] for value in zip(*[iter(result.tobytes())] * 4, strict=True) if value[3] > 60]
    assert visible
    assert min(min(pixel) for pixel in visible) > 215


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    recipes = [Recipe(form, width=50, format=VariantFormat(form)) for form in ("webp", "avif", "jpeg", "png")]
    body = saved(photo((120, 90)), "JPEG")
    assert made(body, tmp_path, *recipes) == made(body, tmp_path, *recipes)


@pytest.mark.parametrize("size", [(1, 1), (640, 480), (3, 900), (940, 2), (16, 16)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_placeholder_is_a_tiny_picture_of_the_same_shape(size: tuple[int, int], mode: str, tmp_path: Path) -> None:
    rendered = made(saved(noise(size, mode), "PNG"), tmp_path, Recipe("w", width=320))
    assert len(rendered.placeholder) <= 400
    kind, _, text = rendered.placeholder.partition(";base64,")
    assert kind == "data:image/webp"
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        assert max(image.size) <= 16
        assert (image.width >= image.height) == (size[0] >= size[1])
        assert image.has_transparency_data == (mode == "RGBA")
