"""Reads entries of manifest.json for pages: their files, checked, and what these show. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from imgcache.core import (
    MODERN_FORMATS,
    OPAQUE_MEDIA_TYPES,
    UNIVERSAL_FORMATS,
    VARIANT_FORMATS,
    ConfigError,
    clean_text,
)
from imgcache.manifest import ManifestEntry, ManifestVariant

# Formats of variants that every browser and reader shows.
EVERYWHERE = tuple(name for name in UNIVERSAL_FORMATS if name in VARIANT_FORMATS)
FILE = re.compile(r"assets/([0-9a-f]{2}/[0-9a-f]{64})/([A-Za-z0-9_][A-Za-z0-9_.-]*)")
_COLOR = re.compile(r"#[0-9a-f]{6}")
_PLACEHOLDER = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+")


def file_of(url: str, path: str) -> tuple[str, str]:
    """Returns the folder of a file, below `assets/`, and its name.

    Args:
        url: that of the image, for messages.
        path: as manifest.json has it.

    Raises:
        ConfigError: the file is not in `assets/`.
    """
    match = FILE.fullmatch(path)
    if match is None:
        raise damaged(url, f"names a file that is not in the cache: {clean_text(path)}")
    return match[1], match[2]


def check_background(url: str, entry: ManifestEntry) -> None:
    """Checks colour and placeholder, which pages have in a style. Raises ConfigError."""
    if not _COLOR.fullmatch(entry.color) or not _PLACEHOLDER.fullmatch(entry.placeholder):
        raise damaged(url, "has an invalid colour or placeholder")


def is_whole(variant: ManifestVariant, entry: ManifestEntry) -> bool:
    """Returns whether a variant shows the whole picture: a srcset may only offer the same one.

    Sides are whole pixels, so that one of them is off by up to one. See HTML, section 4.8.4.2.2.
    """
    return abs(variant.width * entry.height - variant.height * entry.width) <= max(entry.width, entry.height)


def moves(entry: ManifestEntry, variants: Iterable[ManifestVariant]) -> bool:
    """Returns whether a page shows an animation. Its WebP and AVIF are stills only with `animation: first`."""
    return entry.frames > 1 and not any(one.frames == 1 and one.format in MODERN_FORMATS for one in variants)


def is_opaque(entry: ManifestEntry, automatic: Collection[str]) -> bool:
    """Returns whether a still picture is known to be opaque. manifest.json does not say so, but an `auto` variant does.

    Args:
        entry: the image.
        automatic: the names of the variants whose format is `auto`: PNG there means transparency.
    """
    chosen = [variant.format for variant in entry.variants if variant.name in automatic]
    return "png" not in chosen if chosen else entry.media_type in OPAQUE_MEDIA_TYPES


def damaged(url: str, what: str) -> ConfigError:
    """Returns the error of an entry that imgcache did not write."""
    return ConfigError(f"{clean_text(url)} {what}; `imgcache verify --repair` writes it anew", where="manifest.json")
