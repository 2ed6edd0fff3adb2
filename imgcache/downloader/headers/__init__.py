"""How large a picture is, from as few of its bytes as it takes. Pure.

`measure` is called with what is in hand; where that does not reach it raises `Needs`, and is called again with more. It
agrees with `imgcache.processor.probe`, the judge of whole files, on the size of whatever that one takes
(`tests/downloader/test_sizes.py`). Limits: nothing is decoded, so a damaged picture behind a good header passes; frames are those
that a header announces, which only PNG's does.

Looked at and not taken: imagesize 2.0.1 (no ICO, no bare JPEG 2000 codestream, no big-endian BigTIFF; OS/2 bitmaps,
GIFs over 32,767 pixels, scaled VP8, and the EXIF of PNG, WebP and AVIF come out otherwise); Pillow's openers (those of
WebP, AVIF and ICO decode the whole file, that of TIFF follows every tag, that of JPEG takes 86 µs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from imgcache.core import Size, Undecodable
from imgcache.downloader.headers import fixed as plain
from imgcache.downloader.headers import isobmff as boxes
from imgcache.downloader.headers import jpeg
from imgcache.downloader.headers.partial_file import Needs, Pieces

__all__ = ["Measured", "Needs", "Pieces", "measure"]

_READERS: dict[str, Callable[[Pieces], tuple[int, ...]]] = {
    "jpeg": jpeg.size,
    "png": plain.png,
    "gif": plain.gif,
    "webp": plain.webp,
    "avif": boxes.avif,
    "bmp": plain.bmp,
    "tiff": plain.tiff,
    "ico": plain.ico,
    "jp2": boxes.jp2,
}


class Measured(NamedTuple):
    """The size in pixels as displayed, and as many frames as the header announces."""

    size: Size
    frames: int = 1


def measure(form: str, pieces: Pieces) -> Measured:
    """What the header of a file of this format (a name of `imgcache.core.formats`) says.

    Raises:
        Needs: bytes that are not in hand.
        Undecodable: the header is broken, or ends with the file.
    """
    width, height, *frames = _READERS[form](pieces)
    if width < 1 or height < 1:
        raise Undecodable("the header says that the picture has no size")
    return Measured(Size(width, height), *frames)
