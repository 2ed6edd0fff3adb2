"""Reads thumbnails of cached images as data URIs, for a page that makes no request. Writes nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from imgcache.core import BROWSER_FORMATS, FORMATS

MAX_THUMBNAILS = 300
MAX_BYTES = 4_000_000  # of all thumbnails together, before base64
_MAX_BYTES_EACH = 20_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TYPES = {f".{extension}": name for name in BROWSER_FORMATS for extension in FORMATS[name].extensions}
_PLACEHOLDER = re.compile(rf"data:image/(?:{'|'.join(BROWSER_FORMATS)});base64,[A-Za-z0-9+/=]{{1,400}}")


def thumbnails(cache: Path, digests: Iterable[str | None], *, max_bytes: int = MAX_BYTES) -> dict[str, str]:
    """Returns a data URI for each digest that is cached, in their order.

    The URI has the thumbnail, else the smallest variant, of at most 20 kB. Beyond that, and beyond `MAX_THUMBNAILS` and
    `max_bytes` in all, it has the placeholder of manifest.json. Unreadable files are skipped.
    """
    wanted = [digest for digest in dict.fromkeys(digests) if digest and _DIGEST.fullmatch(digest)]
    if not wanted:
        return {}
    found = _placeholders(cache, frozenset(wanted))
    remaining = max_bytes
    for digest in wanted[:MAX_THUMBNAILS]:
        picture = _smallest(cache / "assets" / digest[:2] / digest)
        if picture is not None and len(picture[1]) <= remaining:
            kind, data = picture
            found[digest] = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
            remaining -= len(data)
    return found


class _Entry(msgspec.Struct):
    digest: str = ""
    placeholder: str = ""


class _Manifest(msgspec.Struct):
    images: dict[str, _Entry] = {}


def _placeholders(cache: Path, wanted: frozenset[str]) -> dict[str, str]:
    try:
        manifest = msgspec.json.decode((cache / "manifest.json").read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError):
        return {}
    return {
        entry.digest: entry.placeholder
        for entry in manifest.images.values()
        if entry.digest in wanted and _PLACEHOLDER.fullmatch(entry.placeholder)
    }


def _smallest(folder: Path) -> tuple[str, bytes] | None:
    """Media subtype and bytes of the image to show: `thumb` if there is one, else the smallest file."""
    try:
        files = [
            (path.stem != "thumb", path.stat().st_size, path.name, path)
            for path in folder.iterdir()
            if path.suffix in _TYPES and path.stem != "original"
        ]
        for _, size, _, path in sorted(files):
            if 0 < size <= _MAX_BYTES_EACH:
                return _TYPES[path.suffix], path.read_bytes()
    except OSError:
        return None
    return None
