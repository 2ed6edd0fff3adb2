"""Sizes from the first bytes agree with full decoding, for any available bytes, without unexpected exceptions."""

from __future__ import annotations

import functools
import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from imgcache.core import MEDIA_TYPES, PROBE_BYTES, ImageError, Limits, Size, Undecodable, sniff
from imgcache.downloader.headers import Measured, MoreBytesNeeded, PartialFile, measure
from imgcache.processor import probe

SHARED = Path(os.environ.get("IMGCACHE_SHARED") or Path(__file__).parents[3] / "shared")
SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".ico"}
EVERYTHING = Limits(pixels=10**12, bytes=10**9)

# Headers that say a size although no decoder finishes the file, and why nothing of that shows in the header.
FINE_SO_FAR = {
    "avif__libavif__alpha_noispe.avif": "the picture has its size; the item of its transparency has none",
    "bomb__libvips__17000x17000.avif": "libavif refuses sides of this length; here limits.pixels does",
    "fuzz__exiv2__heap-oob-write.tiff": "the directory names data that is not there",
    "fuzz__exiv2__issue_828_poc.png": "the checksum of a later chunk is wrong",
    "fuzz__exiv2__issue_ghsa_5p8g_9xf3_gfrr_poc.webp": "the container is damaged behind the picture's header",
    "ico_cur__image__crash-981fee302fe0fc543ee48292cc3d6ace7e97e633.ico": "the icon's pixels are not there",
    "truncated__libvips__truncated.gif": "the file ends inside the pixels",
    "truncated__wuffs__hippopotamus.interlaced.truncated.gif": "the file ends inside the pixels",
}
# A later frame is larger than the canvas; a header knows only of the first.
LARGER_LATER = {"bomb__pillow__decompression_bomb_extents.gif"}


def samples() -> list[Path]:
    if not SHARED.is_dir():
        return []
    of_the_site = (path for path in (SHARED / "site").rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted([*(SHARED / "images").glob("*/*"), *of_the_site])


def whole(body: bytes) -> Measured:
    return measure(sniff(body[:4096]), PartialFile(body, len(body)))


def by_parts(body: bytes, first: int = PROBE_BYTES, step: int = 1) -> tuple[Measured, int]:
    """Measures like a prober: returns the size, and how many bytes that took."""
    pieces, taken = PartialFile(body[:first], len(body)), min(first, len(body))
    form = sniff(body[:4096])
    while True:
        try:
            return measure(form, pieces), taken
        except MoreBytesNeeded as need:
            stop = min(len(body), max(need.stop, need.start + step))
            assert need.start < stop, "it asks for what it has, or for what there is not"
            pieces.add(need.start, body[need.start : stop])
            taken += stop - need.start


@pytest.mark.skipif(not samples(), reason="no real data: name its folder in IMGCACHE_SHARED")
class TestRealFiles:
    def test_the_size_agrees_with_decoding_the_whole_file(self) -> None:
        fine_so_far, checked = set(), 0
        for path in samples():
            body = path.read_bytes()
            try:
                judged = probe(path, EVERYTHING)
            except ImageError:
                try:
                    by_parts(body)
                except ImageError:
                    continue
                fine_so_far.add(path.name)
                continue
            checked += 1
            if path.name not in LARGER_LATER:
                assert by_parts(body)[0].size == judged.size, path.name
        assert checked > 300
        # with EVERYTHING allowed, bombs are judged by whether Pillow opens them
        assert fine_so_far - {name for name in fine_so_far if name.startswith("bomb__")} <= set(FINE_SO_FAR)

    def test_most_files_need_only_their_first_bytes(self) -> None:
        takes = []
        for path in samples():
            try:
                takes.append(by_parts(path.read_bytes(), step=8192)[1])
            except ImageError:
                continue
        assert sum(taken <= PROBE_BYTES for taken in takes) > 0.97 * len(takes)
        assert (
            sum(taken <= PROBE_BYTES + 8192 for taken in takes) >= len(takes) - 2
        )  # 500 KB of profiles, and a broken directory


def exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, 1) + entries + bytes(4)


