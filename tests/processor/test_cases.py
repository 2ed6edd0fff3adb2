"""The hard cases: files that broke other programs, each rendered or refused by a worker as expected.

`python -m tests.processor.test_cases` prints the table of docs/cases.md.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from imgcache.core import Header, ImageError, Limits, Recipe, VariantFormat
from imgcache.processor import RenderPool

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("IMGCACHE_SHARED") or ROOT.parent / "shared")
LIST = SHARED / "images" / "cases.json"
CASES: list[dict[str, Any]] = json.loads(LIST.read_text()) if LIST.is_file() else []
RECIPES = [Recipe("thumb", width=320, format=VariantFormat.AUTO), Recipe("w320", width=320), Recipe("w640", width=640)]
BROKEN = {"undecodable", "unsupported-format", "not-an-image", "too-many-pixels"}

# Where a decoder may do either, what imgcache does, and why.
EITHER = {
    "cmyk__twelvemonkeys__exif-jfif-app13-app14ycck-3channel.jpg": (
        "ok", "the Adobe marker promises a fourth channel that is not there; libjpeg reads it as YCbCr"),
    "gif__libgd__zero_dimensions.gif": (
        "undecodable", "a canvas of no size: to take the first frame's would be a guess"),
    "gif__libvips__invalid_multiframe.gif": (
        "ok", "only the first frame is shown, and it is whole; the damage is in the pixels of a later one"),
    "avif__libavif__alpha_noispe.avif": (
        "undecodable", "the size property that ISO/IEC 23008-12 demands is missing, and libavif insists on it"),
    "heic__image-size__sample.heic": ("unsupported-format", "browsers other than Safari do not show HEIC"),
    "jxl__test-images__8-bpp.jxl": ("unsupported-format", "few browsers show JPEG XL, and Pillow has no decoder"),
    "jxl__exiv2__issue_2233_poc1.jxl": ("unsupported-format", "few browsers show JPEG XL, and Pillow has no decoder"),
    "tiff__pillow__lab.tif": ("ok", "CIELAB is converted to sRGB"),
    "ico_cur__pillow__deerstalker.cur": ("unsupported-format", "a mouse pointer is no picture for an article"),
    "svg__libvips__logo.svgz": ("unsupported-format", "SVG can run scripts and load files: it is never rendered"),
    "svg__image-size__percentage.svg": (
        "unsupported-format", "SVG can run scripts and load files: it is never rendered"),
    "bomb__pillow__decompression_bomb_extents.gif": (
        "too-many-pixels", "the canvas is small, a frame's extents are not; the extents are what a decoder allocates"),
    "bomb__pillow__decompression_bomb.ico": (
        "too-many-pixels", "one entry is small, the largest claims 4,295 MP, and the largest is what is shown"),
    "truncated__pillow__truncated_end_chunk.png": (
        "undecodable", "all pixels may be there, but the file is cut off: a download to be repeated"),
    "exif_broken__pillow__hopper_bad_exif.jpg": ("ok", "broken EXIF does not affect the pixels; it is ignored"),
    "wrong_extension__pillow__psd-oob-write.jpg": ("unsupported-format", "no browser shows PSD"),
    "fuzz__pillow__crash-d2c93af851d3ab9a19e34503626368b2ecde9c03.j2k": (
        "undecodable", "OpenJPEG breaks off, and a picture that no decoder here finishes is refused"),
    "fuzz__exiv2__issue_828_poc.png": (
        "undecodable", "a chunk does not have its checksum: the file was damaged on its way"),
    "fuzz__jpeg-decoder__dc-predictor-overflow.jpg": (
        "ok", "libjpeg finishes it; the broken values are clamped"),
}  # fmt: skip

# The list counts this file's default image as a frame, and not that of apng-skip-idat.png, which is built alike.
FRAMES = {"apng__pillow__mode_16bit.png": 2}  # acTL, num_frames (PNG, third edition, section 11.3.2.1)


class Ending(NamedTuple):
    """A header, or the code and message of an error."""

    header: Header | None
    code: str
    message: str = ""


async def _all(folder: Path) -> dict[str, Ending]:
    async def one(pool: RenderPool, file: str) -> Ending:
        path, work = SHARED / "images" / "cases" / file, folder / file
        work.mkdir()
        try:
            probed = await pool.probe(path)
            rendered = await pool.render(path, work, RECIPES)
        except ImageError as error:
            return Ending(None, error.code, error.message)
        assert rendered.header == probed
        for variant in rendered.variants:
            assert (work / variant.path).stat().st_size == variant.bytes
        return Ending(rendered.header, "ok")

    async with RenderPool(2, Limits()) as pool:
        files = [case["file"] for case in CASES]
        return dict(zip(files, await asyncio.gather(*(one(pool, file) for file in files)), strict=True))


@functools.cache
def endings() -> dict[str, Ending]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_all(Path(folder)))


def table() -> str:
    """docs/cases.md"""
    lines = [
        "# Hard cases",
        "",
        "What imgcache does with files that are unusual, broken or hostile: their names begin with the kind of trouble",
        "and the project that collected them. Made by `python -m tests.processor.test_cases`; a test keeps it true.",
        "",
        "| file | ends as | size | frames | transparency | why, where decoders disagree |",
        "|---|---|---|---|---|---|",
    ]
    for file, ending in sorted(endings().items()):
        reason = EITHER.get(file, ("", ""))[1]
        if ending.header:
            header = ending.header
            facts = f"{header.size} | {header.frames} | {'yes' if header.has_alpha else 'no'}"
        else:
            facts = "– | – | –"
        lines.append(f"| {file} | {ending.code} | {facts} | {reason} |")
    return "\n".join(lines) + "\n"


@pytest.mark.skipif(not CASES, reason=f"no {LIST}: set IMGCACHE_SHARED to the folder that has images/cases.json")
class TestCases:
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
    def test_each_case_ends_as_expected(self, case: dict[str, Any]) -> None:
        file, ending = case["file"], endings()[case["file"]]
        expect, _ = EITHER[file] if case["expect"] == "either" else (case["expect"], "")
        if expect == "reject":
            assert ending.code in BROKEN, ending
            assert ending.message.isprintable()
        elif expect == "ok":
            assert ending.header, ending
            header, frames = ending.header, FRAMES.get(file, case["frames"])
            found = (header.width, header.height, header.frames, header.has_alpha)
            assert found == (case["width"], case["height"], frames, case["has_alpha"])
        else:
            assert ending.code == expect, ending

    def test_every_choice_has_a_reason(self) -> None:
        assert {case["file"] for case in CASES if case["expect"] == "either"} == set(EITHER)

    def test_the_table_in_the_documentation_matches(self) -> None:
        assert (ROOT / "docs" / "cases.md").read_text() == table(), (
            "run: python -m tests.processor.test_cases > docs/cases.md"
        )


if __name__ == "__main__":
    sys.stdout.write(table())
