"""Removes metadata from image files without changing the encoded pixels.

Only what decoders need is kept: camera data with GPS, comments, thumbnails, editing history, further pictures and bytes
after the end are removed. ICC profiles are removed too, because callers strip only sRGB files.
"""

from __future__ import annotations

import struct
import zlib

from imgcache.processor.header import OpenedImage

# PNG, third edition, section 5.6: pixels, palette, transparency, and the chunks that say how to read the numbers.
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}
)
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"  # version 1.1, square pixels, no thumbnail
_VP8X_PRIVATE = 0x20 | 0x08 | 0x04  # ICC, EXIF, XMP (RFC 9649, section 2.7)


def original_without_metadata(opened: OpenedImage) -> bytes | None:
    """Returns the file without metadata, or None where that is impossible.

    The metadata of AVIF is referenced by its boxes, so only an AVIF without metadata is returned.
    """
    if opened.header.format == "avif":
        return None if {"exif", "xmp"} & opened.image.info.keys() else opened.body
    return strip(opened.body, opened.header.format)


def strip(body: bytes, form: str) -> bytes | None:
    """Returns a file without metadata; None if the format is not supported or the structure of the file is unusual."""
    try:
        match form:
            case "jpeg":
                return _jpeg(body)
            case "png":
                return _png(body)
            case "webp":
                return _webp(body)
    except (IndexError, ValueError, struct.error):
        return None
    return None


def _jpeg(body: bytes) -> bytes:
    """Keeps the segments of ITU-T T.81, annex B; bytes between and after them do not belong to the picture."""
    kept, at = [body[:2]], 2
    while True:
        at = body.index(b"\xff", at)
        marker = body[at + 1]
        if marker in {0x00, 0xFF} or 0xD0 <= marker <= 0xD8:  # fill bytes and stray markers
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            return b"".join((*kept, b"\xff\xd9"))
        end = at + 2 + int.from_bytes(body[at + 2 : at + 4])
        if marker == 0xDA:
            end = _scan_end(body, end)
        if marker == 0xE0 and body[at + 4 : at + 8] == b"JFIF":
            kept.append(_JFIF)
        elif not 0xE0 <= marker <= 0xEF and marker != 0xFE:
            kept.append(body[at:end])
        elif marker == 0xEE and body[at + 4 : at + 9] == b"Adobe":  # distinguishes CMYK from YCCK, and RGB from YCbCr
            kept.append(b"\xff\xee\x00\x0e" + body[at + 4 : at + 16])
        at = end


def _scan_end(body: bytes, at: int) -> int:
    """Returns the end of the entropy-coded data: the first marker that is neither stuffing nor a restart."""
    while True:
        at = body.index(b"\xff", at)
        if body[at + 1] == 0 or 0xD0 <= body[at + 1] <= 0xD7:
            at += 2
        elif body[at + 1] == 0xFF:
            at += 1
        else:
            return at


def _png(body: bytes) -> bytes:
    kept, at = [body[:8]], 8
    while True:
        length, kind = struct.unpack_from(">I4s", body, at)
        chunk = body[at : at + 12 + length]
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise ValueError("the checksum of a chunk is wrong")
        if kind in _PNG_KEPT:
            kept.append(chunk)
        if kind == b"IEND":
            return b"".join(kept)
        at += len(chunk)


def _webp(body: bytes) -> bytes:
    inner = b"WEBP" + _webp_chunks(body, 12, min(8 + struct.unpack_from("<I", body, 4)[0], len(body)))
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def _webp_chunks(body: bytes, at: int, end: int) -> bytes:
    """Returns the kept chunks from `at` to `end`. A frame contains chunks after 16 bytes (RFC 9649, 2.7.1.1)."""
    kept = []
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", body, at)
        chunk = body[at : at + 8 + length + length % 2]
        if kind == b"VP8X":
            kept.append(chunk[:8] + bytes([chunk[8] & ~_VP8X_PRIVATE]) + chunk[9:])
        elif kind == b"ANMF":
            frame = chunk[8:24] + _webp_chunks(chunk, 24, 8 + length)
            kept.append(struct.pack("<4sI", kind, len(frame)) + frame)
        elif kind in {b"ANIM", b"ALPH", b"VP8 ", b"VP8L"}:
            kept.append(chunk)
        at += len(chunk)
    return b"".join(kept)
