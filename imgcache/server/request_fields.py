"""What a request says in its fields, as far as an answer depends on it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Self

import msgspec

_WIDTH = re.compile(r"\s*([1-9][0-9]{0,4})\s*")
_RATIO = re.compile(r"\s*([0-9]{1,2}(?:\.[0-9]{1,3})?)\s*")  # RFC 9651, section 3.3.2
_RATIOS = (0.1, 8.0)
# Characters of a field that is read. A browser's Accept has some 100. What is longer counts as absent, which RFC 9110
# allows for both (sections 12.1 and 14.2), and the client still gets its image; 431 would give it nothing.
LONGEST = 1024
_BOUNDED = frozenset({"accept", "range", "sec_ch_width", "sec_ch_dpr"})
# Fields with which a request is more than a question for the whole of something.
_NOT_PLAIN = frozenset(
    b"content-length transfer-encoding expect upgrade range if-range if-match if-none-match if-modified-since"
    b" if-unmodified-since".split()
)


class RequestFields(msgspec.Struct, gc=False):
    """The fields, in text; None where absent. Several lines of one field are one, with commas (RFC 9110, 5.2).

    Attributes:
        method: in capitals.
        is_plain: it is a GET without a condition, a range, a body or an upgrade.
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
        """From the method and the headers as ASGI gives them, with names in lower case."""
        is_plain = method == "GET"
        lines: dict[str, list[bytes]] = {}
        for name, value in headers:
            key = _FIELDS.get(name)
            if key is not None:
                lines.setdefault(key, []).append(value)
            if name in _NOT_PLAIN:
                is_plain = False
        asked = cls(method, is_plain)
        for key, values in lines.items():
            text = b", ".join(values).decode("latin-1")
            if len(text) <= LONGEST or key not in _BOUNDED:
                setattr(asked, key, text)
        return asked

    @property
    def is_get(self) -> bool:
        """Whether the body is wanted, or a part of it: HEAD has no ranges (RFC 9110, section 14.2)."""
        return self.method == "GET"

    @property
    def has_one_host(self) -> bool:
        """Whether there is a Host field, and only one, as a request of HTTP/1.1 has to have (RFC 9112, section 3.2)."""
        return self.host is not None and "," not in self.host

    @property
    def is_conditional(self) -> bool:
        """Whether anything but the whole could be the answer."""
        return not (self.if_none_match is None and self.range is None and self.if_match is None)

    def width(self, named: int | None) -> int | None:
        """The pixels that are wanted, by the client hints.

        Without a width in the query Sec-CH-Width says it, in pixels of the device; a width in the query is one of the
        page, and Sec-CH-DPR times as many pixels are wanted.
        """
        if named is None:
            found = _WIDTH.fullmatch(self.sec_ch_width or "")
            return int(found[1]) if found else None
        found = _RATIO.fullmatch(self.sec_ch_dpr or "")
        low, high = _RATIOS
        return round(named * min(high, max(low, float(found[1])))) if found else named


_FIELDS = {name.replace("_", "-").encode(): name for name in RequestFields.__struct_fields__[2:]}
