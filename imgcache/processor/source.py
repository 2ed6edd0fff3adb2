"""The picture of a file, ready to be scaled: upright, in one of a few modes, no larger than is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from imgcache.models import Recipe, Size
from imgcache.processor import colours
from imgcache.processor.geometry import inside
from imgcache.processor.header import UPRIGHT, Opened


class Way(NamedTuple):
    """How pixels get from a file into a variant: what of a recipe has a say before anything is scaled."""

    color: str = "srgb"
    linear: bool = False

    @classmethod
    def of(cls, recipe: Recipe) -> Way:
        """The way that a recipe asks for."""
        return cls(recipe.color, recipe.linear)


class Source(NamedTuple):
    """A picture to make variants from: upright, no metadata. `untouched`: colours and shape are the file's."""

    image: Image.Image
    untouched: bool


def decode(opened: Opened, sizes: Sequence[Size], way: Way) -> Source:
    """The first frame whole, no larger than the largest of `sizes`."""
    image, header = opened.image, opened.header
    profile = image.info.get("icc_profile")
    largest = max(sizes, key=lambda size: size.width * size.height, default=inside(header.size, 64, 64))
    stored = (largest.width, largest.height) if opened.orientation < 5 else (largest.height, largest.width)
    drafted = image.draft(None, stored) if header.format == "jpeg" and stored != image.size else None
    box = drafted[1] if drafted else None
    image.load()
    image = colours.eight_bit(image)
    if stored != image.size:
        image = image.resize(stored, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    if opened.orientation != 1:
        image = image.transpose(UPRIGHT[opened.orientation])
    image, changed = colours.to_srgb(image, profile if isinstance(profile, bytes) else None)
    image = colours.opaque(image)
    if image is opened.image:
        image = image.copy()
    image.info = {}  # nothing private reaches an encoder
    return Source(image, untouched=not changed and opened.orientation == 1)
