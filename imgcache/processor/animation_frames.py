"""The frames of an animation one after the other, whole and as browsers show them; and how often it plays.

GIFs are composed here: Pillow fills what disposal clears, and what no frame covers, with the background colour, where
browsers leave it transparent. WebP, PNG and AVIF come composed from their decoders.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import GifImagePlugin, Image

from imgcache.processor import gif
from imgcache.processor.header import Opened

# What asks for no more than 10 ms is shown for 100 ms: Chromium's and Firefox's answer to GIFs that ask for nothing.
_HASTY, _USUAL = 10, 100
_BACKGROUND, _PREVIOUS = 2, frozenset({3, 4})  # disposal (GIF89a, section 23); 4 is taken for 3, as browsers do
FOREVER = 0
_MOST_PLAYS = 65_535  # what WebP can say (RFC 9649, section 2.7.1.1)


class Frame(NamedTuple):
    """What is seen for a while. `image` is the whole canvas; it is good until the next frame is asked for."""

    image: Image.Image
    milliseconds: int


def frames(opened: Opened) -> Iterator[Frame]:
    """Every frame in order, one in memory at a time; use it inside `contained`, which names what it may raise."""
    return _gif_frames(opened) if opened.header.format == "gif" else _decoder_frames(opened)


def plays(opened: Opened) -> int:
    """How often the animation is shown, as WebP counts; 0 is for ever.

    A GIF says how often it is repeated, and without a word of it is shown once; so gif2webp and Chromium read it. PNG
    and WebP say how often it is shown; an AVIF has an edit list, and without one is shown for ever, as in Chromium.
    """
    said = opened.image.info.get("loop")
    match opened.header.format:
        case "gif":
            count = 1 if said is None else said + 1 if said else FOREVER
        case "avif":
            count = _avif_plays(opened.body)
        case _:
            count = said or FOREVER
    return min(int(count), _MOST_PLAYS)


def _shown_for(milliseconds: float) -> int:
    return round(milliseconds) if milliseconds > _HASTY else _USUAL


def _decoder_frames(opened: Opened) -> Iterator[Frame]:
    image = opened.image
    aside = getattr(image, "default_image", False)  # of an APNG: for those who see no animation, and no part of it
    for number in range(1 if aside else 0, int(getattr(image, "n_frames", 1))):
        image.seek(number)
        image.load()
        yield Frame(image, _shown_for(image.info.get("duration", 0)))


def _gif_frames(opened: Opened) -> Iterator[Frame]:
    canvas = Image.new("RGBA", opened.image.size)
    for part in gif.parts(opened.body):
        before = canvas.copy() if part.disposal in _PREVIOUS else None
        if part.width and part.height:
            with GifImagePlugin.GifImageFile(io.BytesIO(part.alone)) as drawn:
                patch = drawn.convert("RGBA")
            canvas.paste(patch, (part.left, part.top), patch)
        yield Frame(canvas, _shown_for(10 * part.delay))
        if before is not None:
            canvas = before
        elif part.disposal == _BACKGROUND:
            canvas.paste((0, 0, 0, 0), (part.left, part.top, part.left + part.width, part.top + part.height))


def _avif_plays(body: bytes) -> int:
    """From the first track's edit list (ISO/IEC 14496-12, section 8.6.6), read as libavif reads it."""
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
    """In the units of the film; None where it has no end."""
    form, endless = (">Q", (1 << 64) - 1) if body[version_at] else (">I", (1 << 32) - 1)
    value: int = struct.unpack_from(form, body, at)[0]
    return None if value == endless else value


def _box(body: bytes, within: tuple[int, int], *path: bytes) -> tuple[int, int]:
    """Where the content of a box begins and ends. Raises LookupError where there is none."""
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