def saved(form: str, size: tuple[int, int] = (30, 20), **options: object) -> bytes:
    image = Image.new("RGB", size, "teal")
    ImageDraw.Draw(image).line((0, 0, *size), "white")
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def judged(tmp_path: Path, body: bytes) -> Size:
    path = tmp_path / "image"
    path.write_bytes(body)
    return probe(path, Limits()).size


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_size_is_the_one_displayed(tmp_path: Path, form: str, orientation: int) -> None:
    if form == "TIFF":
        body = saved(form, tiffinfo={0x0112: orientation})
    else:
        orientation = min(max(orientation, 1), 8) if form == "AVIF" else orientation  # libavif takes no other
        body = saved(form, exif=(b"" if form == "PNG" else b"Exif\0\0") + exif(orientation))
    expected = Size(20, 30) if 5 <= orientation <= 8 else Size(30, 20)
    assert whole(body).size == judged(tmp_path, body) == expected
    assert by_parts(body, first=64)[0].size == expected


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_read_in_either_byte_order_and_ignored_if_broken(tmp_path: Path, order: str) -> None:
    for block, expected in ((exif(6, order), Size(20, 30)), (exif(6, order)[:15], Size(30, 20)), (b"", Size(30, 20))):
        body = saved("JPEG", exif=b"Exif\0\0" + block) if block else saved("JPEG")
        assert whole(body).size == judged(tmp_path, body) == expected


def segment(code: int, content: bytes) -> bytes:
    return b"\xff" + bytes([code]) + struct.pack(">H", len(content) + 2) + content


def test_a_jpeg_size_is_found_behind_other_segments(tmp_path: Path) -> None:
    thumbnail, real = saved("JPEG", (7, 5)), saved("JPEG", progressive=True)
    ahead = (
        segment(0xE1, b"Exif\0\0" + exif(8) + thumbnail) + segment(0xE2, thumbnail) + segment(0xFE, b"\xff\xc0\0\x0b")
    )
    for filler in (b"", b"\xff" * 7, b"junk", b"\xff\0\0"):
        body = real[:2] + segment(0xFE, b"first") + filler + ahead + filler + real[2:]
        assert whole(body).size == judged(tmp_path, body) == Size(20, 30), filler


def test_large_segments_are_skipped() -> None:
    jpeg, png = saved("JPEG"), saved("PNG")
    profile = segment(0xE2, b"ICC_PROFILE\0" + bytes(65_000)) * 8
    by_jpeg, taken = by_parts(jpeg[:2] + profile + jpeg[2:], step=64)
    assert (by_jpeg.size, taken < PROBE_BYTES + 8 * 64 + len(jpeg)) == (Size(30, 20), True)
    chunk = struct.pack(">I4s", 900_000, b"iCCP") + bytes(900_004)
    by_png, taken = by_parts(png[:33] + chunk + png[33:])
    assert (by_png.size, taken) == (Size(30, 20), PROBE_BYTES + 8)


def test_the_orientation_of_a_webp_is_found_after_the_image_data() -> None:
    out = io.BytesIO()
    Image.effect_noise((400, 300), 90).convert("RGB").save(out, "WEBP", quality=100, exif=b"Exif\0\0" + exif(6))
    found, taken = by_parts(out.getvalue(), step=256)
    assert (found.size, taken) == (Size(300, 400), PROBE_BYTES + 8 + len(exif(6)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("width", [2, 4, 8])
def test_a_tiff_of_any_kind_may_have_its_directory_at_the_end(order: str, width: int) -> None:
    """`width`: of the numbers in it; 8 means BigTIFF."""
    form, kind = {2: ("H", 3), 4: ("I", 4), 8: ("Q", 16)}[width]
    mark = b"II" if order == "<" else b"MM"
    far = 100_000
    count, entry = ("Q", "HHQ") if width == 8 else ("H", "HHI")
    rows = b"".join(
        struct.pack(order + entry, tag, kind, 1) + struct.pack(order + form, value).ljust(8 if width == 8 else 4, b"\0")
        for tag, value in ((0x0100, 640), (0x0101, 480), (0x0112, 6))
    )
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, far) if width == 8 else struct.pack(f"{order}HI", 42, far)
    body = (mark + head).ljust(far, b"\0") + struct.pack(order + count, 3) + rows
    found, taken = by_parts(body)
    assert (found.size, taken) == (Size(480, 640), PROBE_BYTES + len(body) - far)


def test_the_size_of_bitmaps_and_icons(tmp_path: Path) -> None:
    old = b"BM" + struct.pack("<IHHI", 26, 0, 0, 26) + struct.pack("<IHHHH", 12, 9, 4, 1, 24) + bytes(4 * 28)
    upside_down = saved("BMP")[:22] + struct.pack("<i", -20) + saved("BMP")[26:]
    icon = io.BytesIO()
    Image.new("RGBA", (256, 256)).save(icon, "ICO", sizes=[(16, 16), (256, 256), (48, 48)])
    bitmaps = io.BytesIO()
    Image.new("RGBA", (64, 64)).save(bitmaps, "ICO", sizes=[(16, 16), (48, 32)], bitmap_format="bmp")
    bodies = {old: (9, 4), upside_down: (30, 20), icon.getvalue(): (256, 256)}
    for body, size in bodies.items():
        assert whole(body).size == judged(tmp_path, body) == Size(*size)
    assert whole(bitmaps.getvalue()).size == judged(tmp_path, bitmaps.getvalue())


def test_the_size_of_other_formats(tmp_path: Path) -> None:
    for form, options in (("JPEG2000", {}), ("JPEG2000", {"no_jp2": True}), ("GIF", {}), ("WEBP", {"lossless": True})):
        body = saved(form, (300, 200), **options)
        assert whole(body).size == judged(tmp_path, body) == Size(300, 200), (form, options)


def test_only_a_png_header_has_the_number_of_frames() -> None:
    more = [Image.new("RGB", (30, 20), color) for color in ("red", "blue")]
    assert whole(saved("PNG", save_all=True, append_images=more)).frames == 3
    assert whole(saved("GIF", save_all=True, append_images=more)).frames == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(60),
        saved("PNG")[:29] + b"crc!" + saved("PNG")[33:],
        b"\xff\xd8\xff\xda" + bytes(60),
        b"\xff\xd8\xff\xe0\0\0" + bytes(60),
        b"GIF89a\0\0\0\0" + bytes(60),
        b"GIF89a\x05\0\x05\0\0\0\0;" + bytes(60),
        b"RIFF\x40\0\0\0WEBPVP8 \x20\0\0\0" + bytes(60),
        b"\0\0\0\x1cftypavif\0\0\0\0" + bytes(60),
        b"II*\0\x08\0\0\0\0\0" + bytes(60),
        b"\0\0\1\0\0\0" + bytes(60),
    ],
)
def test_a_broken_header_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable):
        measure(
            next((form for form in MEDIA_TYPES if body.startswith(MAGIC[form])), "avif"), PartialFile(body, len(body))
        )


