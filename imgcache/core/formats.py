"""What a body is, by its first bytes alone: names and Content-Type never count.

Sources: the signatures of WHATWG MIME Sniffing, section 6.1, and of each format's own specification. Limit: a signature
says which decoder to ask, not that the body is whole.
"""

from __future__ import annotations

import re
import struct
import zlib

from imgcache.core.errors import NotAnImage, UnsupportedFormat

SNIFF_BYTES = 4096  # bytes worth giving to `sniff`: the prolog of an SVG, or the brands of a long ftyp box
MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "ico": "image/vnd.microsoft.icon",
    "jp2": "image/jp2",
}
EXTENSIONS = {"jpeg": "jpg", "png": "png", "webp": "webp", "avif": "avif"}

_DECODED = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
)
_REFUSED = (
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"8BPS", "psd"),
    (b"%!PS", "eps"),
    (b"\xc5\xd0\xd3\xc6", "eps"),
    (b"gimp xcf", "xcf"),
    (b"qoif", "qoi"),
    (b"DDS |", "dds"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"AT&TFORM", "djvu"),
    (b"icns", "icns"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
)
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})  # the sizes a DIB header may have
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_SVG_PROLOG = re.compile(
    rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s+(?!svg)[^\[>]*(?:\[.*?\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
_SVG_ROOT = re.compile(rb"<(?:[\w.-]+:)?svg[\s/>]|<!DOCTYPE\s+svg\b", re.IGNORECASE)


def sniff(head: bytes) -> str:
    """The format of a body, one of the keys of `MEDIA_TYPES`.

    `head` is its beginning: at least 64 bytes where there are as many, better `HEAD`; an animated PNG is "png".

    Raises:
        UnsupportedFormat: an image of a kind that is not decoded (SVG, HEIC, JPEG XL, PSD, EPS, CUR, …).
        NotAnImage: anything else, and an empty body.
    """
    if not head:
        raise NotAnImage("the body is empty")
    found = _decoded(head)
    if found is not None:
        return found
    refused = _refused(head)
    if refused is not None:
        raise UnsupportedFormat(f"the bytes are {refused.upper()}, which imgcache does not decode")
    raise NotAnImage(f"the bytes are {_guess(head)}, no image")


def _decoded(head: bytes) -> str | None:
    for magic, name in _DECODED:
        if head.startswith(magic):
            return None if head[8:10] == b"CR" and name == "tiff" else name  # Canon's raw files begin as TIFF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if brands(head) & {b"avif", b"avis"}:
        return "avif"
    if head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS:
        return "bmp"
    return "ico" if _is_icon(head, 1) else None


def _refused(head: bytes) -> str | None:
    for magic, name in _REFUSED:
        if head.startswith(magic):
            return name
    if head.startswith((b"II*\0", b"MM\0*")):
        return "raw"
    if brands(head) & _HEIC_BRANDS:
        return "heic"
    if _is_icon(head, 2):
        return "cur"
    if head.startswith(b"\x1f\x8b"):
        return "svgz" if _is_svg(_gunzip(head)) else None
    return "svg" if _is_svg(head) else None


def brands(head: bytes) -> frozenset[bytes]:
    """Major and compatible brands of an ISO base media file (ISO/IEC 14496-12, section 4.3); empty if it is none."""
    if len(head) < 16 or head[4:8] != b"ftyp":
        return frozenset()
    end = min(struct.unpack_from(">I", head)[0], len(head))
    return frozenset({head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))})


def _is_icon(head: bytes, kind: int) -> bool:
    if len(head) < 22:
        return False
    reserved, what, count = struct.unpack_from("<HHH", head)
    return bool(reserved == 0 and what == kind and count > 0)


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf")[:SNIFF_BYTES]
    prolog = _SVG_PROLOG.match(text)
    return _SVG_ROOT.match(text, prolog.end() if prolog else 0) is not None


def _gunzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, SNIFF_BYTES)
    except zlib.error:
        return b""


def _guess(head: bytes) -> str:
    """A word for what a person would see on opening the body."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:32].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if start.startswith((b"pk\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf")):
        return "an archive"
    if head[4:8] == b"ftyp":
        return "a video"
    if start.startswith(b"%pdf"):
        return "a PDF"
    if start.startswith((b"{", b"[")):
        return "JSON"
    return "binary data" if re.search(rb"[\0-\x08\x0e-\x1a\x7f]", head[:512]) else "text"
