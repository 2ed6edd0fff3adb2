"""The table of image formats, and the format of a body by its first bytes.

Everything that depends on a format follows from `FORMATS`: sniffing, media types, file names, which decoder opens a
file, what variants may be, what the server and exported pages offer to browsers, and what nginx serves.

To add a format touch at most four files:

1. `core/formats.py`: its row in `FORMATS`; where variants may have it, also a member of `VariantFormat`.
2. `downloader/headers/`: a function that reads the size from its header (a new module, or `fixed.py`, `isobmff.py`).
3. `downloader/headers/__init__.py`: that function by the format's name.
4. `processor/encoder.py`, only if variants may have it: how it is written, and the typical score of each quality.

Names and Content-Type never count for the format of a body. Sources of the signatures: WHATWG MIME Sniffing, section
6.1, and the specification of each format. Limit: a signature chooses the decoder; it does not say that the body is
complete.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from imgcache.core.errors import NotAnImage, UnsupportedFormat

SNIFF_BYTES = 4096  # bytes worth giving to `sniff`: enough for the prolog of an SVG or the brands of a long ftyp box

_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})  # the sizes that a DIB header may have
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_SVG_PROLOG = re.compile(
    rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s+(?!svg)[^\[>]*(?:\[.*?\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
_SVG_ROOT = re.compile(rb"<(?:[\w.-]+:)?svg[\s/>]|<!DOCTYPE\s+svg\b", re.IGNORECASE)

Signature = Callable[[bytes], bool]


class Browsers(StrEnum):
    """Which browsers and other readers of pages show a format."""

    ALL = "all"
    MODERN = "modern"  # a page needs a second format beside it
    NONE = "none"


class VariantFormat(StrEnum):
    """What the `format` of a recipe may be: `auto`, `best`, or a format with an encoder."""

    AUTO = "auto"  # PNG for images with transparency, else JPEG
    BEST = "best"  # the smallest file of the wanted quality, whatever its format
    WEBP = "webp"
    AVIF = "avif"
    JPEG = "jpeg"
    PNG = "png"


class ImageFormat(NamedTuple):
    """One format that imgcache decodes.

    Attributes:
        media_type: as in Content-Type.
        extensions: of file names; the first is the one that new files get.
        matches: whether a body begins as this format does. At most one format matches.
        plugin: the module of Pillow that decodes it.
        decoder: the name under which Pillow opens it.
        encoder: the name under which Pillow saves it; empty where variants never have it.
        longest_side: the most pixels that its encoder takes for width or height.
        browsers: who shows it. Of what browsers show, nothing can run scripts.
        preference: pages and the server offer a format with a higher one first, where a browser takes both.
        transparency: whether pixels can be transparent.
        motion: whether further pictures in a file are the frames of an animation. In other formats (pages of a TIFF,
            the gain map of a JPEG) only the first picture is decoded.
    """

    media_type: str
    extensions: tuple[str, ...]
    matches: Signature
    plugin: str
    decoder: str
    encoder: str = ""
    longest_side: int = 1 << 31
    browsers: Browsers = Browsers.NONE
    preference: int = 0
    transparency: bool = True
    motion: bool = False


def brands(head: bytes) -> frozenset[bytes]:
    """Major and compatible brands of an ISO base media file (ISO/IEC 14496-12, section 4.3); empty if it is none."""
    if len(head) < 16 or head[4:8] != b"ftyp":
        return frozenset()
    end = min(struct.unpack_from(">I", head)[0], len(head))
    return frozenset({head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))})


def _prefix(*prefixes: bytes) -> Signature:
    return lambda head: head.startswith(prefixes)


def _brand(*names: bytes) -> Signature:
    return lambda head: not brands(head).isdisjoint(names)


def _icon(kind: int) -> Signature:
    def matches(head: bytes) -> bool:
        if len(head) < 22:
            return False
        reserved, found, count = struct.unpack_from("<HHH", head)
        return bool(reserved == 0 and found == kind and count > 0)

    return matches


def _is_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _is_bmp(head: bytes) -> bool:
    return head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS


def _is_tiff(head: bytes) -> bool:
    """Whether it is TIFF or BigTIFF. Canon's raw files begin as TIFF, with `CR` at byte 8."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and head[8:10] != b"CR"


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf")[:SNIFF_BYTES]
    prolog = _SVG_PROLOG.match(text)
    return _SVG_ROOT.match(text, prolog.end() if prolog else 0) is not None


def _is_svgz(head: bytes) -> bool:
    if not head.startswith(b"\x1f\x8b"):
        return False
    try:
        return _is_svg(zlib.decompressobj(wbits=31).decompress(head, SNIFF_BYTES))
    except zlib.error:
        return False


