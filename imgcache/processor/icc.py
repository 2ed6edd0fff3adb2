"""Makes ICC profiles from the gAMA and cHRM chunks of PNG (third edition, section 11.3.2).

The profiles (ICC.1:2010, section 8.3: three-component matrix-based, and 8.4: monochrome) are then used like embedded
ones. As in browsers, cHRM counts only together with gAMA, and a gamma within 5 % of 1/2.2 is that of sRGB. Limit: cICP
and the primaries of AVIF outside of a profile are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from PIL import Image

_GAMMA_TOLERANCE = 0.05  # the threshold of libpng, which browsers use
_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green, blue: x and y each
_XY_TOLERANCE = 0.005  # in x and y: the same primaries, rounded
_GREY = frozenset({"1", "L", "LA", "I;16"})
_BROKEN = b"?"  # never a valid profile
_D50 = (0.9642, 1.0, 0.8249)  # the profile connection space, ICC.1:2010, section 7.2.16
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))  # the same, annex E

Matrix = Sequence[Sequence[float]]


def profile_of(image: Image.Image) -> bytes | None:
    """Returns the profile of an image, or of a copy of its frame: embedded, or made from the chunks of a PNG.

    None means sRGB.
    """
    embedded = image.info.get("icc_profile", b"")
    if embedded is None:  # Pillow found one in incomplete parts
        return _BROKEN
    if isinstance(embedded, bytes) and embedded:
        return embedded
    has_chunks = image.format in {"PNG", None}  # None: a frame of an animated PNG, copied
    return _profile_from_chunks(image) if has_chunks and "srgb" not in image.info else None


def _profile_from_chunks(image: Image.Image) -> bytes | None:
    gamma, chromaticity = image.info.get("gamma"), image.info.get("chromaticity")
    if not isinstance(gamma, float) or not 0.01 <= gamma <= 100:
        return None
    primaries = chromaticity if isinstance(chromaticity, tuple) and len(chromaticity) == 8 else _SRGB
    if all(abs(one - other) <= _XY_TOLERANCE for one, other in zip(primaries, _SRGB, strict=True)):
        if abs(gamma * 2.2 - 1) < _GAMMA_TOLERANCE:
            return None
        primaries = _SRGB
    try:
        return gray(1 / gamma) if image.mode in _GREY else matrix(1 / gamma, primaries)
    except (ArithmeticError, struct.error):  # impossible primaries
        return None


def gray(gamma: float) -> bytes:
    """Returns a monochrome profile: light is the `gamma`th power of the sample."""
    return _file(b"GRAY", {b"wtpt": _xyz(_D50), b"kTRC": _power(gamma)})


def matrix(gamma: float, primaries: Sequence[float]) -> bytes:
    """Returns a matrix profile: light is the `gamma`th power of the samples.

    Args:
        gamma: of all three channels.
        primaries: x and y of white, red, green and blue.

    Raises:
        ArithmeticError: the primaries are on one line, or a y is 0.
        struct.error: a primary is far outside of any colour.
    """
    white, *corners = map(_light, primaries[::2], primaries[1::2])
    columns = _transposed(corners)
    amounts = _times(_inverse(columns), white)
    adapted = _adaptation(white)
    tags = {b"wtpt": _xyz(_D50)}
    for name, corner, amount in zip((b"r", b"g", b"b"), corners, amounts, strict=True):
        tags[name + b"XYZ"] = _xyz(_times(adapted, [part * amount for part in corner]))
        tags[name + b"TRC"] = _power(gamma)
    return _file(b"RGB ", tags)


def _light(x: float, y: float) -> list[float]:
    return [x / y, 1.0, (1 - x - y) / y]


def _adaptation(white: Sequence[float]) -> Matrix:
    """Returns the Bradford transform from colours under `white` to D50."""
    ratios = [there / here for there, here in zip(_times(_BRADFORD, _D50), _times(_BRADFORD, white), strict=True)]
    scaled = [[ratio * value for value in row] for ratio, row in zip(ratios, _BRADFORD, strict=True)]
    return [_times(_transposed(scaled), row) for row in _inverse(_BRADFORD)]


def _times(rows: Matrix, column: Sequence[float]) -> list[float]:
    return [sum(one * other for one, other in zip(row, column, strict=True)) for row in rows]


def _transposed(rows: Matrix) -> list[list[float]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _inverse(rows: Matrix) -> list[list[float]]:
    """Inverts a 3 × 3 matrix by its adjugate."""

    def minor(row: int, column: int) -> float:
        (a, b), (c, d) = ([rows[(row + i) % 3][(column + j) % 3] for j in (1, 2)] for i in (1, 2))
        return a * d - b * c

    whole = sum(rows[0][column] * minor(0, column) for column in range(3))
    return [[minor(row, column) / whole for row in range(3)] for column in range(3)]


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65_536))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


def _power(gamma: float) -> bytes:
    return b"para" + bytes(8) + _fixed(gamma)  # function type 0: a power, ICC.1:2010, section 10.16


def _file(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Writes header, table and tags (ICC.1:2010, section 7) in version 4, whose colours are already under D50."""
    tags = {b"desc": _text("picture"), b"cprt": _text("none")} | tags
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", at + len(data), len(value))
        data += padded
    header = struct.pack(">III4s4s4s12s4s", at + len(data), 0, 0x04200000, b"mntr", space, b"XYZ ", bytes(12), b"acsp")
    header = header.ljust(64, b"\0") + bytes(4) + b"".join(map(_fixed, _D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _text(text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(coded), 28) + coded
