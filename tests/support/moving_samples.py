"""Animations to be made anew: drawn, or put together block by block where no writer makes what browsers meet."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from tests.support.pictures import photo

RED, BLUE = (255, 0, 0), (0, 0, 255)


def strip_of(count: int = 6, size: tuple[int, int] = (120, 80)) -> list[Image.Image]:
    """A photograph over which a white square moves to the right."""
    frames = []
    for number in range(count):
        frame = photo(size)
        left = number * (size[0] - 20) // max(1, count - 1)
        ImageDraw.Draw(frame).rectangle((left, 30, left + 19, 49), "white")
        frames.append(frame)
    return frames


def animation(frames: Sequence[Image.Image], form: str, **options: object) -> bytes:
    """As Pillow writes it. GIF: NETSCAPE's number is written for `loop`."""
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=list(frames[1:]), **options)
    return out.getvalue()


class Part(NamedTuple):
    """One frame of a GIF: an area in one colour, 0 red or 1 blue; `delay` in hundredths of a second."""

    box: tuple[int, int, int, int]  # left, top, width, height
    colour: int
    disposal: int = 1
    delay: int = 10
    transparent: bool = False  # the colour is not seen


def gif(size: tuple[int, int], *parts: Part, loop: bytes = b"") -> bytes:
    """A GIF of two colours, neither of which is transparent, and background colour red."""
    blocks = [b"GIF89a", struct.pack("<HHBBB", *size, 0x80, 0, 0), bytes(RED), bytes(BLUE), loop]
    for part in parts:
        (left, top, width, height), flags = part.box, part.disposal << 2 | part.transparent
        blocks.append(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, flags, part.delay, part.colour, 0))
        blocks.append(struct.pack("<BHHHHB", 0x2C, left, top, width, height, 0))
        blocks.append(_plain(width * height, part.colour))
    return b"".join((*blocks, b";"))


def _plain(pixels: int, colour: int) -> bytes:
    """LZW codes of 3 bits, each pixel its own, with a clear code before the table grows (GIF89a, appendix F)."""
    codes = [code for at in range(pixels) for code in ((4, colour) if at % 2 == 0 else (colour,))] + [5]
    bits = "".join(f"{code:03b}" for code in reversed(codes))
    data = int(bits, 2).to_bytes(-(-len(bits) // 8), "little")
    chunks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"\x02" + b"".join(bytes([len(chunk)]) + chunk for chunk in chunks) + b"\0"


def repeated(times: int) -> bytes:
    """The block with the number of repetitions of a GIF; 0 means endless."""
    return b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", times) + b"\0"


class Shot(NamedTuple):
    """What is seen from a moment on, in milliseconds, until `end`."""

    start: int
    end: int
    image: Image.Image


def shots(body: bytes) -> Iterator[Shot]:
    """An animation as Pillow shows it, in RGBA."""
    start = 0
    with Image.open(io.BytesIO(body)) as image:
        for number in range(int(getattr(image, "n_frames", 1))):
            image.seek(number)
            image.load()
            end = start + round(image.info.get("duration", 0))
            yield Shot(start, end, image.convert("RGBA"))
            start = end


def at(film: Sequence[Shot], moment: int) -> Image.Image:
    """What is seen at a moment."""
    return next(shot.image for shot in film if shot.start <= moment < shot.end)
