"""Reads the header of an image, and opens it with Pillow.

The pixel limit of Pillow and the warning filters are global. `decoder_errors` sets them for a block, so images must be
opened one at a time, in the worker processes of the pool.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import AvifImagePlugin, Image, UnidentifiedImageError

from imgcache.core import (
    FORMATS,
    SNIFF_BYTES,
    DecoderCrash,
    Header,
    ImageError,
    Limits,
    MissingFile,
    TooManyFrames,
    TooManyPixels,
    Undecodable,
    plural,
    sniff,
)
from imgcache.processor import gif

for _one in FORMATS.values():  # so that nothing is imported later, in a confined worker
    importlib.import_module(f"PIL.{_one.plugin}")
# With several threads dav1d accepts or refuses a damaged file depending on which thread is faster, and on memory for
# their stacks. One thread always gives the same result; the pool keeps the processors busy with other images.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
_NO_MEMORY = "the decoder ran out of memory; the limit is limits.decode_memory"
_ORIENTATION = 0x0112  # Exif 3.0, section 4.6.5
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow and its plug-ins raise on broken input, found by fuzzing and reading their code.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class OpenedImage(NamedTuple):
    """An image whose header was read. `orientation` (1 to 8, as in EXIF) is not applied to the pixels yet."""

    image: Image.Image
    header: Header
    orientation: int
    body: bytes


def probe(path: str | Path, limits: Limits) -> Header:
    """Read the header of an image file without decoding it.

    Raises:
        ImageError: UnsupportedFormat, NotAnImage, Undecodable, TooManyPixels, TooManyFrames, MissingFile.
    """
    return probe_bytes(read_file(path), limits)


def probe_bytes(body: bytes, limits: Limits) -> Header:
    """Read the header of an image file in memory.

    Raises:
        ImageError: as `probe`, except MissingFile.
    """
    with decoder_errors(limits):
        return open_image(body, limits).header


def read_file(path: str | Path) -> bytes:
    """Read a whole file.

    Raises:
        MissingFile: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingFile(f"{path}: cannot be read ({error.strerror})") from error


@contextlib.contextmanager
def decoder_errors(limits: Limits) -> Iterator[None]:
    """Turn everything that a decoder raises into an ImageError, and suppress its warnings."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max(1, limits.pixels // 2)  # Pillow warns above this, and raises above twice this
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixels(f"the header announces more than {limits.pixels} pixels") from error
    except MemoryError as error:
        raise DecoderCrash(_NO_MEMORY) from error
    except UnidentifiedImageError as error:
        raise Undecodable("the header is broken") from error
    except _DECODER_ERRORS as error:
        if "out of memory" in str(error).lower():  # the message of libavif and Pillow's own decoders
            raise DecoderCrash(_NO_MEMORY) from error
        raise Undecodable(f"the decoder failed: {_clean(str(error)) or type(error).__name__}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:200]).strip()


def open_image(body: bytes, limits: Limits) -> OpenedImage:
    """Read the header of a whole file, inside a `decoder_errors` block.

    Raises:
        ImageError: UnsupportedFormat, NotAnImage, Undecodable, TooManyPixels, TooManyFrames.
    """
    form = sniff(body[:SNIFF_BYTES])
    image = Image.open(io.BytesIO(body), formats=(FORMATS[form].decoder,))
    shape = gif.shape(body, limits.frames) if form == "gif" else None
    if shape is not None:
        _check(shape.frames, shape.pixels, limits)
    frames = shape.frames if shape else _frames(image, limits)
    _check(frames, image.width * image.height, limits, decoded=frames if FORMATS[form].motion else 1)
    orientation = _orientation(image)
    width, height = image.size if orientation < 5 else image.size[::-1]
    transparent = image.has_transparency_data or (shape is not None and shape.transparent)
    return OpenedImage(
        image, Header(form, FORMATS[form].media_type, width, height, frames, transparent), orientation, body
    )


def _check(frames: int, pixels: int, limits: Limits, decoded: int | None = None) -> None:
    if frames > limits.frames:
        raise TooManyFrames(f"{frames} frames, more than the {limits.frames} that limits.frames allows")
    total = pixels * (frames if decoded is None else decoded)
    if total > limits.pixels:
        raise TooManyPixels(f"{total} pixels in all, more than the {limits.pixels} that limits.pixels allows")


def _frames(image: Image.Image, limits: Limits) -> int:
    if image.format == "TIFF":
        return _pages(image, limits.frames)
    frames = int(getattr(image, "n_frames", 1))
    # Pillow counts the default image of an APNG that is not part of the animation (PNG, third edition, section 4.8.1).
    return frames - 1 if getattr(image, "default_image", False) and frames > 1 else frames


def _pages(image: Image.Image, most: int) -> int:
    """Counts the pages of a TIFF up to the limit: each is a directory to read, and there may be many."""
    for page in range(1, most + 1):
        try:
            image.seek(page)
        except EOFError:
            image.seek(0)
            return page
    raise TooManyFrames(f"more than the {plural(most, 'frame')} that limits.frames allows")


def _orientation(image: Image.Image) -> int:
    """Returns the orientation, 1 to 8 as in EXIF.

    For AVIF Pillow translates irot and imir to it, and TIFF is turned by its decoder. XMP and ImageMagick's text chunks
    are not read.
    """
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return 1
    exif = Image.Exif()
    try:
        exif.load(block)
        value = exif.get(_ORIENTATION, 1)
    except _DECODER_ERRORS:  # broken EXIF is ignored, as in browsers
        return 1
    return value if value in UPRIGHT else 1
