"""Recipes: how each variant of an image is made."""

from __future__ import annotations

import hashlib

import msgspec

from imgcache.core.choices import ColorSpace, Fit, Motion, Position
from imgcache.core.formats import VariantFormat


class Recipe(msgspec.Struct, frozen=True, gc=False):
    """How to make one variant. It fits into width × height pixels, and is never larger than the original.

    With `quality` "auto" the lowest quality from `min_quality` to `max_quality` is taken whose similarity to the
    original is at least `target` (SSIMULACRA2: 90 is visually lossless, 70 is high, 50 is medium quality).
    """

    name: str
    width: int | None = None
    height: int | None = None
    fit: Fit = Fit.INSIDE
    format: VariantFormat = VariantFormat.WEBP
    quality: int | str = 80  # 1 to 100, or auto
    effort: int = 4  # 0 to 6, as libwebp counts its method; other encoders map it
    position: Position = Position.CENTER  # of a crop
    focus: tuple[float, float] | None = None  # of a crop, in place of `position`: from left and top, each 0 to 1
    color: ColorSpace = ColorSpace.SRGB
    linear: bool = False  # whether it is scaled in linear light
    animation: Motion = Motion.KEEP
    target: int = 75
    min_quality: int = 40
    max_quality: int = 95

    @property
    def crops(self) -> bool:
        """Whether it has a shape of its own and fills it, so that parts of an image may be cut off."""
        return self.fit == Fit.COVER and self.width is not None and self.height is not None

    @property
    def fingerprint(self) -> str:
        """A short hash of name and settings. Another name or another setting is another file."""
        text = f"{self.name} {self.width}x{self.height} {self.fit} {self.format} q{self.quality} e{self.effort}"
        text += "".join(
            f" {name}={value}" for name, default in _LATER.items() if (value := getattr(self, name)) != default
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]


# Settings that were added later, with their defaults: a default leaves the fingerprint of earlier versions as it was.
_LATER = dict(zip(Recipe.__struct_fields__[-8:], Recipe.__struct_defaults__[-8:], strict=True))
