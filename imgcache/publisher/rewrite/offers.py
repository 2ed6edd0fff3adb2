"""Chooses the files of a held image that fit a place. Pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from imgcache.core import BROWSER_FORMATS, MEDIA_TYPES, MODERN_FORMATS, UNIVERSAL_FORMATS
from imgcache.manifest import ManifestEntry
from imgcache.publisher import entries

_MODERN = MODERN_FORMATS  # best first: a browser takes the first type it knows (HTML, section 4.8.4.3.5)
_SAFE = {MEDIA_TYPES[name]: name for name in BROWSER_FORMATS}
_ICONS = {**_SAFE, "image/vnd.microsoft.icon": "ico"}
_SHARED_WIDTH = 1200  # pixels: what Open Graph and structured data recommend


class File(msgspec.Struct, frozen=True, gc=False):
    """One file of an image: its path below the assets' folder, its size in pixels, and what it is."""

    path: str
    width: int
    height: int
    format: str
    bytes: int
    moves: bool = False

    @property
    def media_type(self) -> str:
        """The media type, as `type` attributes and feeds have it."""
        return MEDIA_TYPES[self.format]


class Held(msgspec.Struct, frozen=True):
    """An image that can be shown in place of a remote one.

    `files` all show the whole picture. `color` and `placeholder` are there only for a picture that covers them.
    `original` is there only if it is of a kind that is safe to publish.
    """

    width: int
    height: int
    files: tuple[File, ...]
    original: File | None
    moves: bool
    color: str = ""
    placeholder: str = ""


def held(url: str, entry: ManifestEntry, automatic: Collection[str] = ()) -> Held | None:
    """Returns what an entry of manifest.json offers; None if no browser shows any of its files.

    Args:
        url: its address, for messages.
        entry: what manifest.json says.
        automatic: the names of the variants whose format is `auto`: PNG there means transparency.

    Raises:
        ConfigError: the entry names a file outside `assets/`, or a colour or placeholder that is none.
    """
    entries.check_background(url, entry)
    moves = entries.moves(entry, entry.variants)
    variants = [
        File(_path(url, one.path), one.width, one.height, one.format, one.bytes, one.frames > 1)
        for one in entry.variants
        if entries.is_whole(one, entry) and (one.frames > 1 or not moves) and one.format in MEDIA_TYPES
    ]
    kind = _ICONS.get(entry.media_type)
    original = (
        File(_path(url, entry.original), entry.width, entry.height, kind, entry.bytes, entry.frames > 1)
        if kind
        else None
    )
    if not variants and original is None:
        return None
    covers = not moves and entries.is_opaque(entry, automatic)
    return Held(
        width=entry.width,
        height=entry.height,
        files=tuple(sorted(variants, key=lambda file: (file.width, file.bytes, file.path))),
        original=original,
        moves=moves,
        color=entry.color if covers else "",
        placeholder=entry.placeholder if covers else "",
    )


def choices(image: Held) -> list[tuple[File, ...]]:
    """Returns the files of each format that an `<img>` may offer, best format first, in each the narrowest first.

    Never empty; the last is what the `<img>` itself offers. What no modern format has at full width is filled up with
    wider files of the formats after it.
    """
    found = [files for name in _MODERN if (files := _of(image, (name,)))]
    wider = _of(image, entries.EVERYWHERE)
    if found:
        found[-1] += tuple(file for file in wider if file.width > found[-1][-1].width)
    elif image.original and (not wider or wider[-1].width < image.width) and image.original.format != "ico":
        found = [(*wider, image.original)]
    elif wider:
        found = [wider]
    return found or [(image.original or image.files[-1],)]


def exact(image: Held, media_type: str = "") -> File:
    """Returns the file for a place where the picture's own size counts: the widest one, of the fewest bytes.

    Args:
        image: what is held.
        media_type: what the page declares beside the address: a file of that type is preferred.
    """
    every = [file for file in image.files if file.format != "avif" or media_type == "image/avif"]
    if image.original:
        every.append(image.original)
    every = [file for file in every if file.moves == image.moves] or every or list(image.files)
    return min(every, key=lambda file: (-file.width, file.media_type != media_type, file.bytes, file.path))


def icon(image: Held) -> File:
    """Returns the file for a place where not every format works: the original."""
    return image.original or exact(image)


def shared(image: Held) -> File:
    """Returns the file for other programs: JPEG, PNG or GIF, the narrowest from 1,200 pixels on, else the widest."""
    known = [file for file in image.files if file.format in entries.EVERYWHERE and file.moves == image.moves]
    if image.original and image.original.format in UNIVERSAL_FORMATS:
        known.append(image.original)
    if not known:
        return exact(image)
    wide = [file for file in known if file.width >= _SHARED_WIDTH]
    return min(wide, key=_size) if wide else max(known, key=lambda file: (file.width, -file.bytes, file.path))


def _size(file: File) -> tuple[int, int, str]:
    return file.width, file.bytes, file.path


def _of(image: Held, formats: Collection[str]) -> tuple[File, ...]:
    """Returns the files of these formats; of several files of one width the smallest."""
    best: dict[int, File] = {}
    for file in image.files:
        if file.format in formats and file.moves == image.moves:
            best.setdefault(file.width, file)
    return tuple(best.values())


def _path(url: str, path: str) -> str:
    return "/".join(entries.file_of(url, path))
