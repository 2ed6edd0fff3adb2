"""The profiles: which variants are made of an image where imgcache.yml lists none."""

from __future__ import annotations

from collections.abc import Mapping

from imgcache.core import Recipe, VariantFormat

_WIDTHS = (320, 640, 1280)
_AVIF_QUALITY = {320: 66, 640: 65, 1280: 61}  # by width
_THUMB = Recipe("thumb", width=320, format=VariantFormat.AUTO)

PROFILES: Mapping[str, tuple[Recipe, ...]] = {
    "classic": (_THUMB, *(Recipe(f"w{width}", width=width) for width in _WIDTHS)),
    # AVIF at its fastest setting, with the quality that looks like WebP at 80 in each width: 6, 11 and 18 % fewer bytes
    # at the same score. Together with WebP at method 2 it takes 1.35 times as long as WebP at method 4 alone
    # (docs/decisions/0015-formats.md).
    "modern": (
        _THUMB,
        *(
            Recipe(f"w{width}-avif", width=width, format=VariantFormat.AVIF, quality=_AVIF_QUALITY[width], effort=2)
            for width in _WIDTHS
        ),
        *(Recipe(f"w{width}", width=width, effort=2) for width in _WIDTHS),
    ),
}
