"""Decodes character references of HTML of any length (HTML standard, sections 13.2.5.72 to .80). Pure.

`html.unescape` is not used: it fails for a number of more than 4,300 digits, and it drops noncharacters, which a
browser keeps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#(?:([0-9]++)|[xX]([0-9a-fA-F]++));?|([A-Za-z0-9]++)(;?))")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAX_DIGITS = 7  # of 0x10FFFF in decimal; in hexadecimal it has six
_MAX_CODE_POINT = 0x10FFFF


def unescape(raw: str) -> tuple[str, Sequence[int]]:
    """Decode the character references of an attribute's value.

    A named reference without `;` that is followed by `=`, a letter or a digit stays as it is (section 13.2.5.73), so
    that `?a=1&copy=2` has no copyright sign.

    Args:
        raw: the value in the file.

    Returns:
        The value, and the index in `raw` of each of its characters and of its end.
    """
    if "&" not in raw:
        return raw, range(len(raw) + 1)
    pieces: list[str] = []
    places: list[int] = []
    position = 0
    for reference in _REFERENCE.finditer(raw):
        decoded = _decoded(raw, reference)
        if decoded is None:
            continue
        pieces += [raw[position : reference.start()], decoded]
        places += [*range(position, reference.start()), *([reference.start()] * len(decoded))]
        position = reference.end()
    pieces.append(raw[position:])
    places += range(position, len(raw) + 1)
    return "".join(pieces), places


def _decoded(raw: str, reference: re.Match[str]) -> str | None:
    """Return the character of a reference; None if it is not decoded."""
    decimal, hexadecimal, name, end = reference.groups()
    if decimal:
        return _character(decimal, 10)
    if hexadecimal:
        return _character(hexadecimal, 16)
    if not end and raw.startswith("=", reference.end()):
        return None
    return html5.get(f"{name}{end}")


def _character(digits: str, base: int) -> str:
    """Return the character of a number (section 13.2.5.80): U+FFFD for a number that is no character."""
    digits = digits.lstrip("0")
    if not digits or len(digits) > _MAX_DIGITS:
        return _REPLACEMENT
    number = int(digits, base)
    if number > _MAX_CODE_POINT or 0xD800 <= number <= 0xDFFF:
        return _REPLACEMENT
    if 0x80 <= number <= 0x9F:  # five of these are not in cp1252 and stay
        return bytes([number]).decode("cp1252", "ignore") or chr(number)
    return chr(number)
