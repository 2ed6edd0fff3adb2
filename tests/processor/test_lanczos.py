"""Scaling: the same bytes on every processor, and the same picture as Pillow's."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageStat

from imgcache.processor import lanczos
from tests.support.pictures import noise

cykooz_resizer = pytest.importorskip("cykooz_resizer", reason="there is no build of it for this platform")
BOX = (1.5, 2.25, 300.75, 199.0)


def picture(mode: str) -> Image.Image:
    """Noise on a gradient, so that every level occurs and edges are hard."""
    return noise((311, 203), "RGBA" if mode == "RGBa" else mode).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBa"])
def test_every_set_of_instructions_gives_the_same_bytes(mode: str) -> None:
    made = set()
    for extensions in (cykooz_resizer.CpuExtensions.none, cykooz_resizer.Resizer().cpu_extensions):
        resizer = cykooz_resizer.Resizer()
        resizer.cpu_extensions = extensions
        made.add(lanczos.scale(picture(mode), (120, 77), BOX, resizer=resizer).tobytes())
    assert len(made) == 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBa", "CMYK", "LAB"])
def test_the_result_agrees_with_pillow(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = picture("RGB").convert("LAB") if mode == "LAB" else picture(mode)
    source.info["icc_profile"] = b"kept"
    ours = lanczos.scale(source, (120, 77), BOX)
    monkeypatch.setattr(lanczos, "Resizer", None)
    theirs = lanczos.scale(source, (120, 77), BOX)
    assert (ours.mode, ours.size, ours.info) == (theirs.mode, theirs.size, theirs.info)
    for one, other in zip(ours.split(), theirs.split(), strict=True):
        difference = ImageStat.Stat(ImageChops.difference(one, other))
        assert difference.extrema[0][1] <= 8 and difference.mean[0] < 1  # rounded between the two directions
