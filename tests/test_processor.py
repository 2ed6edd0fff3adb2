"""What an image is and what is made of it: real files in, real files out."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageDraw, PngImagePlugin

from imgcache.errors import (
    DiskFull,
    ImageError,
    MissingFile,
    NotAnImage,
    TooManyFrames,
    TooManyPixels,
    Undecodable,
    UnsupportedFormat,
)
from imgcache.formats import sniff
from imgcache.models import Limits, Recipe, Rendered, Size
from imgcache.processor import gif, probe, render
from imgcache.processor.geometry import inside, target
from imgcache.processor.strip import strip

LIMITS = Limits()
ORIENTATION = ExifTags.Base.Orientation
sides = st.integers(1, 30_000)


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


# --- what it is


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "JPEG2000"])
def test_every_format_is_known_by_its_first_64_bytes(form: str, tmp_path: Path) -> None:
    body = saved(quarters((64, 64)), form)
    name = {"JPEG2000": "jp2"}.get(form, form.lower())
    assert sniff(body[:64]) == name
    header = made(body, tmp_path).header
    assert (header.format, header.size, header.frames) == (name, Size(64, 64), 1)
    assert header.media_type.startswith("image/")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a > b -->\n<!DOCTYPE html [<!ENTITY a 'b'>]>\n<x:svg >", "SVG"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'", "SVG"),
        (zlib.compress(b"<svg/>" * 99, wbits=31), "SVGZ"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\xff\x0a\xfa\x1f", "JXL"),
        (b"8BPS\0\1", "PSD"),
        (b"%!PS-Adobe-3.0 EPSF", "EPS"),
        (b"\0\0\2\0\1\0\x20\x20\0\0" + bytes(20), "CUR"),
        (b"II*\0\x10\0\0\0CR\2\0", "RAW"),
    ],
)
def test_images_that_are_not_decoded_are_named(head: bytes, name: str) -> None:
    with pytest.raises(UnsupportedFormat, match=f" {name},"):
        sniff(head)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!doctype html><html><svg></svg>",
        b"<?xml version='1.0'?><rss><svg/></rss>",
        b"PK\3\4",
        b'{"error": "not found"}',
        b"BM is how this text begins, and it goes on for quite a while without being a bitmap",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypisom\0\0\0\0isomavc1",
        zlib.compress(b"tar", wbits=31),
    ],
)
def test_anything_else_is_no_image(head: bytes) -> None:
    with pytest.raises(NotAnImage):
        sniff(head)


@given(st.one_of(st.binary(max_size=200), st.sampled_from([b"\0\0\0\x20ftyp", b"\x1f\x8b", b"BM", b"<!"]).flatmap(
    lambda start: st.binary(max_size=99).map(start.__add__))))  # fmt: skip
def test_sniffing_ends_in_a_name_or_an_image_error(head: bytes) -> None:
    try:
        assert sniff(head) in {"jpeg", "png", "gif", "webp", "avif", "bmp", "tiff", "ico", "jp2"}
    except ImageError as error:
        assert error.message.isprintable()


@pytest.mark.parametrize(
    ("form", "orientation"),
    [(form, number) for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") for number in range(1, 9)] + [("JPEG", 15)],
)
def test_orientation_is_applied_once(form: str, orientation: int, tmp_path: Path) -> None:
    stored = quarters((120, 80))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's Transpose that brings the upright to the stored
    body = saved(stored.transpose(Image.Transpose(undo[orientation])) if orientation in undo else stored, form,
                 exif=exif(orientation), **({"compression": "tiff_lzw"} if form == "TIFF" else {}))  # fmt: skip
    rendered = made(body, tmp_path, Recipe("half", width=60, format="png"))
    assert rendered.header.size == probe(tmp_path / "original", LIMITS).size == Size(120, 80)
    image = shown(tmp_path, rendered)
    assert image.size == (60, 40)
    corners = [image.getpixel(at) for at in ((5, 5), (55, 5), (5, 35), (55, 35))]
    wanted = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    assert all(near(one, want) for one, want in zip(corners, wanted, strict=True)), corners


def test_a_header_counts_frames_and_sees_transparency(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (20, 10), (index * 60, 0, 0, 255 - index)) for index in range(4)]
    for form in ("GIF", "PNG", "WEBP", "AVIF"):
        (tmp_path / form).write_bytes(saved(frames[0], form, save_all=True, append_images=frames[1:], duration=50))
        assert probe(tmp_path / form, LIMITS).frames == 4
        with pytest.raises(TooManyFrames):
            probe(tmp_path / form, Limits(frames=3))
        with pytest.raises(TooManyPixels):
            probe(tmp_path / form, Limits(pixels=4 * 200 - 1))
        assert probe(tmp_path / form, Limits(pixels=4 * 200, frames=4)).size == Size(20, 10)
    pages = saved(frames[0].convert("RGB"), "TIFF", save_all=True, append_images=frames[1:])
    (tmp_path / "TIFF").write_bytes(pages)
    assert probe(tmp_path / "TIFF", Limits(pixels=200)).frames == 4
    with pytest.raises(TooManyFrames):
        probe(tmp_path / "TIFF", Limits(frames=3))
    for mode, alpha in {"RGBA": True, "LA": True, "RGB": False, "L": False, "1": False}.items():
        (tmp_path / mode).write_bytes(saved(Image.new(mode, (3, 3)), "PNG"))
        assert probe(tmp_path / mode, LIMITS).has_alpha is alpha


@given(frames=st.integers(1, 6), cut=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_gif_blocks_are_counted_and_a_cut_is_seen(frames: int, cut: float, seed: int) -> None:
    pictures = [noise((9, 7), "L", seed + index) for index in range(frames)]
    body = saved(pictures[0], "GIF", save_all=True, append_images=pictures[1:])
    assert gif.shape(body, 99).frames == frames
    assert gif.shape(body[:-1], 99).frames == frames  # the trailer is forgiven
    short = body[: 13 + int(cut * (len(body) - 14))]
    with contextlib.suppress(Undecodable):
        assert gif.shape(short, 99).frames <= frames
    with pytest.raises(TooManyFrames):
        gif.shape(body, frames - 1)


def test_an_animation_that_is_cut_off_behind_its_first_frame_is_refused(tmp_path: Path) -> None:
    body = saved(noise((40, 30), "L"), "GIF", save_all=True, append_images=[noise((40, 30), "L", 2)])
    with pytest.raises(Undecodable, match="cut off"):
        made(body[: int(len(body) * 0.8)], tmp_path)


# --- geometry


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
    size, crop, full = target(Recipe("c", width=wide, height=high, fit="cover", format="png"), Size(width, height))
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


def test_a_picture_longer_than_webp_can_be_is_made_smaller(tmp_path: Path) -> None:
    rendered = made(saved(Image.new("L", (3, 20_000)), "PNG"), tmp_path, Recipe("w", width=640))
    assert (rendered.variants[0].width, rendered.variants[0].height) == (2, 16_383)


# --- what is made of it


def test_variants_come_out_as_asked_and_are_recorded(tmp_path: Path) -> None:
    recipes = [
        Recipe("thumb", width=320, format="auto"),
        Recipe("w640", width=640),
        Recipe("w1280", width=1280),
        Recipe("w5000", width=5000),
        Recipe("huge", width=9000, height=9000),
        Recipe("square", width=200, height=200, fit="cover", format="avif"),
        Recipe("tall", height=99, format="png"),
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
def test_a_scaled_decode_lands_where_a_full_one_does(size: tuple[int, int], orientation: int, tmp_path: Path) -> None:
    picture = photo(size)
    rendered = made(
        saved(picture, "JPEG", quality=95, exif=exif(orientation)),
        tmp_path,
        Recipe("s", width=size[0] // 10, format="png"),
    )
    upright = picture.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else picture
    result = shown(tmp_path, rendered)
    wanted = upright.resize(result.size, Image.Resampling.LANCZOS)
    pairs = zip(result.tobytes(), wanted.tobytes(), strict=True)
    assert sum(abs(a - b) for a, b in pairs) / len(wanted.tobytes()) < 1.5


def test_cover_shows_the_middle(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    rendered = made(saved(image, "PNG"), tmp_path, Recipe("s", width=50, height=50, fit="cover", format="png"))
    result = shown(tmp_path, rendered)
    assert all(near(result.getpixel(at), (0, 0, 255)) for at in ((2, 25), (25, 2), (47, 25), (25, 47)))


def test_auto_is_png_only_where_something_shows_through(tmp_path: Path) -> None:
    solid, clear = Image.new("RGBA", (9, 9), "red"), Image.new("RGBA", (9, 9), (255, 0, 0, 128))
    recipe = Recipe("thumb", width=5, format="auto")
    assert made(saved(solid, "PNG"), tmp_path, recipe).variants[0].format == "jpeg"
    assert made(saved(clear, "PNG"), tmp_path, recipe).variants[0].format == "png"
    flat = made(saved(clear, "PNG"), tmp_path, Recipe("flat", width=5, format="jpeg"))
    assert near(shown(tmp_path, flat).getpixel((2, 2)), (255, 127, 127))


@pytest.mark.parametrize("form", ["webp", "png", "avif"])
def test_transparency_has_no_dark_fringe(form: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (101, 101, 299, 299))
    rendered = made(saved(image, "PNG"), tmp_path, Recipe("s", width=90, format=form, quality=95))
    result = shown(tmp_path, rendered).convert("RGBA")
    assert result.getpixel((2, 2))[3] == 0  # type: ignore[index]
    visible = [value[:3] for value in zip(*[iter(result.tobytes())] * 4, strict=True) if value[3] > 60]
    assert visible
    assert min(min(pixel) for pixel in visible) > 215


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


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    recipes = [Recipe(form, width=50, format=form) for form in ("webp", "avif", "jpeg", "png")]
    body = saved(photo((120, 90)), "JPEG")
    assert made(body, tmp_path, *recipes) == made(body, tmp_path, *recipes)


# --- nothing private travels, nothing grows


SECRETS = (b"GPS-SECRET", b"XMP-SECRET", b"NOTE-SECRET", b"Exif", b"EXIF", b"eXIf", b"xmp", b"XMP ", b"iTXt", b"tEXt")


def tell_tale(form: str, picture: Image.Image, **options: object) -> bytes:
    block = exif(1)
    block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = b"GPS-SECRET"
    block[ExifTags.Base.ImageDescription] = "GPS-SECRET"
    xmp = b"<x:xmpmeta>XMP-SECRET</x:xmpmeta>"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "NOTE-SECRET")
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    known: dict[str, dict[str, object]] = {"PNG": {"pnginfo": text}, "JPEG": {"comment": b"NOTE-SECRET", "xmp": xmp}}
    more = known.get(form, {"xmp": xmp})
    return saved(picture, form, exif=block, **more, **options)


@pytest.mark.parametrize(("form", "options"), [
    ("JPEG", {"quality": 20}), ("JPEG", {"quality": 20, "progressive": True, "restart_marker_rows": 1}),
    ("PNG", {"optimize": True}), ("WEBP", {"quality": 5}), ("WEBP", {"lossless": True}), ("AVIF", {"quality": 20}),
])  # fmt: skip
def test_no_variant_says_more_or_weighs_more_than_the_picture(
    form: str, options: dict[str, object], tmp_path: Path
) -> None:
    picture = noise((64, 40)) if form != "PNG" else noise((64, 40), "L").quantize(4)
    body = tell_tale(form, picture, **options) + b"NOTE-SECRET behind the end"
    assert b"SECRET" in body
    same = Recipe("same", format=form.lower(), quality=100, effort=0)
    rendered = made(body, tmp_path, same, Recipe("small", width=20, format=form.lower()), Recipe("w", width=30))
    for variant in rendered.variants:
        data = (tmp_path / variant.path).read_bytes()
        assert not [word for word in SECRETS if word in data]
    if form != "AVIF":  # its metadata cannot be taken out without coding it again
        assert rendered.variants[0].bytes < len(body)
        with Image.open(io.BytesIO(body)) as original:
            same_pixels = shown(tmp_path, rendered).convert("RGB").tobytes() == original.convert("RGB").tobytes()
        assert same_pixels or rendered.variants[0].bytes < len(strip(body, form.lower()) or b"")
        assert same_pixels or "lossless" in options


def test_an_original_that_must_be_turned_or_recoloured_does_not_serve_as_it_is(tmp_path: Path) -> None:
    recipe = Recipe("same", format="jpeg", quality=100)
    body = saved(noise((64, 40)), "JPEG", quality=20, exif=exif(6))
    assert shown(tmp_path, made(body, tmp_path, recipe)).size == (40, 64)
    assert made(body, tmp_path, recipe).variants[0].bytes > len(body)


def test_a_plain_avif_serves_itself(tmp_path: Path) -> None:
    body = saved(noise((64, 40)), "AVIF", quality=20)
    assert made(body, tmp_path, Recipe("same", format="avif", quality=100)).variants[0].bytes == len(body)


@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.integers(0, 3000), st.binary(max_size=4), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_stripping_damaged_files_gives_up_or_ends(form: str, at: int, patch: bytes, seed: int) -> None:
    body = tell_tale(form, noise((24, 16), seed=seed))
    at %= len(body)
    result = strip(body[:at] + patch + body[at + len(patch) :], form.lower())
    assert result is None or len(result) <= len(body) + 40


# --- what fails


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "JPEG2000"])
def test_a_file_that_is_cut_off_is_refused_even_where_no_variant_needs_it(form: str, tmp_path: Path) -> None:
    body = saved(noise((80, 60)), form)
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(Undecodable):
            made(body[: int(len(body) * part)], tmp_path)


def test_broken_exif_is_left_unread_without_a_word(tmp_path: Path) -> None:
    body = saved(quarters(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")
    assert made(body, tmp_path).header.size == Size(80, 60)  # a warning would be an error here


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="nowhere"):
        probe(tmp_path / "nowhere", LIMITS)
    (tmp_path / "p.png").write_bytes(saved(quarters(), "PNG"))
    with pytest.raises(DiskFull, match=r"gone.*No such file"):
        render(tmp_path / "p.png", tmp_path / "gone", [Recipe("w")], LIMITS)
    with pytest.raises(TooManyPixels):
        probe(tmp_path / "p.png", Limits(pixels=80 * 60 - 1))
    assert probe(tmp_path / "p.png", Limits(pixels=80 * 60)).size == Size(80, 60)


@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "ICO"]), st.data())
@settings(max_examples=120, deadline=None)
def test_damage_ends_in_a_picture_or_an_image_error(form: str, data: st.DataObject) -> None:
    body = bytearray(saved(noise((32, 32), seed=3), form))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(4, min(len(body), 400) - 1))] = data.draw(st.integers(0, 255))
    folder = Path(__file__).parent
    path = Path(f"/dev/shm/imgcache-test-{id(body)}") if Path("/dev/shm").is_dir() else folder / f".{id(body)}"
    path.write_bytes(body)
    try:
        header = render(path, folder, [], Limits(pixels=1_000_000, frames=50)).header
        assert header.width * header.height <= 1_000_000
    except ImageError as error:
        assert error.message.isprintable()
    finally:
        path.unlink()


# --- colour and placeholder


def test_the_dominant_colour_is_the_one_most_seen_of_what_is_opaque(tmp_path: Path) -> None:
    image = Image.new("RGBA", (100, 100), (0, 255, 0, 0))
    image.paste((200, 30, 40, 255), (0, 0, 100, 30))
    image.paste((20, 30, 240, 255), (0, 30, 100, 45))
    assert near(tuple(bytes.fromhex(made(saved(image, "PNG"), tmp_path).color[1:])), (200, 30, 40), 3)
    assert made(saved(Image.new("RGBA", (5, 5)), "PNG"), tmp_path).color == "#ffffff"
    assert made(saved(Image.new("RGB", (700, 2), (1, 2, 3)), "PNG"), tmp_path).color == "#010203"


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


def test_the_gps_of_a_real_camera_does_not_travel(tmp_path: Path, shared: Path) -> None:
    original = shared / "images" / "cases" / "exif_gps__exif-samples__DSCN0010.jpg"
    recipes = [Recipe(form, width=5000, format=form, quality=100) for form in ("jpeg", "webp", "png", "avif")]
    rendered = render(original, tmp_path, recipes, LIMITS)
    for variant in rendered.variants:
        data = (tmp_path / variant.path).read_bytes()
        assert not [word for word in (*SECRETS, b"GPS", b"NIKON", b"COOLPIX") if word in data]
    assert rendered.variants[0].bytes <= original.stat().st_size
