"""Names of attributes that hold images, and of files that are images. Pure."""

from __future__ import annotations

import re

# Attributes of which a script makes `src` and `srcset`.
LAZY_ADDRESSES = ("data-src", "data-original", "data-lazy-src", "data-lazy", "data-orig-src", "data-echo")
LAZY_SETS = ("data-srcset", "data-lazy-srcset", "data-original-set")
# Attributes of which a script makes a background: an address, or CSS.
BACKGROUNDS = ("data-bg", "data-background", "data-background-image", "data-bg-src", "data-bgset")

_ENDINGS = (
    *(".apng", ".avif", ".bmp", ".gif", ".ico", ".jfif", ".jpeg", ".jpg", ".jxl", ".png", ".svg", ".tif", ".tiff"),
    ".webp",
)
_NOT_IN_ADDRESS = re.compile(r"[\s\"'<>{}|\\^`]")
_ROOTED = re.compile(r"(?:[hH][tT][tT][pP][sS]?:/)?/[^\s]|@site/|\{static\}/")


def looks_like_image(address: str) -> bool:
    """Return whether an address has the name of an image: the extension of an image at the end of its path."""
    path = address.partition("#")[0].partition("?")[0]
    return path.lower().endswith(_ENDINGS) and not _NOT_IN_ADDRESS.search(address.replace("{static}", ""))


def is_rooted(address: str) -> bool:
    """Return whether an address does not depend on the place from which it is named."""
    return _ROOTED.match(address) is not None