MAGIC = {
    "jpeg": b"\xff\xd8", "png": b"\x89PNG", "gif": b"GIF", "webp": b"RIFF", "avif": b"\0\0\0\x1cftyp",
    "bmp": b"BM", "tiff": b"II*", "ico": b"\0\0\1\0", "jp2": b"\0\0\0\x0cjP",
}  # fmt: skip


@functools.cache
def bodies() -> list[bytes]:
    """One of each format, and every small real file."""
    drawn = [saved(form) for form in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "JPEG2000")]
    real = [path.read_bytes() for path in samples() if path.stat().st_size < 300_000]
    turned = [saved(form, exif=b"Exif\0\0" + exif(6)) for form in ("JPEG", "WEBP", "AVIF")]
    return [body for body in (*drawn, *turned, *real) if _is_known(body)]


def _is_known(body: bytes) -> bool:
    try:
        sniff(body[:4096])
    except ImageError:
        return False
    return True


@settings(max_examples=300)
@given(st.data())
def test_any_prefix_gives_the_same_size_or_requests_more_bytes(data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(bodies()))
    first = data.draw(st.integers(64, max(64, min(len(body), 4000))))
    step = data.draw(st.sampled_from([64, 700, 8192]))
    try:
        expected: Measured | str = whole(body)
    except ImageError as error:
        expected = error.code
    try:
        found: Measured | str = by_parts(body, first, step)[0]
    except ImageError as error:
        found = error.code
    assert found == expected


@settings(max_examples=500)
@given(
    st.sampled_from(sorted(MEDIA_TYPES)), st.binary(max_size=300), st.one_of(st.none(), st.integers(0, 400)), st.data()
)
def test_any_bytes_end_in_a_size_a_request_for_more_or_an_error(
    form: str, noise: bytes, total: int | None, data: st.DataObject
) -> None:
    body = data.draw(st.sampled_from([noise, MAGIC[form] + noise, *(b[:200] + noise for b in bodies()[:12])]))
    pieces = PartialFile(body, None if total is None else max(total, len(body)))
    try:
        found = measure(form, pieces)
    except MoreBytesNeeded as need:
        assert len(body) <= need.start < need.stop
    except ImageError:
        return
    else:
        assert min(found.size.width, found.size.height, found.frames) >= 1


def test_adjacent_pieces_are_joined_and_missing_bytes_reported() -> None:
    pieces = PartialFile(b"0123", 30)
    pieces.add(10, b"abc")
    pieces.add(13, b"def")
    pieces.add(4, b"45")
    assert (pieces.read(2, 4), pieces.read(11, 4), pieces.rest(12)) == (b"2345", b"bcde", b"cdef")
    for at, count, missing in ((5, 3, (6, 8)), (7, 1, (7, 8)), (14, 5, (16, 19)), (16, 2, (16, 18))):
        with pytest.raises(MoreBytesNeeded) as caught:
            pieces.read(at, count)
        assert (caught.value.start, caught.value.stop) == missing
    with pytest.raises(Undecodable, match="truncated"):
        pieces.read(29, 2)
