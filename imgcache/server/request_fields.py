"""The header fields of a request on which a response depends. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Self

import msgspec

_WIDTH = re.compile(r"\s*([1-9][0-9]{0,4})\s*")
_RATIO = re.compile(r"\s*([0-9]{1,2}(?:\.[0-9]{1,3})?)\s*")  # RFC 9651, section 3.3.2
_RATIOS = (0.1, 8.0)
# Characters of a field that is parsed. A browser's Accept has some 100. A longer field counts as absent, which RFC 9110
# allows for both Accept and Range (sections 12.1 and 14.2): the client gets its image, where 431 would give it nothing.
MAX_FIELD = 1024
_BOUNDED = frozenset({"accept", "range", "sec_ch_width", "sec_ch_dpr"})
# A request with one of these needs more than the whole file in a 200 response.
_NOT_PLAIN = frozenset(
    b"content-length transfer-encoding expect upgrade range if-range if-match if-none-match if-modified-since"
    b" if-unmodified-since".split()
)


class RequestFields(msgspec.Struct, gc=False):
    """The values as text, None where absent. Repeated fields are joined with commas (RFC 9110, section 5.2).

    Attributes:
        method: in capitals.
        is_plain: a GET without conditions, range, body or upgrade.
    """

    method: str
    is_plain: bool = False
    host: str | None = None
    accept: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_range: str | None = None
    range: str | None = None
    sec_ch_width: str | None = None
    sec_ch_dpr: str | None = None

    @classmethod
    def of(cls, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Self:
        """Builds it from the method and the headers of an ASGI scope, whose names are in lower case."""
        pairs = headers if isinstance(headers, list) else list(headers)
        lines = dict(pairs)
        if len(lines) < len(pairs):
            lines = _joined(pairs)
        fields = cls(method, method == "GET" and _NOT_PLAIN.isdisjoint(lines))
        for name in _FIELDS.keys() & lines.keys():
            key, value = _FIELDS[name], lines[name]
            if len(value) <= MAX_FIELD or key not in _BOUNDED:
                setattr(fields, key, value.decode("latin-1"))
        return fields

    @property
    def is_get(self) -> bool:
        """Whether a body or a part of it is requested: HEAD has no ranges (RFC 9110, section 14.2)."""
        return self.method == "GET"

    @property
    def has_one_host(self) -> bool:
        """Whether there is exactly one Host field, as HTTP/1.1 requires (RFC 9112, section 3.2)."""
        return self.host is not None and "," not in self.host

    @property
    def is_conditional(self) -> bool:
        """Whether the response could be anything but the whole file."""
        return not (self.if_none_match is None and self.range is None and self.if_match is None)

    def width(self, requested: int | None) -> int | None:
        """Returns the width in device pixels, from the query and the client hints.

        Args:
            requested: `w` of the query in CSS pixels, which Sec-CH-DPR multiplies; None: Sec-CH-Width counts.
        """
        if requested is None:
            found = _WIDTH.fullmatch(self.sec_ch_width or "")
            return int(found[1]) if found else None
        found = _RATIO.fullmatch(self.sec_ch_dpr or "")
        low, high = _RATIOS
        return round(requested * min(high, max(low, float(found[1])))) if found else requested


_FIELDS = {name.replace("_", "-").encode(): name for name in RequestFields.__struct_fields__[2:]}


def _joined(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    lines: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        lines.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in lines.items()}
