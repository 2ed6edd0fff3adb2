"""Metadata: it is removed from every variant, and no variant has more bytes than the picture."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from imgcache.core import Recipe, VariantFormat
from imgcache.processor import render
from imgcache.processor.strip import strip
from tests.support.pictures import LIMITS, exif, made, noise, saved, shown

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
def test_no_variant_has_metadata_or_more_bytes_than_the_picture(
    form: str, options: dict[str, object], tmp_path: Path
) -> None:
    picture = noise((64, 40)) if form != "PNG" else noise((64, 40), "L").quantize(4)
    body = tell_tale(form, picture, **options) + b"NOTE-SECRET behind the end"
    assert b"SECRET" in body
    variant_format = VariantFormat(form.lower())
    same = Recipe("same", format=variant_format, quality=100, effort=0)
    rendered = made(body, tmp_path, same, Recipe("small", width=20, format=variant_format), Recipe("w", width=30))
    for variant in rendered.variants:
        data = (tmp_path / variant.path).read_bytes()
        assert not [word for word in SECRETS if word in data]
    if form != "AVIF":  # its metadata cannot be taken out without coding it again
        assert rendered.variants[0].bytes < len(body)
        with Image.open(io.BytesIO(body)) as original:
            same_pixels = shown(tmp_path, rendered).convert("RGB").tobytes() == original.convert("RGB").tobytes()
        assert same_pixels or rendered.variants[0].bytes < len(strip(body, form.lower()) or b"")
        assert same_pixels or "lossless" in options


def test_an_original_with_orientation_or_profile_is_not_used_itself(tmp_path: Path) -> None:
    recipe = Recipe("same", format=VariantFormat.JPEG, quality=100)
    body = saved(noise((64, 40)), "JPEG", quality=20, exif=exif(6))
    assert shown(tmp_path, made(body, tmp_path, recipe)).size == (40, 64)
    assert made(body, tmp_path, recipe).variants[0].bytes > len(body)


def test_an_avif_without_metadata_is_used_itself(tmp_path: Path) -> None:
    body = saved(noise((64, 40)), "AVIF", quality=20)
    assert made(body, tmp_path, Recipe("same", format=VariantFormat.AVIF, quality=100)).variants[0].bytes == len(body)


@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.integers(0, 3000), st.binary(max_size=4), st.integers(0, 9))
@settings(max_examples=150)
def test_stripping_a_damaged_file_returns_bytes_or_none(form: str, at: int, patch: bytes, seed: int) -> None:
    body = tell_tale(form, noise((24, 16), seed=seed))
    at %= len(body)
    result = strip(body[:at] + patch + body[at + len(patch) :], form.lower())
    assert result is None or len(result) <= len(body) + 40


def test_the_gps_position_of_a_camera_is_removed(tmp_path: Path, shared: Path) -> None:
    original = shared / "images" / "cases" / "exif_gps__exif-samples__DSCN0010.jpg"
    recipes = [
        Recipe(form, width=5000, format=VariantFormat(form), quality=100) for form in ("jpeg", "webp", "png", "avif")
    ]
    rendered = render(original, tmp_path, recipes, LIMITS)
    for variant in rendered.variants:
        data = (tmp_path / variant.path).read_bytes()
        assert not [word for word in (*SECRETS, b"GPS", b"NIKON", b"COOLPIX") if word in data]
    assert rendered.variants[0].bytes <= original.stat().st_size
