"""The cases of the contact sheets: what is drawn, what imgcache is to make of it, and what to look for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from imgcache.core import Recipe
from imgcache.processor import icc
from tests.support import scenes as drawn
from tests.support.colour_samples import ADOBE_RGB, PROPHOTO, vips_profile
from tests.support.pictures import saved


class Case(NamedTuple):
    """One row. `draw` gives the source's bytes, of the kind `form` (an extension); `zoom` enlarges shown variants."""

    name: str
    title: str
    look: str
    form: str
    draw: Callable[[], bytes]
    recipes: tuple[Recipe, ...]
    zoom: int = 1


class Section(NamedTuple):
    """Rows with a heading."""

    title: str
    text: str
    cases: tuple[Case, ...]


_WEBP, _PNG = Recipe("webp", 160), Recipe("exact", 160, format="png")
_BOTH = (_PNG, _WEBP)
_SMALL = tuple(Recipe(name, 60, format=name) for name in ("png", "webp", "avif"))
_FILM = (Recipe("film", 120), Recipe("thumb", 320, format="auto"))


def _png(profile: bytes) -> bytes:
    return saved(drawn.converted(profile), "PNG", icc_profile=profile)


def _grey() -> bytes:
    profile = icc.gray(1.2)
    return saved(drawn.converted(profile, "L"), "PNG", icc_profile=profile)


def _jpeg(picture: Image.Image, profile: bytes = b"") -> bytes:
    return saved(picture, "JPEG", quality=92, subsampling=0, icc_profile=profile)


def _broken() -> bytes:
    return saved(drawn.scene(), "PNG", icc_profile=b"no profile begins like this" * 8)


_ADOBE, _WIDE = icc.matrix(563 / 256, ADOBE_RGB), icc.matrix(1.8, PROPHOTO)
_KEPT = Recipe("kept", 160, color="keep")
_SAME = "the colours of the first row"

COLOUR = Section(
    "Colour",
    "One scene, stored in many ways. Each variant is in sRGB and has no profile, and each row looks like the first, "
    "unless it says otherwise. On a screen of wide gamut sources may be stronger than sRGB can be.",
    (
        Case("srgb", "sRGB, no profile", "Every format alike.", "png", lambda: saved(drawn.scene(), "PNG"),
             (_PNG, _WEBP, Recipe("avif", 160, format="avif"), Recipe("jpeg", 160, format="jpeg"))),
        Case("p3", "Display P3", f"{_SAME.capitalize()}; were the profile unread, red roof and face would be paler.",
             "png", lambda: _png(vips_profile("p3")), _BOTH),
        Case("adobe", "Adobe RGB (1998)", f"{_SAME.capitalize()}; unread, greens and the face would be greyer.", "jpg",
             lambda: _jpeg(drawn.converted(_ADOBE), _ADOBE), _BOTH),
        Case("prophoto", "ProPhoto RGB", f"{_SAME.capitalize()}; unread, all would be dull.", "png",
             lambda: _png(_WIDE), _BOTH),
        Case("keep", "color: keep", "Beside the default: alike on a screen of sRGB, but for hard "
             "edges, where WebP loses more of the stored numbers. The first has the source's profile.",
             "jpg", lambda: _jpeg(drawn.converted(_ADOBE), _ADOBE), (_KEPT, _WEBP)),
        Case("cmyk", "CMYK without a profile", "Pure colours as strong as a screen's, as browsers show them.", "jpg",
             lambda: _jpeg(drawn.scene().convert("CMYK")), _BOTH),
        Case("grey", "Grey with a gamma of 1.2", "The brightness of the first row; unread, it would be dark.", "png",
             _grey, _BOTH),
        Case("broken", "A profile that is broken", f"It is left unread and a warning names it: {_SAME}.", "png",
             _broken, _BOTH),
    ),
)  # fmt: skip


def _turned(number: int) -> Case:
    recipes = (Recipe("webp", 80), Recipe("exact", 80, format="png"))
    look = f"Upright: the sun at the left, a {number} to be read."
    return Case(f"orientation-{number}", f"Orientation {number}", look, "jpg", lambda: drawn.turned(number), recipes)


ORIENTATION = Section(
    "Orientation",
    "The eight orientations of EXIF (TIFF tag 274). All stand upright, and no number is "
    "mirrored, in sources and variants.",
    tuple(_turned(number) for number in range(1, 9)),
)

TRANSPARENCY = Section(
    "Transparency and light",
    "Where a variant is a quarter as wide as its source it is shown as large, pixel by pixel.",
    (
        Case("edges", "Edges on nothing",
             "White and yellow to the last pixel: the black "
             "that lies under what is transparent does not creep into the edges.", "png",
             lambda: saved(drawn.ring(), "PNG"), _SMALL, zoom=4),
        Case("sixteen", "16 bits", "Smooth from top to bottom, every step one level.", "png", drawn.gradient, _BOTH),
        Case("stripes", "Fine stripes: linear light",
             "From afar, the source's black and white look as bright as the linear variant; the default is darker, as "
             "browsers, too, scale.", "png", lambda: saved(drawn.stripes(), "PNG"),
             (Recipe("default", 60, format="png"), Recipe("linear", 60, format="png", linear=True)), zoom=4),
    ),
)  # fmt: skip

MOTION = Section(
    "Motion",
    "What moves stays in motion as WebP, with the same times and as many rounds; a thumb is a still.",
    (
        Case("gif", "GIF", "A second sun crosses the sky at the source's pace; the thumb is neither of the pale frames "
             "that the film begins with.", "gif", lambda: drawn.film("GIF", loop=0), _FILM),
        Case("apng", "APNG, three rounds", "It stops when the source stops.", "png",
             lambda: drawn.film("PNG", loop=3), _FILM),
    ),
)  # fmt: skip


SECTIONS = (COLOUR, ORIENTATION, TRANSPARENCY, MOTION)
