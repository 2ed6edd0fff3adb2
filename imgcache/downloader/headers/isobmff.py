"""The size in files made of boxes: AVIF (ISO/IEC 14496-12, 23008-12) and JPEG 2000 (ISO/IEC 15444-1). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgcache.core import Undecodable
from imgcache.downloader.headers.partial_file import Pieces


class Box(NamedTuple):
    """One box: its four letters, and where its content begins and ends; `end` is None for one up to the file's end."""

    kind: bytes
    begin: int
    end: int | None

    def inside(self, skip: int = 0) -> tuple[int, int | None]:
        """Where the boxes inside begin, after `skip` bytes, and where they end."""
        return self.begin + skip, self.end


def avif(pieces: Pieces) -> tuple[int, int]:
    """Width and height as displayed: `ispe` of the primary item, turned by its `irot`.

    `imir` changes no size; `clap` is left out, as Pillow leaves it out; EXIF does not count here. A grid has an `ispe`
    of its own.
    """
    meta = _find(pieces, 0, None, b"meta")
    pieces.take(meta.begin, _length(meta))
    primary = _find(pieces, *meta.inside(4), b"pitm")
    wide = pieces.number(primary.begin, 1) > 0
    item = pieces.number(primary.begin + 4, 4 if wide else 2)
    properties = _find(pieces, *meta.inside(4), b"iprp")
    container = _find(pieces, *properties.inside(), b"ipco")
    all_of_them = list(_boxes(pieces, *container.inside()))
    size, turned = None, False
    for number in _associated(pieces, _find(pieces, *properties.inside(), b"ipma"), item):
        if not 1 <= number <= len(all_of_them):
            continue
        box = all_of_them[number - 1]
        if box.kind == b"ispe":
            size = pieces.number(box.begin + 4, 4), pieces.number(box.begin + 8, 4)
        elif box.kind == b"irot":
            turned = bool(pieces.number(box.begin, 1) & 1)
    if size is None:
        raise Undecodable("the AVIF does not say how large its picture is")
    return size[::-1] if turned else size


def _associated(pieces: Pieces, box: Box, item: int) -> list[int]:
    """The numbers of an item's properties, from 1 (ItemPropertyAssociationBox)."""
    version, wide = pieces.number(box.begin, 1), pieces.number(box.begin + 3, 1) & 1
    at, found = box.begin + 8, []
    for _ in range(pieces.number(box.begin + 4, 4)):
        _check_end(at, box)
        width = 2 if version < 1 else 4
        is_it, count = pieces.number(at, width) == item, pieces.number(at + width, 1)
        at += width + 1
        if is_it:
            step, mask = (2, 0x7FFF) if wide else (1, 0x7F)
            found += [pieces.number(at + step * number, step) & mask for number in range(count)]
        at += count * (2 if wide else 1)
    return found


def jp2(pieces: Pieces) -> tuple[int, int]:
    """Width and height: of `ihdr` in a JP2 file, of the SIZ marker (annex A.5.1) in a bare codestream."""
    if pieces.take(0, 4) == b"\xff\x4f\xff\x51":
        right, bottom, left, top = (pieces.number(8 + 4 * place, 4) for place in range(4))
        return right - left, bottom - top
    header = _find(pieces, *_find(pieces, 0, None, b"jp2h").inside(), b"ihdr")
    return pieces.number(header.begin + 4, 4), pieces.number(header.begin, 4)


def _find(pieces: Pieces, begin: int, end: int | None, kind: bytes) -> Box:
    for box in _boxes(pieces, begin, end):
        if box.kind == kind:
            return box
    raise Undecodable(f"there is no {kind.decode()} box in the file's header")


def _boxes(pieces: Pieces, begin: int, end: int | None) -> Iterator[Box]:
    limit = end if end is not None else pieces.total
    while limit is None or begin + 8 <= limit:
        size, kind, header = pieces.number(begin, 4), pieces.take(begin + 4, 4), 8
        if size == 1:
            size, header = pieces.number(begin + 8, 8), 16
        if size == 0:  # up to the end of what it is in
            yield Box(kind, begin + header, limit)
            return
        if size < header or (limit is not None and begin + size > limit):
            raise Undecodable("a box of the file's header has a wrong length")
        yield Box(kind, begin + header, begin + size)
        begin += size


def _length(box: Box) -> int:
    return 4 if box.end is None else box.end - box.begin


def _check_end(at: int, box: Box) -> None:
    if box.end is not None and at >= box.end:
        raise Undecodable("a box of the file's header is shorter than what it lists")
