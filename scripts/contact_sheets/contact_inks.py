"""Four inks for the contact sheets: pictures made of them, and a profile small enough to lie in every source."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Sequence

from PIL import Image, ImageChops

_GRID = 6  # points a side of the profile's table
# Light that a full layer of cyan, magenta, yellow and black lets through, in red, green and blue: duller than any
# screen's, so that a profile that is left unread is seen at once.
_INKS = ((0.10, 0.42, 0.60), (0.55, 0.07, 0.22), (0.86, 0.70, 0.08), (0.03, 0.03, 0.03))
# From linear sRGB to XYZ as fractions of D50, white for white (IEC 61966-2-1, adapted by the Bradford transform).
_TO_WHITE = ((0.4522, 0.3994, 0.1484), (0.2225, 0.7169, 0.0606), (0.0169, 0.1177, 0.8654))


def separated(picture: Image.Image) -> Image.Image:
    """An RGB picture as amounts of the four inks; what three have in common goes to black."""
    bands = [ImageChops.invert(band) for band in picture.split()]
    black = functools.reduce(ImageChops.darker, bands)
    rest = ImageChops.invert(black).tobytes()
    amounts = []
    for band in bands:
        pairs = zip(band.tobytes(), black.tobytes(), rest, strict=True)
        data = bytes((ink - common) * 255 // left if left else 0 for ink, common, left in pairs)
        amounts.append(Image.frombytes("L", picture.size, data))
    return Image.merge("CMYK", (*amounts, black))


def profile() -> bytes:
    """From inks to CIELAB, by a `lut8Type` (ICC.1:2001-04, sections 6.1, 6.3.1.2 and 6.5.7)."""
    table = bytearray()
    for point in range(_GRID**4):  # the last ink varies fastest
        amounts = [point // _GRID**power % _GRID / (_GRID - 1) for power in (3, 2, 1, 0)]
        layers = [[ink[band] ** amount for ink, amount in zip(_INKS, amounts, strict=True)] for band in range(3)]
        table += _lab([math.prod(layer) for layer in layers])
    ramp, unity = bytes(range(256)), [65_536 * (number in {0, 4, 8}) for number in range(9)]
    lut = b"mft1" + bytes(4) + struct.pack(">4B9i", 4, 3, _GRID, 0, *unity) + ramp * 4 + bytes(table) + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63_190, 65_536, 54_061)  # D50
    words = b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78)
    return _file({b"desc": words, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": white, b"A2B0": lut, b"A2B1": lut})


def _lab(light: Sequence[float]) -> bytes:
    """Linear red, green and blue as three bytes of CIELAB."""
    shares = [sum(one * part for one, part in zip(row, light, strict=True)) for row in _TO_WHITE]
    x, y, z = (share ** (1 / 3) if share > 216 / 24_389 else (24_389 / 27 * share + 16) / 116 for share in shares)
    return bytes((round((116 * y - 16) * 2.55), round(500 * (x - y)) + 128, round(200 * (y - z)) + 128))


def _file(tags: dict[bytes, bytes]) -> bytes:
    """Header, table and tags of a version 2 output profile from CMYK."""
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    header = struct.pack(
        ">III4s4s4s12s4s", at + len(data), 0, 0x02400000, b"prtr", b"CMYK", b"Lab ", bytes(12), b"acsp"
    )
    header = header.ljust(64, b"\0") + struct.pack(">I3i", 1, 63_190, 65_536, 54_061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data
