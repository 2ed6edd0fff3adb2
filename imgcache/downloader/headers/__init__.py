"""Reads the size of an image from as few of its bytes as possible. Pure.

`measure` is called with the bytes that are available. Where they do not suffice it raises `MoreBytesNeeded`, and is
called again with more. On every file that `imgcache.processor.probe` accepts, which reads whole files, both agree
(`tests/downloader/test_sizes.py`). Limits: nothing is decoded, so a damaged image behind a good header passes; frames
are those that a header announces, and only PNG's does.

Looked at and not taken: imagesize 2.0.1 (no ICO, no bare JPEG 2000 codestream, no big-endian BigTIFF; OS/2 bitmaps,
GIFs over 32,767 pixels, scaled VP8, and the EXIF of PNG, WebP and AVIF differ); Pillow's openers (those of WebP, AVIF
and ICO decode the whole file, that of TIFF follows every tag, that of JPEG takes 86 µs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from imgcache.core import Size, Undecodable
from imgcache.downloader.headers import fixed, isobmff, jpeg
from imgcache.downloader.headers.partial_file import MoreBytesNeeded, PartialFile

__all__ = ["Measured", "MoreBytesNeeded", "PartialFile", "measure"]

_READERS: dict[str, Callable[[PartialFile], tuple[int, ...]]] = {
    "jpeg": jpeg.size,
    "png": fixed.png,
    "gif": fixed.gif,
    "webp": fixed.webp,
    "avif": isobmff.avif,
    "bmp": fixed.bmp,
    "tiff": fixed.tiff,
    "ico": fixed.ico,
    "jp2": isobmff.jp2,
}


class Measured(NamedTuple):
    """The size in pixels as displayed, and the number of frames that the header announces."""

    size: Size
    frames: int = 1


def measure(image_format: str, file: PartialFile) -> Measured:
    """Read the header of a file of this format, a name of `imgcache.core.formats`.

    Raises:
        MoreBytesNeeded: the header is longer than what is available.
        Undecodable: the header is broken, or ends with the file.
    """
    width, height, *frames = _READERS[image_format](file)
    if width < 1 or height < 1:
        raise Undecodable("the header gives a width or height of 0")
    return Measured(Size(width, height), *frames)
