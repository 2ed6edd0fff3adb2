"""What a variant is to be like: frozen, comparable, picklable."""

from __future__ import annotations

import hashlib

import msgspec


class Recipe(msgspec.Struct, frozen=True, gc=False):
    """How to make one variant. Width and height bound the result; it is never larger than the original.

    Where `quality` is "auto" it is searched for each picture, from `min_quality` to `max_quality`: the lowest whose
    likeness to the picture is at least `target` (SSIMULACRA2: 90 cannot be told apart, 70 is good, 50 is middling).
    """

    name: str
    width: int | None = None
    height: int | None = None
    fit: str = "inside"  # inside | cover
    format: str = "webp"  # webp | avif | jpeg | png | auto | best
    quality: int | str = 80  # 1 to 100, or auto
    effort: int = 4  # 0 to 6: libwebp's method; other encoders map it
    position: str = "center"  # what `cover` keeps: center | top | entropy | attention
    focus: tuple[float, float] | None = None  # what it keeps instead: a point, from left and top, each 0 to 1
    color: str = "srgb"  # srgb: converted to it; keep: the colours and the profile of the original
    linear: bool = False  # whether it is scaled in linear light
    animation: str = "keep"  # keep | first: a still
    target: int = 75
    min_quality: int = 40
    max_quality: int = 95

    @property
    def crops(self) -> bool:
        """Whether it may leave something of a picture out: it has a shape of its own, which it fills."""
        return self.fit == "cover" and self.width is not None and self.height is not None

    @property
    def fingerprint(self) -> str:
        """One word for the file that is wished for: another name or another setting is another file."""
        text = f"{self.name} {self.width}x{self.height} {self.fit} {self.format} q{self.quality} e{self.effort}"
        text += "".join(
            f" {name}={value}" for name, default in _LATER.items() if (value := getattr(self, name)) != default
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]


# Settings that recipes did not have from the beginning, with their defaults: these leave the fingerprint as it was.
_LATER = dict(zip(Recipe.__struct_fields__[-8:], Recipe.__struct_defaults__[-8:], strict=True))
