"""Colour modes and profiles: all of them are converted to the right sRGB colours."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
import pyvips  # type: ignore[import-untyped]
from PIL import Image

from imgcache.core import ColorSpace, Recipe, VariantFormat
from imgcache.processor import icc
from tests.support.colour_samples import (
    ADOBE,
    ADOBE_RGB,
    DRAWN,
    P3,
    SRGB,
    WIDE,
    difference,
    lab,
    png_chunks,
    spectrum,
    swapped_profile,
    vips_profile,
)
from tests.support.pictures import made, near, noise, quarters, saved, shown

ORIGINAL = Recipe("same", format=VariantFormat.PNG, effort=0)
KEPT = Recipe("kept", format=VariantFormat.PNG, effort=0, color=ColorSpace.KEEP)


def test_every_colour_mode_is_decoded(tmp_path: Path) -> None:
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
        rendered = made(body, tmp_path, Recipe("p", width=2, format=VariantFormat.PNG))
        assert near(shown(tmp_path, rendered).convert("RGB").getpixel((1, 1)), colour, 12), (body[:60], colour)
        assert near(tuple(bytes.fromhex(rendered.color[1:])), colour, 12)


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(0, (0, 0, 8, 4))
    rendered = made(
        saved(image, "PNG", transparency=0), tmp_path, Recipe("p", format=VariantFormat.PNG), Recipe("w", width=4)
    )
    assert rendered.header.has_alpha
    for index, rows in ((0, (1, 6)), (1, (0, 3))):
        result = shown(tmp_path, rendered, index).convert("RGBA")
        assert result.getpixel((2, rows[0]))[3] < 8  # type: ignore[index]
        assert near(result.getpixel((2, rows[1])), (255, 0, 0, 255))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_colour_profile_is_applied_and_removed(form: str, tmp_path: Path) -> None:
    body = saved(Image.new("RGB", (16, 16), "red"), form, icc_profile=swapped_profile())
    rendered = made(
        body,
        tmp_path,
        Recipe("p", width=8, format=VariantFormat.PNG),
        Recipe("same", format=VariantFormat(form.lower().replace("tiff", "webp"))),
    )
    for index in (0, 1):
        result = shown(tmp_path, rendered, index)
        assert near(result.convert("RGB").getpixel((4, 4)), (0, 255, 0)), form
        assert "icc_profile" not in result.info
    assert near(tuple(bytes.fromhex(rendered.color[1:])), (0, 255, 0))


# Samples under a profile, and the sRGB that they are: linear light by the matrices of CSS Color 4, section 18 (Display
# P3, ProPhoto), and of Adobe RGB (1998), annex C, worked out by hand; then sRGB's curve.
@pytest.mark.parametrize(
    ("profile", "samples", "known"),
    [
        (P3, (200, 100, 50), (215, 93, 31)),
        (P3, (120, 180, 140), (100, 182, 137)),
        (P3, (0, 255, 0), (0, 255, 0)),  # outside of sRGB: the nearest green
        (ADOBE, (100, 150, 200), (66, 151, 203)),
        (ADOBE, (180, 140, 90), (195, 141, 86)),
        (WIDE, (120, 110, 100), (150, 127, 117)),
        (WIDE, (255, 255, 255), (255, 255, 255)),
    ],
)
def test_wide_gamut_colours_are_converted_to_known_values(
    profile: bytes, samples: tuple[int, ...], known: tuple[int, ...], tmp_path: Path
) -> None:
    clear = Image.new("RGBA", (4, 4), (*samples, 128))
    for image in (Image.new("RGB", (4, 4), samples), clear):
        rendered = made(saved(image, "PNG", icc_profile=profile), tmp_path, ORIGINAL)
        assert near(shown(tmp_path, rendered).convert("RGB").getpixel((1, 1)), known, 2)
        assert near(tuple(bytes.fromhex(rendered.color[1:])), known, 2)
        assert rendered.notes == ()


# Sharma, Wu, Dalal: The CIEDE2000 color-difference formula, 2005, table 1, rows 1, 7, 12, 17, 29, 34.
@pytest.mark.parametrize(
    ("one", "other", "known"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0012), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_colour_difference_of_the_tests_is_ciede2000(
    one: tuple[float, ...], other: tuple[float, ...], known: float
) -> None:
    first, second = (
        pyvips.Image.new_from_memory(struct.pack("fff", *point), 1, 1, 3, "float").copy(interpretation="lab")
        for point in (one, other)
    )
    assert difference(first, second) == pytest.approx(known, rel=0.003)


@pytest.mark.parametrize("name", DRAWN)
def test_colours_are_those_of_libvips(name: str, tmp_path: Path) -> None:
    rendered = made(DRAWN[name](), tmp_path, ORIGINAL)
    apart = difference(lab(tmp_path / "original"), lab(tmp_path / rendered.variants[0].path))
    assert apart < 2, f"CIEDE2000 {apart:.2f} on average"


@pytest.mark.parametrize(
    "name",
    [
        "icc__imaging__pizza-rgb8-adobergb.jpg",
        "icc__imaging__pizza-rgb8-displayp3.jpg",
        "icc__imaging__pizza-rgb8-displayp3-vp8x.webp",
        "grayscale__thumbor__grayscale-icc.jpg",
    ],
)
def test_colours_of_real_files_are_those_of_libvips(name: str, shared: Path, tmp_path: Path) -> None:
    rendered = made((shared / "images/cases" / name).read_bytes(), tmp_path, ORIGINAL)
    apart = difference(lab(tmp_path / "original"), lab(tmp_path / rendered.variants[0].path))
    assert apart < 2, f"CIEDE2000 {apart:.2f} on average"


@pytest.mark.parametrize("name", ["tiff__pillow__lab.tif", None])
def test_lab_is_converted(name: str | None, shared: Path, tmp_path: Path) -> None:
    body = (shared / "images/cases" / name).read_bytes() if name else saved(spectrum("LAB"), "TIFF")
    rendered = made(body, tmp_path, ORIGINAL)
    with Image.open(io.BytesIO(body)) as image:
        stored = pyvips.Image.new_from_memory(Image.merge("RGB", image.split()).tobytes(), *image.size, 3, "uchar")
    meant = stored.linear([100 / 255, 1, 1], [0, -128, -128]).cast("float").copy(interpretation="lab")
    visible = meant.colourspace("srgb").colourspace("lab")
    apart = difference(visible, lab(tmp_path / rendered.variants[0].path))
    assert apart < 2, f"CIEDE2000 {apart:.2f} on average"


@pytest.mark.parametrize(
    ("chunks", "known"),
    [
        (png_chunks(1.0), (128, 128, 128)),  # linear light: 55 / 255 is 0.2157
        (png_chunks(1.0, ADOBE_RGB), (128, 128, 128)),
        (png_chunks(0.45455), (55, 55, 55)),
        (png_chunks(0.435), (55, 55, 55)),  # within 5 %
        (png_chunks(1 / 1.5), (89, 89, 89)),
        (png_chunks(1.0, srgb=True), (55, 55, 55)),  # sRGB goes before gAMA
        (png_chunks(None, ADOBE_RGB), (55, 55, 55)),  # cHRM alone has no effect
        (png_chunks(0.0), (55, 55, 55)),
    ],
)
@pytest.mark.parametrize(
    ("mode", "options", "opacity"),
    [("L", {}, 255), ("RGB", {}, 255), ("LA", {}, 204), ("L", {"transparency": 3}, 255)],
    ids=["L", "RGB", "LA", "L-tRNS"],
)
def test_the_gamma_of_a_png_is_applied(
    mode: str, options: dict[str, int], opacity: int, chunks: object, known: tuple[int, ...], tmp_path: Path
) -> None:
    image = Image.new(mode, (4, 4), {"RGB": (55,) * 3, "LA": (55, opacity)}.get(mode, 55))
    rendered = made(saved(image, "PNG", pnginfo=chunks, **options), tmp_path, ORIGINAL)
    assert near(shown(tmp_path, rendered).convert("RGBA").getpixel((1, 1)), (*known, opacity), 1)
    assert rendered.notes == ()


# 65 of 255 is 0.2549 of the light where the sample is the light, and 0.0650 under a power of 2: then sRGB's curve. At
# an opacity of 204, which is 0.8, nothing of it is rounded away.
@pytest.mark.parametrize(("gamma", "known"), [(1.0, 138), (2.0, 72)])
@pytest.mark.parametrize(
    ("mode", "form", "options"),
    [
        ("L", "PNG", {}),
        ("LA", "PNG", {}),
        ("LA", "TIFF", {}),
        ("L", "PNG", {"transparency": 3}),
        ("1", "PNG", {"transparency": 0}),
    ],
    ids=["L", "LA", "LA-TIFF", "L-tRNS", "1-tRNS"],
)
@pytest.mark.parametrize("recipe", [ORIGINAL, KEPT, Recipe("half", width=32, format=VariantFormat.PNG, linear=True)])
def test_grey_with_a_grey_profile_keeps_its_transparency(
    recipe: Recipe, mode: str, form: str, options: dict[str, int], gamma: float, known: int, tmp_path: Path
) -> None:
    opacity = 204 if mode == "LA" else 255
    grey = Image.new("LA", (64, 64), (65, opacity)) if mode == "LA" else Image.new(mode, (64, 64), 65)
    body = saved(grey, form, icc_profile=icc.gray(gamma), **options)
    rendered = made(body, tmp_path, recipe)
    result = shown(tmp_path, rendered)
    assert near(result.convert("RGBA").getpixel((10, 10)), (*(255 if mode == "1" else known,) * 3, opacity), 1)
    assert "icc_profile" not in result.info
    assert rendered.notes == ()


def test_a_transparent_colour_picture_ignores_a_grey_profile(tmp_path: Path) -> None:
    for sample in ((200, 30, 60, 128), (64, 64, 64, 128)):  # the mode decides, so that all frames are equal
        body = saved(Image.new("RGBA", (8, 8), sample), "PNG", icc_profile=icc.gray(1.0))
        rendered = made(body, tmp_path, ORIGINAL)
        assert near(shown(tmp_path, rendered).getpixel((1, 1)), sample, 1)
        assert "does not fit an image in RGBA" in rendered.notes[0]


def test_the_profile_applies_to_every_frame_of_a_grey_animation(tmp_path: Path) -> None:
    frames = [Image.new("LA", (40, 40), (64, 255)) for _ in range(4)]
    for number, frame in enumerate(frames):
        frame.paste((200, 0), (number * 10, 0, number * 10 + 6, 40))
    body = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100, icc_profile=icc.gray(1.0))
    rendered = made(body, tmp_path, Recipe("film", quality=100), Recipe("still", width=20, format=VariantFormat.PNG))
    assert [one.frames for one in rendered.variants] == [4, 1]
    assert rendered.notes == ()
    with Image.open(tmp_path / rendered.variants[0].path) as film:
        for number in range(4):
            film.seek(number)
            assert near(film.convert("RGBA").getpixel((number * 10 + 8, 20)), (137, 137, 137, 255), 4)
            assert film.convert("RGBA").getpixel((number * 10 + 2, 20))[3] == 0  # type: ignore[index]
    assert near(shown(tmp_path, rendered, 1).convert("RGBA").getpixel((19, 9)), (137, 137, 137, 255), 4)


def test_gamma_applies_to_a_more_detailed_frame_too(tmp_path: Path) -> None:
    detailed = Image.new("L", (64, 64), 55)
    detailed.paste(noise((64, 40), "L"))
    frames = [Image.new("L", (64, 64), 55), detailed, detailed]
    body = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100, pnginfo=png_chunks(1.0))
    result = shown(tmp_path, made(body, tmp_path, Recipe("still", width=64, format=VariantFormat.PNG))).convert("L")
    assert result.crop((0, 0, 64, 30)).entropy() > 3
    assert abs(int(result.tobytes()[-1]) - 128) <= 1


@pytest.mark.parametrize("primaries", [(0.3, 0.3, 0.0, 0.0, 0.3, 0.6, 0.15, 0.06), (0.3, 0.3) * 4])
def test_impossible_primaries_are_ignored(primaries: tuple[float, ...], tmp_path: Path) -> None:
    rendered = made(saved(quarters(), "PNG", pnginfo=png_chunks(1.0, primaries)), tmp_path, ORIGINAL)
    assert shown(tmp_path, rendered).convert("RGB").tobytes() == quarters().tobytes()


@pytest.mark.parametrize("image", [Image.new("L", (4, 4), 55), Image.new("LA", (4, 4), (55, 255))], ids=["L", "LA"])
def test_grey_has_a_gamma_and_no_primaries(image: Image.Image, tmp_path: Path) -> None:
    rendered = made(saved(image, "PNG", pnginfo=png_chunks(1.0, (0.3, 0.3) * 4)), tmp_path, ORIGINAL)
    assert near(shown(tmp_path, rendered).convert("RGB").getpixel((1, 1)), (128, 128, 128), 1)


def test_the_primaries_of_a_png_are_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (180, 140, 90))
    rendered = made(saved(image, "PNG", pnginfo=png_chunks(256 / 563, ADOBE_RGB)), tmp_path, ORIGINAL)
    assert near(shown(tmp_path, rendered).getpixel((1, 1)), (195, 141, 86), 2)


def test_an_original_with_an_srgb_profile_or_gamma_is_used_unchanged(tmp_path: Path) -> None:
    for options in ({"icc_profile": SRGB}, {"pnginfo": png_chunks(0.45455, icc._SRGB)}):
        body = saved(quarters(), "PNG", **options)
        rendered = made(body, tmp_path, Recipe("p", format=VariantFormat.PNG, effort=0))
        assert shown(tmp_path, rendered).convert("RGB").tobytes() == quarters().tobytes()
        assert rendered.notes == ()


@pytest.mark.parametrize("form", ["webp", "avif", "jpeg", "png", "auto"])
def test_colours_can_be_kept_with_their_profile(form: str, tmp_path: Path) -> None:
    body = saved(Image.new("RGB", (64, 64), (180, 140, 90)), "PNG", icc_profile=ADOBE)
    kept = Recipe("kept", width=32, format=VariantFormat(form), color=ColorSpace.KEEP)
    rendered = made(body, tmp_path, kept, Recipe("srgb", width=32, format=VariantFormat(form)))
    first, second = (shown(tmp_path, rendered, index) for index in (0, 1))
    assert first.info["icc_profile"] == ADOBE
    assert near(first.convert("RGB").getpixel((9, 9)), (180, 140, 90), 3)
    assert "icc_profile" not in second.info
    assert near(second.convert("RGB").getpixel((9, 9)), (195, 141, 86), 3)
    assert near(tuple(bytes.fromhex(rendered.color[1:])), (195, 141, 86), 3)


def test_kept_colours_keep_their_transparency(tmp_path: Path) -> None:
    image = Image.new("RGBA", (32, 32), (180, 140, 90, 128))
    for form, seen in (("webp", (180, 140, 90, 128)), ("png", (180, 140, 90, 128)), ("jpeg", (217, 197, 172))):
        recipe = Recipe("kept", width=16, format=VariantFormat(form), color=ColorSpace.KEEP)
        result = shown(tmp_path, made(saved(image, "PNG", icc_profile=ADOBE), tmp_path, recipe))
        assert near(result.getpixel((9, 9)), seen, 3)
        assert result.info["icc_profile"] == ADOBE
    searched = Recipe("kept", width=16, format=VariantFormat.JPEG, color=ColorSpace.KEEP, quality="auto")
    result = shown(tmp_path, made(saved(image, "PNG", icc_profile=ADOBE), tmp_path, searched))
    assert result.info["icc_profile"] == ADOBE


def test_kept_profiles_are_the_same_in_every_width(tmp_path: Path) -> None:
    body = saved(Image.new("RGB", (64, 64), (180, 140, 90)), "PNG", icc_profile=ADOBE)
    for linear in (False, True):
        recipes = [
            Recipe(f"w{width}", width=width, format=VariantFormat.PNG, color=ColorSpace.KEEP, linear=linear)
            for width in (32, 16)
        ]
        rendered = made(body, tmp_path, *recipes)
        assert [shown(tmp_path, rendered, index).info.get("icc_profile") for index in (0, 1)] == [ADOBE, ADOBE]


def test_an_original_that_needs_its_profile_is_not_used_itself(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), (180, 140, 90))
    body = saved(image, "PNG", icc_profile=ADOBE, compress_level=9)
    result = shown(tmp_path, made(body, tmp_path, KEPT))
    assert result.info["icc_profile"] == ADOBE
    assert result.convert("RGB").tobytes() == image.tobytes()


def test_a_profile_that_cannot_be_unpacked_is_reported(tmp_path: Path) -> None:
    content = b"iCCP" + b"name\0\0" + b"nothing that zlib knows"
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    body = saved(quarters(), "PNG")
    (note,) = made(body[:33] + chunk + body[33:], tmp_path, ORIGINAL).notes  # behind IHDR
    assert "broken" in note


@pytest.mark.parametrize(
    "body",
    [
        DRAWN["cmyk"],
        lambda: saved(spectrum("LAB"), "TIFF"),
        DRAWN["grey"],
        lambda: saved(Image.new("L", (8, 8), 65), "PNG", icc_profile=ADOBE),
        lambda: saved(Image.new("LA", (8, 8), (65, 204)), "PNG", icc_profile=ADOBE),
        lambda: saved(quarters(), "PNG", icc_profile=SRGB),
        lambda: saved(quarters(), "PNG"),
    ],
)
def test_other_modes_and_srgb_have_no_profile_to_keep(body: object, tmp_path: Path) -> None:
    assert callable(body)
    rendered = made(body(), tmp_path, KEPT, ORIGINAL)
    results = [shown(tmp_path, rendered, index) for index in range(len(rendered.variants))]
    assert "icc_profile" not in results[0].info
    assert results[0].tobytes() == results[-1].tobytes()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (lambda: saved(noise((8, 8)), "PNG", icc_profile=b"nonsense" * 40), "broken"),
        (lambda: saved(noise((8, 8)), "PNG", icc_profile=P3[:200]), "broken"),
        (lambda: saved(noise((8, 8)), "PNG", icc_profile=icc.gray(2.2)), "does not fit an image in RGB"),
        (lambda: saved(noise((8, 8)), "PNG", icc_profile=vips_profile("cmyk")), "does not fit an image in RGB"),
        (lambda: saved(noise((8, 8), "CMYK"), "TIFF", icc_profile=SRGB), "does not fit an image in CMYK"),
    ],
)
def test_an_ignored_profile_is_reported(body: object, word: str, tmp_path: Path) -> None:
    assert callable(body)
    rendered = made(body(), tmp_path, ORIGINAL, KEPT)
    (note,) = rendered.notes
    assert word in note
    assert "sRGB" in note
    with Image.open(tmp_path / "original") as original:
        assert shown(tmp_path, rendered).convert("RGB").tobytes() == original.convert("RGB").tobytes()
        assert "icc_profile" not in shown(tmp_path, rendered).info


def test_grey_with_an_rgb_profile_is_read_as_equal_channels(tmp_path: Path) -> None:
    profile = icc.matrix(1.0, icc._SRGB)
    rendered = made(saved(Image.new("L", (4, 4), 55), "JPEG", icc_profile=profile), tmp_path, ORIGINAL)
    assert near(shown(tmp_path, rendered).convert("RGB").getpixel((1, 1)), (128, 128, 128), 2)
    assert rendered.notes == ()


def test_the_dominant_colour_is_the_most_frequent_opaque_one(tmp_path: Path) -> None:
    image = Image.new("RGBA", (100, 100), (0, 255, 0, 0))
    image.paste((200, 30, 40, 255), (0, 0, 100, 30))
    image.paste((20, 30, 240, 255), (0, 30, 100, 45))
    assert near(tuple(bytes.fromhex(made(saved(image, "PNG"), tmp_path).color[1:])), (200, 30, 40), 3)
    assert made(saved(Image.new("RGBA", (5, 5)), "PNG"), tmp_path).color == "#ffffff"
    assert made(saved(Image.new("RGB", (700, 2), (1, 2, 3)), "PNG"), tmp_path).color == "#010203"
