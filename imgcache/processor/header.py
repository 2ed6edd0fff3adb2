"""What an image file says of itself before a pixel of it is decoded, and the one way into Pillow.

Pillow's pixel limit and warning filters are global: `contained` sets them for the length of a block, which is why
images are opened in the worker processes of `render_pool`, one at a time.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from imgcache.core import (
    MEDIA_TYPES,
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

# The one decoder that may look at each format: no plug-in guesses, none starts another program (EPS: Ghostscript).
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "ico": IcoImagePlugin.IcoImageFile,
    "jp2": Jpeg2KImagePlugin.Jpeg2KImageFile,
}
# dav1d with threads decodes or refuses a damaged file depending on which thread gets on first, and on whether there is
# memory for their stacks. One thread gives one outcome; the pool keeps the processors busy with other images.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
_NO_MEMORY = "the decoder ran out of its memory; limits.decode_memory sets how much it has"
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
# What Pillow and its plug-ins let through on broken input, found by fuzzing them and reading their code.
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


class Opened(NamedTuple):
    """An image whose header is read. `orientation`: 1 to 8, what is still to be done to the decoded pixels."""

    image: Image.Image
    header: Header
    orientation: int
    body: bytes


def probe(path: str | Path, limits: Limits) -> Header:
    """What the header says; no pixel is decoded. Width and height are in pixels as displayed.

    Raises:
        ImageError: UnsupportedFormat, NotAnImage, Undecodable, TooManyPixels, TooManyFrames, MissingFile.
    """
    return probe_bytes(read_file(path), limits)


def probe_bytes(body: bytes, limits: Limits) -> Header:
    """`probe` of a whole file in memory.

    Raises:
        ImageError: as `probe`, but MissingFile.
    """
    with contained(limits):
        return open_image(body, limits).header


def read_file(path: str | Path) -> bytes:
    """The whole file.

    Raises:
        MissingFile: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingFile(f"{path}: cannot be read ({error.strerror})") from error


@contextlib.contextmanager
def contained(limits: Limits) -> Iterator[None]:
    """Turns whatever a decoder raises into an ImageError, and keeps its warnings in."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max(1, limits.pixels // 2)  # Pillow warns above this and raises above twice this
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
        if "out of memory" in str(error).lower():  # so say libavif and Pillow's own decoders, in place of MemoryError
            raise DecoderCrash(_NO_MEMORY) from error
        raise Undecodable(f"the decoder gave up: {_clean(str(error)) or type(error).__name__}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:200]).strip()


def open_image(body: bytes, limits: Limits) -> Opened:
    """Reads the header of a whole file; use it inside `contained`.

    Raises:
        ImageError: UnsupportedFormat, NotAnImage, Undecodable, TooManyPixels, TooManyFrames.
    """
    form = sniff(body[:SNIFF_BYTES])
    image = Image.open(io.BytesIO(body), formats=(_DECODERS[form].format or form,))
    shape = gif.shape(body, limits.frames) if form == "gif" else None
    if shape is not None:
        _check(shape.frames, shape.pixels, limits)
    frames = shape.frames if shape else _frames(image, limits)
    # Only the first picture of a JPEG (gain map, stereo pair) or TIFF (pages) is decoded; others animate one canvas.
    _check(frames, image.width * image.height, limits, decoded=1 if form in {"jpeg", "tiff"} else frames)
    orientation = _orientation(image)
    width, height = image.size if orientation < 5 else image.size[::-1]
    transparent = image.has_transparency_data or (shape is not None and shape.transparent)
    return Opened(image, Header(form, MEDIA_TYPES[form], width, height, frames, transparent), orientation, body)


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
    # An APNG's default image may be no part of the animation (PNG, third edition, section 4.8.1); Pillow counts it.
    return frames - 1 if getattr(image, "default_image", False) and frames > 1 else frames


def _pages(image: Image.Image, most: int) -> int:
    """Pages of a TIFF, one by one and not further than the limit: each is a directory to read, and they may be many."""
    for page in range(1, most + 1):
        try:
            image.seek(page)
        except EOFError:
            image.seek(0)
            return page
    raise TooManyFrames(f"more than the {plural(most, 'frame')} that limits.frames allows")


def _orientation(image: Image.Image) -> int:
    """1 to 8, as EXIF counts. For AVIF Pillow says in this way what irot and imir do; TIFF is turned by its decoder.

    XMP and ImageMagick's text chunks are not asked.
    """
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return 1
    exif = Image.Exif()
    try:
        exif.load(block)
        value = exif.get(_ORIENTATION, 1)
    except _DECODER_ERRORS:  # a broken block says nothing of the picture
        return 1
    return value if value in UPRIGHT else 1
