"""The picture of a file, ready to be scaled: upright, in one of a few modes, no larger than is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from imgcache.core import Recipe, Size
from imgcache.processor import colours, icc
from imgcache.processor import linear_light as light
from imgcache.processor import sixteen_bit as deep
from imgcache.processor.geometry import inside
from imgcache.processor.header import UPRIGHT, Opened
from imgcache.processor.lanczos import Box
from imgcache.processor.scaling import resized

# A JPEG's fraction (1/2, 1/4, 1/8) has this many times the pixels a side that are wanted, or more. Nearer to it, the
# last step blurs: SSIMULACRA2 against scaling the whole falls from 94 to 78, for 1 to 2 % of the time.
_MARGIN = 1.25
_UNREAD = "it is left unread, so colours may be off: a file in sRGB, or with a sound profile, shows them as they are"


class DecodePlan(NamedTuple):
    """How pixels get from a file into a variant: what of a recipe has a say before anything is scaled."""

    color: str = "srgb"
    linear: bool = False

    @classmethod
    def of(cls, recipe: Recipe) -> DecodePlan:
        """The way that a recipe asks for."""
        return cls(recipe.color, recipe.linear)


class DecodedImage(NamedTuple):
    """A picture to make variants from: upright, and of its metadata only a profile, in `info`, where that is kept.

    `untouched`: colours and shape are the file's, and sRGB. `notes`: what a user should know.
    """

    image: Image.Image
    untouched: bool
    notes: tuple[str, ...] = ()


def decode(opened: Opened, sizes: Sequence[Size], way: DecodePlan) -> DecodedImage:
    """The first frame whole, no larger than the largest of `sizes`."""
    profile = icc.of(opened.image)
    largest = max(sizes, key=lambda size: size.width * size.height, default=inside(opened.header.size, 64, 64))
    stored = (largest.width, largest.height) if opened.orientation < 5 else (largest.height, largest.width)
    samples = deep.samples(opened)
    if samples is None:
        image, box = _loaded(opened, stored, way)
    else:
        image, box = light.scale(samples, stored, linear=way.linear), None
    wrong, changed, kept = colours.fault(image, profile), False, None
    if way.linear and image.mode in colours.INKS:  # scaled as RGB; else colours are converted when there are fewer
        (image, changed), profile = colours.to_srgb(image, profile), None
    if stored != image.size:
        image = resized(image, stored, box, linear=way.linear)
    if opened.orientation != 1:
        image = image.transpose(UPRIGHT[opened.orientation])
    if way.color == "keep" and colours.stays(image, profile):
        kept = profile
    else:
        image, converted = colours.to_srgb(image, profile)
        changed = changed or converted
    image = colours.opaque(image)
    if image is opened.image:
        image = image.copy()
    image.info = {"icc_profile": kept} if kept else {}  # nothing private reaches an encoder
    untouched = not changed and kept is None and opened.orientation == 1
    return DecodedImage(image, untouched, (f"{wrong}; {_UNREAD}",) if wrong else ())


def _loaded(opened: Opened, stored: tuple[int, int], way: DecodePlan) -> tuple[Image.Image, Box | None]:
    """The pixels, and which part of them is the picture: a JPEG is decoded at a fraction of its size if that will do.

    Not for linear light: that fraction is made of samples as stored.
    """
    image = opened.image
    fraction = opened.header.format == "jpeg" and stored != image.size and not way.linear
    drafted = image.draft(None, (int(stored[0] * _MARGIN), int(stored[1] * _MARGIN))) if fraction else None
    image.load()
    return colours.eight_bit(image), drafted[1] if drafted else None
