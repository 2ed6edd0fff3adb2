"""Headers: size, frames and orientation of files, and which files are refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcache.core import (
    DiskFull,
    ImageError,
    Limits,
    MissingFile,
    Recipe,
    Size,
    TooManyFrames,
    TooManyPixels,
    Undecodable,
    VariantFormat,
)
from imgcache.processor import gif, probe, render
from tests.support.pictures import LIMITS, exif, made, near, noise, quarters, saved, shown


@pytest.mark.parametrize(
    ("form", "orientation"),
    [(form, number) for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") for number in range(1, 9)] + [("JPEG", 15)],
)
def test_orientation_is_applied_once(form: str, orientation: int, tmp_path: Path) -> None:
    stored = quarters((120, 80))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's Transpose that brings the upright to the stored
    body = saved(stored.transpose(Image.Transpose(undo[orientation])) if orientation in undo else stored, form,
                 exif=exif(orientation), **({"compression": "tiff_lzw"} if form == "TIFF" else {}))  # fmt: skip
    rendered = made(body, tmp_path, Recipe("half", width=60, format=VariantFormat.PNG))
    assert rendered.header.size == probe(tmp_path / "original", LIMITS).size == Size(120, 80)
    image = shown(tmp_path, rendered)
    assert image.size == (60, 40)
    corners = [image.getpixel(at) for at in ((5, 5), (55, 5), (5, 35), (55, 35))]
    wanted = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    assert all(near(one, want) for one, want in zip(corners, wanted, strict=True)), corners


def test_a_header_has_frames_and_transparency(tmp_path: Path) -> None:
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
@settings(max_examples=60)
def test_gif_frames_are_counted_and_truncation_is_detected(frames: int, cut: float, seed: int) -> None:
    pictures = [noise((9, 7), "L", seed + index) for index in range(frames)]
    body = saved(pictures[0], "GIF", save_all=True, append_images=pictures[1:])
    assert gif.shape(body, 99).frames == frames
    assert gif.shape(body[:-1], 99).frames == frames  # the trailer is forgiven
    short = body[: 13 + int(cut * (len(body) - 14))]
    with contextlib.suppress(Undecodable):
        assert gif.shape(short, 99).frames <= frames
    with pytest.raises(TooManyFrames):
        gif.shape(body, frames - 1)


def test_an_animation_truncated_after_its_first_frame_is_refused(tmp_path: Path) -> None:
    body = saved(noise((40, 30), "L"), "GIF", save_all=True, append_images=[noise((40, 30), "L", 2)])
    with pytest.raises(Undecodable, match="cut off"):
        made(body[: int(len(body) * 0.8)], tmp_path)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "JPEG2000"])
def test_a_truncated_file_is_refused_even_if_no_variant_needs_the_rest(form: str, tmp_path: Path) -> None:
    body = saved(noise((80, 60)), form)
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(Undecodable):
            made(body[: int(len(body) * part)], tmp_path)


def test_broken_exif_is_ignored(tmp_path: Path) -> None:
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
@settings(max_examples=120)
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