# Longest sides: libjpeg's JPEG_MAX_DIMENSION; VP8's 14 bits (RFC 6386, section 9.1); libavif's default limit.
FORMATS: Mapping[str, ImageFormat] = {
    "jpeg": ImageFormat(
        *("image/jpeg", ("jpg", "jpeg"), _prefix(b"\xff\xd8\xff"), "JpegImagePlugin", "JPEG", "JPEG", 65_500),
        browsers=Browsers.ALL,
        preference=3,
        transparency=False,
    ),
    "png": ImageFormat(
        *("image/png", ("png",), _prefix(b"\x89PNG\r\n\x1a\n"), "PngImagePlugin", "PNG", "PNG"),
        browsers=Browsers.ALL,
        preference=2,
        motion=True,
    ),
    "gif": ImageFormat(
        *("image/gif", ("gif",), _prefix(b"GIF87a", b"GIF89a"), "GifImagePlugin", "GIF"),
        browsers=Browsers.ALL,
        preference=1,
        motion=True,
    ),
    "webp": ImageFormat(
        *("image/webp", ("webp",), _is_webp, "WebPImagePlugin", "WEBP", "WEBP", 16_383),
        browsers=Browsers.MODERN,
        preference=4,
        motion=True,
    ),
    "avif": ImageFormat(
        *("image/avif", ("avif",), _brand(b"avif", b"avis"), "AvifImagePlugin", "AVIF", "AVIF", 32_768),
        browsers=Browsers.MODERN,
        preference=5,
        motion=True,
    ),
    "bmp": ImageFormat("image/bmp", ("bmp",), _is_bmp, "BmpImagePlugin", "BMP", transparency=False),
    "tiff": ImageFormat("image/tiff", ("tif", "tiff"), _is_tiff, "TiffImagePlugin", "TIFF"),
    "ico": ImageFormat("image/vnd.microsoft.icon", ("ico",), _icon(1), "IcoImagePlugin", "ICO"),
    "jp2": ImageFormat(
        *("image/jp2", ("jp2",), _prefix(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
        *("Jpeg2KImagePlugin", "JPEG2000"),
    ),
}

# Formats that are recognized to be named in the message, and are not decoded.
_REFUSED: Mapping[str, Signature] = {
    "jxl": _prefix(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "psd": _prefix(b"8BPS"),
    "eps": _prefix(b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "xcf": _prefix(b"gimp xcf"),
    "qoi": _prefix(b"qoif"),
    "dds": _prefix(b"DDS |"),
    "exr": _prefix(b"\x76\x2f\x31\x01"),
    "hdr": _prefix(b"#?RADIANCE"),
    "djvu": _prefix(b"AT&TFORM"),
    "icns": _prefix(b"icns"),
    "wmf": _prefix(b"\xd7\xcd\xc6\x9a"),
    "raw": _prefix(b"II*\0", b"MM\0*"),
    "heic": _brand(*_HEIC_BRANDS),
    "cur": _icon(2),
    "svgz": _is_svgz,
    "svg": _is_svg,
}


def _by_preference(*kinds: Browsers) -> tuple[str, ...]:
    names = (name for name, one in FORMATS.items() if one.browsers in kinds)
    return tuple(sorted(names, key=lambda name: -FORMATS[name].preference))


MEDIA_TYPES: Mapping[str, str] = {name: one.media_type for name, one in FORMATS.items()}
EXTENSIONS: Mapping[str, str] = {name: one.extensions[0] for name, one in FORMATS.items()}
VARIANT_FORMATS = frozenset(name for name, one in FORMATS.items() if one.encoder)
# What browsers show, the preferred first; of that what only modern ones show, and what all of them show.
BROWSER_FORMATS = _by_preference(Browsers.ALL, Browsers.MODERN)
MODERN_FORMATS = _by_preference(Browsers.MODERN)
UNIVERSAL_FORMATS = _by_preference(Browsers.ALL)
BROWSER_MEDIA_TYPES = frozenset(MEDIA_TYPES[name] for name in BROWSER_FORMATS)
OPAQUE_MEDIA_TYPES = frozenset(one.media_type for one in FORMATS.values() if not one.transparency)


def sniff(head: bytes) -> str:
    """Returns the format of a body, one of the keys of `FORMATS`.

    Args:
        head: the beginning of the body: `SNIFF_BYTES` of it, or all where it has fewer.

    Raises:
        UnsupportedFormat: an image of a kind that is not decoded (SVG, HEIC, JPEG XL, PSD, EPS, CUR, …).
        NotAnImage: anything else, or an empty body.
    """
    if not head:
        raise NotAnImage("the body is empty")
    for name, one in FORMATS.items():
        if one.matches(head):
            return name
    for name, matches in _REFUSED.items():
        if matches(head):
            raise UnsupportedFormat(f"the bytes are {name.upper()}, which imgcache does not decode")
    raise NotAnImage(f"the bytes are {_describe(head)}, no image")


def _describe(head: bytes) -> str:
    """Returns a word for what a person would see on opening the body."""
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
