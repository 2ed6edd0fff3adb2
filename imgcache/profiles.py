"""Which variants are made of an image where imgcache.yml lists none: the profiles. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from imgcache.models import Recipe

_WIDTHS = (320, 640, 1280)
_THUMB = Recipe("thumb", width=320, format="auto")

PROFILES: Mapping[str, tuple[Recipe, ...]] = {
    "classic": (_THUMB, *(Recipe(f"w{width}", width=width) for width in _WIDTHS)),
    # AVIF at its quickest and WebP at method 2 together cost about what WebP at method 4 costs alone, and the AVIF is
    # the smaller one of the two at the same likeness to the picture (docs/benchmarks.md, modern).
    "modern": (
        _THUMB,
        *(Recipe(f"w{width}-avif", width=width, format="avif", quality=65, effort=2) for width in _WIDTHS),
        *(Recipe(f"w{width}", width=width, effort=2) for width in _WIDTHS),
    ),
}
