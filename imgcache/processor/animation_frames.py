"""Reads the frames of an animation one by one, complete and as browsers show them, and how often it plays.

GIFs are composed here: Pillow fills cleared and uncovered areas with the background colour, where browsers leave them
transparent. The decoders of WebP, PNG and AVIF return composed frames.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import GifImagePlugin, Image

from imgcache.processor import gif
from imgcache.processor.header import OpenedImage

# Frames of at most 10 ms are shown for 100 ms, as in Chromium and Firefox.
_TOO_SHORT, _DEFAULT = 10, 100
_BACKGROUND, _PREVIOUS = 2, frozenset({3, 4})  # disposal (GIF89a, section 23); 4 means 3 in browsers
FOREVER = 0
_MAX_LOOPS = 65_535  # the limit of WebP (RFC 9649, section 2.7.1.1)


class Frame(NamedTuple):
    """One frame and its duration. `image` is the whole canvas, and is valid until the next frame is read."""

    image: Image.Image
    milliseconds: int


def frames(opened: OpenedImage) -> Iterator[Frame]:
    """Yields all frames, one in memory at a time, inside a `decoder_errors` block."""
    return _gif_frames(opened) if opened.header.format == "gif" else _decoder_frames(opened)


def loop_count(opened: OpenedImage) -> int:
    """Returns how often the animation is shown, as WebP counts; 0 is forever.

    A GIF has the number of repetitions, and without it is shown once, as in gif2webp and Chromium. PNG and WebP have
    the number of loops. An AVIF has an edit list, and without one is shown forever, as in Chromium.
    """
    loops = opened.image.info.get("loop")
    match opened.header.format:
        case "gif":
            count = 1 if loops is None else loops + 1 if loops else FOREVER
        case "avif":
            count = _avif_loop_count(opened.body)
        case _:
            count = loops or FOREVER
    return min(int(count), _MAX_LOOPS)


def _duration_ms(milliseconds: float) -> int:
    return round(milliseconds) if milliseconds > _TOO_SHORT else _DEFAULT


def _decoder_frames(opened: OpenedImage) -> Iterator[Frame]:
    image = opened.image
    aside = getattr(image, "default_image", False)  # of an APNG: not part of the animation
    for number in range(1 if aside else 0, int(getattr(image, "n_frames", 1))):
        image.seek(number)
        image.load()
        yield Frame(image, _duration_ms(image.info.get("duration", 0)))


def _gif_frames(opened: OpenedImage) -> Iterator[Frame]:
    canvas = Image.new("RGBA", opened.image.size)
    for part in gif.parts(opened.body):
        before = canvas.copy() if part.disposal in _PREVIOUS else None
        if part.width and part.height:
            with GifImagePlugin.GifImageFile(io.BytesIO(part.alone)) as drawn:
                patch = drawn.convert("RGBA")
            canvas.paste(patch, (part.left, part.top), patch)
        yield Frame(canvas, _duration_ms(10 * part.delay))
        if before is not None:
            canvas = before
        elif part.disposal == _BACKGROUND:
            canvas.paste((0, 0, 0, 0), (part.left, part.top, part.left + part.width, part.top + part.height))


def _avif_loop_count(body: bytes) -> int:
    """Reads the edit list of the first track (ISO/IEC 14496-12, section 8.6.6), as libavif does."""
    try:
        track = _box(body, (0, len(body)), b"moov", b"trak")
        header, edits = _box(body, track, b"tkhd"), _box(body, track, b"edts", b"elst")
        if not body[edits[0] + 3] & 1:  # its only flag: the list is repeated
            return 1
        whole = _duration(body, header[0], header[0] + (28 if body[header[0]] else 20))
        once = _duration(body, edits[0], edits[0] + 8)
    except (LookupError, struct.error):
        return FOREVER
    return FOREVER if whole is None or not once else -(-whole // once)


def _duration(body: bytes, version_at: int, at: int) -> int | None:
    """Returns a duration in time units of the file, None for an endless one."""
    form, endless = (">Q", (1 << 64) - 1) if body[version_at] else (">I", (1 << 32) - 1)
    value: int = struct.unpack_from(form, body, at)[0]
    return None if value == endless else value


def _box(body: bytes, within: tuple[int, int], *path: bytes) -> tuple[int, int]:
    """Returns start and end of the content of a box. Raises LookupError if there is none."""
    at, end = within
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", body, at)
        start = at + (16 if size == 1 else 8)
        size = struct.unpack_from(">Q", body, at + 8)[0] if size == 1 else size or end - at
        if size < start - at:
            break
        if kind == path[0]:
            found = start, min(at + size, end)
            return _box(body, found, *path[1:]) if path[1:] else found
        at += size
    raise LookupError(path[0])
