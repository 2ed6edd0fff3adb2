"""Quantities with units: parsing and formatting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imgcache.core import format_bytes, format_seconds, parse_bytes, parse_pixels, parse_seconds


@given(st.text())
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parse in (parse_bytes, parse_pixels, parse_seconds):
        try:
            assert parse(text) >= 0
        except ValueError:
            continue


@given(st.integers(0, 10**12))
def test_a_number_without_a_unit_is_bytes(number: int) -> None:
    assert parse_bytes(number) == parse_bytes(str(number)) == number


def test_quantities_are_formatted_for_people() -> None:
    assert [format_bytes(n) for n in (0, 999, 1500, 2_500_000)] == ["0 B", "999 B", "1.5 kB", "2.5 MB"]
    assert [format_seconds(s) for s in (0.44, 12, 200, 7500, 300_000)] == [
        "0.4 s",
        "12 s",
        "3 min 20 s",
        "2 h 5 min",
        "3 d",
    ]
