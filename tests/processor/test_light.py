"""Scaling quality: transparency, linear light, 16-bit samples, and JPEGs decoded at a fraction."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat

from imgcache.core import Fit, Recipe, Size, VariantFormat
from imgcache.processor import icc
from imgcache.processor import linear_light as light
from imgcache.processor.geometry import plan_target
from imgcache.processor.scaling import resized, scaled
from tests.support.colour_samples import ADOBE_RGB, deep, vips_profile
from tests.support.pictures import exif, made, near, noise, photo, saved, shown

HALF = Recipe("p", width=16, format=VariantFormat.PNG, effort=0)
LINEAR = Recipe("p", width=16, format=VariantFormat.PNG, effort=0, linear=True)


def pixels(image: Image.Image) -> list[tuple[int, ...]]:
    data, count = image.tobytes(), len(image.getbands())
    return [tuple(data[at : at + count]) for at in range(0, len(data), count)]


@pytest.mark.parametrize("recipe", [HALF, LINEAR])
@pytest.mark.parametrize("colour", [(255, 255, 255), (250, 200, 40)])
def test_a_bright_shape_on_transparency_has_no_dark_fringe(
    recipe: Recipe, colour: tuple[int, int, int], tmp_path: Path
) -> None:
    image = Image.new("RGBA", (77, 77))  # transparent black
    ImageDraw.Draw(image).ellipse((9, 9, 66, 66), (*colour, 255))
    result = shown(tmp_path, made(saved(image, "PNG"), tmp_path, recipe)).convert("RGBA")
    edge = [pixel for pixel in pixels(result) if 32 <= pixel[3] < 255]
    assert len(edge) > 20
    for *seen, alpha in edge:
        least = [value - 2 - 510 // alpha for value in colour]  # 8 bits of a colour times its opacity, twice
        assert all(value >= bound for value, bound in zip(seen, least, strict=True)), (seen, alpha)


@settings(max_examples=25)
@given(
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    to=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    linear=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_single_colour_is_kept_at_any_opacity(
    colour: tuple[int, int, int], size: tuple[int, int], to: tuple[int, int], linear: bool, seed: int
) -> None:
    image = Image.new("RGB", size, colour)
    image.putalpha(noise(size, "L", seed).point(lambda value: 100 + value // 4))  # Lanczos overshoots: clipped nowhere
    for *seen, alpha in pixels(resized(image.convert("RGBa"), to, linear=linear).convert("RGBA")):
        # Three roundings to whole premultiplied samples: before, and after each direction.
        assert near(tuple(seen), colour, 3 * 255 // alpha + 1), (seen, alpha)


@pytest.mark.parametrize(("recipe", "grey"), [(HALF, 128), (LINEAR, 188)])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_black_and_white_stripes_become_half_the_light_in_linear_light(
    form: str, recipe: Recipe, grey: int, tmp_path: Path
) -> None:
    rows = Image.new("L", (64, 64))  # a JPEG that could be decoded at half its size
    for row in range(0, 64, 2):
        rows.paste(255, (0, row, 64, row + 1))
    for image in (rows, rows.convert("RGB"), rows.convert("CMYK")):
        if form == "PNG" and image.mode == "CMYK":
            continue
        body = saved(image, form, **({"quality": 100, "subsampling": 0} if form == "JPEG" else {}))
        result = shown(tmp_path, made(body, tmp_path, recipe)).convert("L")
        assert abs(ImageStat.Stat(result.crop((4, 4, 12, 12))).mean[0] - grey) <= 2


def test_linear_light_weights_colours_by_opacity(tmp_path: Path) -> None:
    image = Image.new("RGBA", (32, 32), (255, 0, 0, 255))
    for row in range(0, 32, 2):
        image.paste((0, 0, 255, 85), (0, row, 32, row + 1))
    result = shown(tmp_path, made(saved(image, "PNG"), tmp_path, LINEAR)).convert("RGBA")
    assert near(result.getpixel((8, 8)), (225, 0, 137, 170), 2)  # light 0.75 and 0.25, opacity two thirds


def test_linear_light_is_used_for_every_width(tmp_path: Path) -> None:
    checks = Image.frombytes("L", (64, 64), bytes(255 * ((x ^ y) & 1) for y in range(64) for x in range(64)))
    recipes = [
        Recipe(f"w{width}", width=width, format=VariantFormat.PNG, effort=0, linear=True) for width in (48, 32, 16)
    ]
    rendered = made(
        saved(checks, "PNG"), tmp_path, *recipes, Recipe("plain", width=16, format=VariantFormat.PNG, effort=0)
    )
    middles = [
        ImageStat.Stat(shown(tmp_path, rendered, index).convert("L").crop((4, 4, 12, 12))).mean[0] for index in range(4)
    ]
    assert all(abs(middle - 188) <= 3 for middle in middles[:3])
    assert abs(middles[3] - 128) <= 3


def test_every_level_survives_linear_light() -> None:
    block = 16  # rows of one level: Lanczos at half the size sees 12
    ramp = Image.frombytes("L", (8, 256 * block), bytes(row // block for row in range(256 * block) for _ in range(8)))
    colours = Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.FLIP_TOP_BOTTOM), Image.new("L", ramp.size, 90)))
    for image, known in (
        (ramp, [(level,) for level in range(256)]),
        (colours, [(level, 255 - level, 90) for level in range(256)]),
    ):
        small = resized(image, (4, 256 * block // 2), linear=True)
        assert small.mode == image.mode
        assert pixels(small)[4 * 4 :: 4 * block // 2] == known


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("linear", [False, True])
def test_strips_give_the_same_result_as_the_whole_picture(mode: str, linear: bool) -> None:
    image, low = noise((61, 97), mode), noise((61, 97), mode, seed=2)
    for samples in (light.Samples(image), light.Samples(image, low)):
        for size, box in (((20, 31), None), ((61, 97), None), ((13, 40), (3.5, 10.25, 50.0, 90.5))):
            whole = light.scale(samples, size, box, linear=linear, strip=1_000_000)
            parts = light.scale(samples, size, box, linear=linear, strip=61 * 7)
            apart = ImageChops.difference(whole.convert(mode), parts.convert(mode)).tobytes()
            assert max(apart) <= 1  # where a half is rounded up in one and down in the other


def test_a_crop_is_cut_from_the_same_place_in_linear_light() -> None:
    image = photo((120, 90))
    crop = plan_target(Recipe("c", width=30, height=30, fit=Fit.COVER), Size(120, 90))
    plain, bright = (scaled(image, Size(120, 90), [crop], linear=linear)[crop] for linear in (False, True))
    assert plain.size == bright.size == (30, 30)
    assert ImageStat.Stat(ImageChops.difference(plain, bright)).mean[0] < 2


SAMPLES = {  # of 16 bits: cut to 8 they are one less than rounded
    "grey": ((0x40F0,), (65,)),
    "rgb": ((0x40F0, 0x80F0, 0x10F0), (65, 128, 17)),
    "rgba": ((0x40F0, 0x80F0, 0x10F0, 0xFFFF), (65, 128, 17)),
}


@pytest.mark.parametrize("recipe", [HALF, LINEAR, Recipe("p", format=VariantFormat.PNG, effort=0)])
@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(
    ("form", "options"),
    [
        (".png", {}),
        (".png", {"interlace": True}),
        (".tif", {}),
        (".tif", {"compression": "deflate", "predictor": "horizontal"}),
        (".tif", {"compression": "lzw", "tile": True, "tile_width": 16, "tile_height": 16}),
    ],
)
def test_sixteen_bits_are_rounded_not_cut(
    form: str, options: dict[str, object], kind: str, recipe: Recipe, tmp_path: Path
) -> None:
    samples, known = SAMPLES[kind]
    rendered = made(deep([samples] * 32 * 32, (32, 32), form, **options), tmp_path, recipe)
    expected = known * 3 if kind == "grey" else known
    assert shown(tmp_path, rendered).convert("RGB").getpixel((5, 5)) == expected


def motorola_tiff(samples: tuple[int, ...], side: int) -> bytes:
    """An uncompressed TIFF with the high byte first, 16 bits a sample (TIFF 6.0, sections 2 and 6)."""
    count, pixels = len(samples), struct.pack(f">{len(samples)}H", *samples) * side * side
    bits = 8 + 2 + 10 * 12 + 4
    entries = [
        *((256, 3, 1, side << 16), (257, 3, 1, side << 16), (258, 3, count, bits if count > 2 else 16 << 16)),
        *((259, 3, 1, 1 << 16), (262, 3, 1, (2 if count > 1 else 1) << 16), (273, 4, 1, bits + 8)),
        *((277, 3, 1, count << 16), (278, 3, 1, side << 16), (279, 4, 1, len(pixels)), (284, 3, 1, 1 << 16)),
    ]
    table = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return b"MM\0*" + struct.pack(">IH", 8, 10) + table + bytes(4) + struct.pack(">4H", *[16] * 4) + pixels


@pytest.mark.parametrize("kind", ["grey", "rgb"])
def test_sixteen_bits_with_the_high_byte_first(kind: str, tmp_path: Path) -> None:
    samples, known = SAMPLES[kind]
    result = shown(tmp_path, made(motorola_tiff(samples, 32), tmp_path, HALF)).convert("RGB")
    assert result.getpixel((5, 5)) == (known * 3 if kind == "grey" else known)


def test_sixteen_bits_are_scaled_before_rounding(tmp_path: Path) -> None:
    size = (48, 36)
    stored = struct.unpack(f"{size[0] * size[1]}H", noise((size[0] * 2, size[1]), "L").tobytes())
    wide = Image.frombytes("F", size, struct.pack(f"{len(stored)}f", *stored))
    exact = struct.unpack("192f", wide.resize((16, 12), Image.Resampling.LANCZOS).tobytes())
    known = bytes(min(max(round(value / 257), 0), 255) for value in exact)
    for channels in (1, 3):
        rendered = made(deep([(value,) * channels for value in stored], size, ".png"), tmp_path, HALF)
        assert shown(tmp_path, rendered).getchannel(0).tobytes() == known


def test_transparent_sixteen_bit_pixels_do_not_bleed(tmp_path: Path) -> None:
    column = [(0xFFFF, 0x8000, 0, 0xFFFF), (0, 0, 0, 0)]
    body = deep([column[x & 1] for _ in range(32) for x in range(32)], (32, 32), ".png")
    result = shown(tmp_path, made(body, tmp_path, HALF)).convert("RGBA")
    assert near(result.getpixel((8, 8)), (255, 128, 0, 128), 2)


@pytest.mark.parametrize("linear", [False, True])
def test_linear_light_works_with_orientation_and_profiles(linear: bool, tmp_path: Path) -> None:
    half = Image.new("RGB", (40, 20), (100, 150, 200))
    half.paste((180, 140, 90), (20, 0, 40, 20))
    body = saved(half, "JPEG", quality=98, subsampling=0, exif=exif(6), icc_profile=icc.matrix(563 / 256, ADOBE_RGB))
    recipe = Recipe("p", width=10, format=VariantFormat.PNG, linear=linear)
    result = shown(tmp_path, made(body, tmp_path, recipe))
    assert result.size == (10, 20)
    assert near(result.getpixel((5, 4)), (66, 151, 203), 3)
    assert near(result.getpixel((5, 16)), (195, 141, 86), 3)


def test_cmyk_is_scaled_in_linear_light_as_rgb(tmp_path: Path) -> None:
    body = saved(Image.new("CMYK", (40, 40), (30, 60, 90, 10)), "TIFF", icc_profile=vips_profile("cmyk"))
    plain, bright = (
        shown(tmp_path, made(body, tmp_path, recipe)).convert("RGB").getpixel((5, 5)) for recipe in (HALF, LINEAR)
    )
    assert near(plain, bright, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [205, 105, 400, 300])
def test_a_jpeg_is_not_blurred_by_decoding_it_too_small(width: int, tmp_path: Path) -> None:
    """A quarter of 844 is 211: scaled from that to 205, fine detail is soft."""
    fine = noise((422, 300), "L", 7).resize((844, 600), Image.Resampling.BICUBIC).convert("RGB")
    body = saved(fine, "JPEG", quality=95, subsampling=0)
    result = shown(tmp_path, made(body, tmp_path, Recipe("p", width=width, format=VariantFormat.PNG, effort=0)))
    with Image.open(io.BytesIO(body)) as image:
        whole = image.convert("RGB").resize(result.size, Image.Resampling.LANCZOS)
    apart = ImageStat.Stat(ImageChops.difference(result, whole)).rms[1] / ImageStat.Stat(whole).stddev[1]
    assert apart < 0.3, f"{apart:.3f} of the contrast"
