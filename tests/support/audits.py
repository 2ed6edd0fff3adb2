"""What the tests of `imgcache audit` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conftest import Ended

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.png"
PLAIN = "http://pictures.example/b.png"

Audit = Callable[..., Ended]
Found = dict[str, Any]


def by_rule(ended: Ended) -> dict[str, Found]:
    """The findings, of which there is one of each rule."""
    found = {finding["rule"]: finding for finding in ended.json()["findings"]}
    assert len(found) == len(ended.json()["findings"])
    return found


def only(ended: Ended) -> Found:
    """The finding, of which there is one."""
    [found] = ended.json()["findings"]
    return dict(found)


def lines(found: Found) -> list[tuple[str, int]]:
    return [(place["article"], place["line"]) for place in found["references"]]
