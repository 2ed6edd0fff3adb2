"""Decodes the picture of a file for scaling: upright, in a working mode, no larger than needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from imgcache.core import ColorSpace, Recipe, Size
from imgcache.processor import colours, icc
from imgcache.processor import linear_light as light
from imgcache.processor import sixteen_bit as deep
from imgcache.processor.geometry import inside
from imgcache.processor.header import UPRIGHT, OpenedImage
from imgcache.processor.lanczos import Box
from imgcache.processor.scaling import resized

# A JPEG is decoded at 1/2, 1/4 or 1/8 if each side still has this many times the pixels that are needed. With fewer
# the last step blurs: SSIMULACRA2 against scaling the whole falls from 94 to 78, for 1 to 2 % of the time.
_MARGIN = 1.25
_IGNORED = "it is ignored, so colours may be wrong; a file in sRGB or with a valid profile shows them correctly"


class DecodePlan(NamedTuple):
    """The settings of a recipe that matter before scaling."""

    color: ColorSpace = ColorSpace.SRGB
    linear: bool = False

    @classmethod
    def of(cls, recipe: Recipe) -> DecodePlan:
        """Returns the plan of a recipe."""
        return cls(recipe.color, recipe.linear)


class DecodedImage(NamedTuple):
    """A picture to make variants from: upright, and without metadata except a profile that is kept, in `info`.

    `untouched`: colours and orientation are those of the file, in sRGB. `notes`: defects of the file, for people.
    """

    image: Image.Image
    untouched: bool
    notes: tuple[str, ...] = ()


def decode(opened: OpenedImage, sizes: Sequence[Size], plan: DecodePlan) -> DecodedImage:
    """Decode the whole first frame, no larger than the largest of `sizes`."""
    profile = icc.profile_of(opened.image)
    largest = max(sizes, key=lambda size: size.width * size.height, default=inside(opened.header.size, 64, 64))
    stored = (largest.width, largest.height) if opened.orientation < 5 else (largest.height, largest.width)
    samples = deep.read_samples(opened)
    if samples is None:
        image, box = _loaded(opened, stored, plan)
    else:
        image, box = light.scale(samples, stored, linear=plan.linear), None
    wrong, changed, kept = colours.profile_fault(image, profile), False, None
    if plan.linear and image.mode in colours.CONVERTED_MODES:  # else converted after scaling
        (image, changed), profile = colours.to_srgb(image, profile), None
    if stored != image.size:
        image = resized(image, stored, box, linear=plan.linear)
    if opened.orientation != 1:
        image = image.transpose(UPRIGHT[opened.orientation])
    if plan.color == ColorSpace.KEEP and colours.has_own_profile(image, profile):
        kept = profile
    else:
        image, converted = colours.to_srgb(image, profile)
        changed = changed or converted
    image = colours.without_alpha_if_opaque(image)
    if image is opened.image:
        image = image.copy()
    image.info = {"icc_profile": kept} if kept else {}  # no metadata reaches an encoder
    untouched = not changed and kept is None and opened.orientation == 1
    return DecodedImage(image, untouched, (f"{wrong}; {_IGNORED}",) if wrong else ())


def _loaded(opened: OpenedImage, stored: tuple[int, int], plan: DecodePlan) -> tuple[Image.Image, Box | None]:
    """Load the pixels, and return which part of them is the picture. A JPEG is decoded at a fraction if that is enough.

    Not in linear light: the decoder averages samples as stored.
    """
    image = opened.image
    fraction = opened.header.format == "jpeg" and stored != image.size and not plan.linear
    drafted = image.draft(None, (int(stored[0] * _MARGIN), int(stored[1] * _MARGIN))) if fraction else None
    image.load()
    return colours.to_eight_bits(image), drafted[1] if drafted else None
