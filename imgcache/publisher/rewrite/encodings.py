"""Decodes a file so far that all its markup is ASCII, and encodes it again. Pure.

Markup consists of ASCII characters. In nearly every encoding of the Web an ASCII byte outside a character of several
bytes is that character, so that a file is searched and edited as it is, byte by byte. Where the second byte of a
character can be an ASCII one, such as the backslash in Shift_JIS, the search goes through a copy in which no character
has such a byte. UTF-16 and ISO-2022-JP are converted to UTF-8 and back, if that gives the same bytes.
"""

from __future__ import annotations

import re

import msgspec
import webencodings

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"))
_SECOND_BYTES = re.compile(rb"[\x81-\xfe](?:[0-9][\x81-\xfe][0-9]|[@-~\x80-\xfe])")
_MASKS = {
    "cp932": re.compile(rb"[\x81-\x9f\xe0-\xfc][@-~\x80-\xfc]"),
    "gbk": _SECOND_BYTES,
    "gb18030": _SECOND_BYTES,
    "big5hkscs": _SECOND_BYTES,
    "cp949": _SECOND_BYTES,
}
_CONVERTED = frozenset({"utf-16-le", "utf-16-be", "iso2022_jp"})
_PRESCAN = 1024  # bytes in which a declaration counts (HTML, section 13.2.3.2)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(
    rb"""<meta[\s/][^>]*?charset\s*=\s*["']?\s*([^\s"'/>;]+)""",
    re.IGNORECASE,
)
_XML = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
_CSS = re.compile(rb'@charset "([^"]{1,100})";')  # CSS Syntax Level 3, section 3.2


class Undecodable(ValueError):
    """The bytes are not of the encoding that the file declares."""


class Bytes(msgspec.Struct, frozen=True):
    """A file's bytes in which markup is ASCII.

    `data` is what is searched and edited, without the byte order mark `bom`; text in it is of `encoding`. `original` is
    the codec to which it has to be converted back, if any.
    """

    data: bytes
    encoding: str
    bom: bytes = b""
    original: str | None = None

    def back(self, data: bytes) -> bytes:
        """Returns edited `data` in the encoding of the file."""
        return self.bom + (_converted(data, self.original) if self.original else data)

    def text(self, start: int, end: int) -> str:
        """Returns the characters from one position to another."""
        return self.data[start:end].decode(self.encoding, "replace")

    def latin(self) -> str:
        """Returns one character for each byte, for parsers that take text: positions in it are positions in `data`.

        Its ASCII characters are those of the file; the others only say that some other character stands there.
        """
        mask = _MASKS.get(self.encoding)
        data = mask.sub(lambda found: b"\x80" * len(found[0]), self.data) if mask else self.data
        return data.decode("latin-1")

    def origin(self, position: int) -> int:
        """Returns where a position of `data` is in the file, in bytes."""
        if self.original is None:
            return position + len(self.bom)
        return len(self.bom) + len(_converted(self.data[:position], self.original))


def read_html(data: bytes) -> Bytes:
    """Reads HTML: byte order mark, then `<meta>`, then an XML declaration, then UTF-8 if valid, else windows-1252."""
    head = _COMMENT.sub(b"", data[:_PRESCAN])
    found = _META.search(head) or _XML.match(head)
    return _read(data, found[1] if found else b"", fallback="windows-1252", only_ascii=True)


def read_xml(data: bytes) -> Bytes:
    """Reads XML: byte order mark, then the declaration, then UTF-8 (XML 1.0, appendix F)."""
    if data[:4] in (b"<\0?\0", b"\0<\0?"):
        return _read(data, b"utf-16le" if data[:1] == b"<" else b"utf-16be")
    found = _XML.match(data[:_PRESCAN])
    return _read(data, found[1] if found else b"", only_ascii=True)


def read_css(data: bytes) -> Bytes:
    """Reads CSS: byte order mark, then `@charset`, then UTF-8."""
    found = _CSS.match(data)
    return _read(data, found[1] if found else b"", fallback="windows-1252", only_ascii=True)


def read_json(data: bytes) -> Bytes:
    """Reads JSON, which is UTF-8 (RFC 8259, section 8.1)."""
    return _read(data, b"utf-8")


def _read(data: bytes, label: bytes, *, fallback: str | None = None, only_ascii: bool = False) -> Bytes:
    for bom, codec in _BOMS:
        if data.startswith(bom):
            return _decoded(data[len(bom) :], codec, bom)
    codec = _codec(label)
    if codec and only_ascii and codec.startswith("utf-16"):
        codec = "utf-8"  # a declaration that can be read as ASCII is not in UTF-16
    if codec:
        return _decoded(data, codec)
    try:
        return _decoded(data, "utf-8")
    except Undecodable:
        if fallback is None:
            raise
        return _decoded(data, "cp1252")


def _codec(label: bytes) -> str:
    """Returns Python's name for a label of the Encoding Standard; "" if there is none."""
    found = webencodings.lookup(label.decode("latin-1"))
    name = str(found.codec_info.name).lower() if found else ""
    return name if name not in ("replacement", "x-user-defined") else ""


def _decoded(data: bytes, codec: str, bom: bytes = b"") -> Bytes:
    if codec == "cp1252":
        return Bytes(data, codec, bom)  # every byte is a character there (Encoding Standard, section 9)
    try:
        text = data.decode(codec)
        if codec not in _CONVERTED:
            return Bytes(data, codec, bom)
        converted = text.encode()
        if _converted(converted, codec) != data:
            raise Undecodable(f"the text is not the shortest form of {codec}: it cannot be written back unchanged")
    except UnicodeError as error:
        where = f" at byte {len(bom) + error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise Undecodable(f"the bytes are not {codec}, which the file declares or implies{where}") from None
    return Bytes(converted, "utf-8", bom, codec)


def _converted(data: bytes, codec: str | None) -> bytes:
    return data.decode("utf-8").encode(codec or "utf-8")
