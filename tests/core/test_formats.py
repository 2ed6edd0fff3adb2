"""The table of formats, and the format of a file by its first bytes."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.core import (
    BROWSER_FORMATS,
    EXTENSIONS,
    FORMATS,
    MODERN_FORMATS,
    UNIVERSAL_FORMATS,
    VARIANT_FORMATS,
    ImageError,
    NotAnImage,
    Size,
    UnsupportedFormat,
    VariantFormat,
    sniff,
)
from tests.support.pictures import made, quarters, saved


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_recognized_by_its_first_64_bytes(name: str, tmp_path: Path) -> None:
    body = saved(quarters((64, 64)), FORMATS[name].decoder)
    assert [other for other, one in FORMATS.items() if one.matches(body)] == [name]
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
def test_formats_that_are_not_decoded_are_named(head: bytes, name: str) -> None:
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
def test_anything_else_is_not_an_image(head: bytes) -> None:
    with pytest.raises(NotAnImage):
        sniff(head)


@given(st.one_of(st.binary(max_size=200), st.sampled_from([b"\0\0\0\x20ftyp", b"\x1f\x8b", b"BM", b"<!"]).flatmap(
    lambda start: st.binary(max_size=99).map(start.__add__))))  # fmt: skip
def test_any_bytes_are_a_format_or_an_image_error(head: bytes) -> None:
    try:
        assert sniff(head) in FORMATS
    except ImageError as error:
        assert error.message.isprintable()


def test_what_browsers_are_offered_follows_from_the_table() -> None:
    assert BROWSER_FORMATS == ("avif", "webp", "jpeg", "png", "gif")
    assert MODERN_FORMATS + UNIVERSAL_FORMATS == BROWSER_FORMATS
    assert len({extension for one in FORMATS.values() for extension in one.extensions}) >= len(EXTENSIONS)


def test_every_format_with_an_encoder_can_be_chosen_for_variants() -> None:
    assert set(VariantFormat) == VARIANT_FORMATS | {VariantFormat.AUTO, VariantFormat.BEST}
