"""Reads the size in files made of boxes: AVIF (ISO/IEC 14496-12, 23008-12), JPEG 2000 (ISO/IEC 15444-1). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgcache.core import Undecodable
from imgcache.downloader.headers.partial_file import PartialFile


class Box(NamedTuple):
    """One box: its type, and where its content begins and ends; `end` is None for the end of the file."""

    kind: bytes
    begin: int
    end: int | None

    def inside(self, skip: int = 0) -> tuple[int, int | None]:
        """Return where the inner boxes begin, after `skip` bytes, and where they end."""
        return self.begin + skip, self.end


def avif(file: PartialFile) -> tuple[int, int]:
    """Return width and height as displayed: `ispe` of the primary item, rotated by its `irot`.

    `imir` does not change the size; `clap` is ignored, as by Pillow; EXIF has no effect in AVIF. A grid has its own
    `ispe`.
    """
    meta = _find(file, 0, None, b"meta")
    file.read(meta.begin, _length(meta))
    primary = _find(file, *meta.inside(4), b"pitm")
    wide = file.integer(primary.begin, 1) > 0
    item = file.integer(primary.begin + 4, 4 if wide else 2)
    properties = _find(file, *meta.inside(4), b"iprp")
    container = _find(file, *properties.inside(), b"ipco")
    all_properties = list(_boxes(file, *container.inside()))
    size, is_rotated = None, False
    for number in _associated(file, _find(file, *properties.inside(), b"ipma"), item):
        if not 1 <= number <= len(all_properties):
            continue
        box = all_properties[number - 1]
        if box.kind == b"ispe":
            size = file.integer(box.begin + 4, 4), file.integer(box.begin + 8, 4)
        elif box.kind == b"irot":
            is_rotated = bool(file.integer(box.begin, 1) & 1)
    if size is None:
        raise Undecodable("the AVIF does not contain its size")
    return size[::-1] if is_rotated else size


def _associated(file: PartialFile, box: Box, item: int) -> list[int]:
    """Return the numbers, from 1, of the properties of an item (ItemPropertyAssociationBox)."""
    version, wide = file.integer(box.begin, 1), file.integer(box.begin + 3, 1) & 1
    at, found = box.begin + 8, []
    for _ in range(file.integer(box.begin + 4, 4)):
        _check_end(at, box)
        width = 2 if version < 1 else 4
        is_it, count = file.integer(at, width) == item, file.integer(at + width, 1)
        at += width + 1
        if is_it:
            step, mask = (2, 0x7FFF) if wide else (1, 0x7F)
            found += [file.integer(at + step * number, step) & mask for number in range(count)]
        at += count * (2 if wide else 1)
    return found


def jp2(file: PartialFile) -> tuple[int, int]:
    """Return width and height: of `ihdr` in a JP2 file, of the SIZ marker (annex A.5.1) in a bare codestream."""
    if file.read(0, 4) == b"\xff\x4f\xff\x51":
        right, bottom, left, top = (file.integer(8 + 4 * place, 4) for place in range(4))
        return right - left, bottom - top
    header = _find(file, *_find(file, 0, None, b"jp2h").inside(), b"ihdr")
    return file.integer(header.begin + 4, 4), file.integer(header.begin, 4)


def _find(file: PartialFile, begin: int, end: int | None, kind: bytes) -> Box:
    for box in _boxes(file, begin, end):
        if box.kind == kind:
            return box
    raise Undecodable(f"the file's header has no {kind.decode()} box")


def _boxes(file: PartialFile, begin: int, end: int | None) -> Iterator[Box]:
    limit = end if end is not None else file.total
    while limit is None or begin + 8 <= limit:
        size, kind, header = file.integer(begin, 4), file.read(begin + 4, 4), 8
        if size == 1:
            size, header = file.integer(begin + 8, 8), 16
        if size == 0:  # it extends to the end of its container
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
