"""Which variants are made of an image where imgcache.yml lists none: the profiles. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from imgcache.core import Recipe

_WIDTHS = (320, 640, 1280)
_AVIF = {320: 66, 640: 65, 1280: 61}  # quality by width
_THUMB = Recipe("thumb", width=320, format="auto")

PROFILES: Mapping[str, tuple[Recipe, ...]] = {
    "classic": (_THUMB, *(Recipe(f"w{width}", width=width) for width in _WIDTHS)),
    # AVIF at its quickest, of the qualities that look like WebP at 80 in each width: at the same score 6, 11 and 18 %
    # fewer bytes. With WebP at method 2 beside it the encoders take 1.35 times what WebP at method 4 takes alone
    # (docs/decisions/0015-formats.md).
    "modern": (
        _THUMB,
        *(Recipe(f"w{width}-avif", width=width, format="avif", quality=_AVIF[width], effort=2) for width in _WIDTHS),
        *(Recipe(f"w{width}", width=width, effort=2) for width in _WIDTHS),
    ),
}
