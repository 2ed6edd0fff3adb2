"""The HTML report as a file: its content, thumbnails and chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.auditor.reports import render, thumbnails
from imgcache.auditor.reports.chart import chart
from imgcache.core import DayLine
from tests.support.report_readers import Page
from tests.support.sample_audit import (
    AUDIT,
    DOME,
    HARM,
    HELD,
    HELD_BARELY,
    context,
)

# html


def test_the_page_makes_no_request_and_contains_no_foreign_script(tmp_path: Path) -> None:
    page = Page(render("html", AUDIT, context(tmp_path)))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert all(source.startswith("data:image/") for source in page.values("src"))
    assert not [name for _, fields in page.tags for name in fields if name.startswith("on") or name == "style"]
    links = page.values("href")
    assert DOME in links
    assert all(link.startswith(("https://", "http://", "data:,", "#")) for link in links)
    assert not any("***" in link or "hunter2" in link for link in links)
    assert any(HARM in text for text in page.texts)
    policy = next(value for value in page.values("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_the_page_shows_thumbnails_of_cached_images_within_limits(tmp_path: Path) -> None:
    where = context(tmp_path)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/thumb.png").write_bytes(b"not ours to show")
    shown = thumbnails.thumbnails(where.cache, [HELD, None, HELD_BARELY, HELD, "../secret", "c" * 64])
    assert list(shown) == [HELD_BARELY, HELD]
    assert shown[HELD].startswith("data:image/png;base64,iVBOR")
    assert shown[HELD_BARELY].startswith("data:image/gif;base64,R0lGOD")
    assert thumbnails.thumbnails(where.cache, [HELD], max_bytes=10)[HELD].startswith("data:image/gif")
    folder = where.cache / "assets" / HELD[:2] / HELD
    (folder / "thumb.png").write_bytes(b"x" * 20_001)
    (folder / "w320.webp").write_bytes(b"small")
    assert thumbnails.thumbnails(where.cache, [HELD])[HELD] == "data:image/webp;base64,c21hbGw="
    (where.cache / "manifest.json").write_text("{")
    assert thumbnails.thumbnails(where.cache, [HELD_BARELY]) == {}


def test_the_page_has_a_limited_number_of_thumbnails(tmp_path: Path) -> None:
    digests = [f"{number:064x}" for number in range(thumbnails.MAX_THUMBNAILS + 1)]
    for digest in digests:
        folder = tmp_path / "assets" / digest[:2] / digest
        folder.mkdir(parents=True)
        (folder / "thumb.jpg").write_bytes(b"p")
    assert len(thumbnails.thumbnails(tmp_path, digests)) == thumbnails.MAX_THUMBNAILS


@given(st.lists(st.tuples(st.dates(), st.integers(0, 10**7)), max_size=20, unique_by=lambda day: day[0]))
def test_a_chart_stays_in_its_box_and_needs_two_days(days: list[tuple[Any, int]]) -> None:
    made = chart(tuple(DayLine(day.isoformat(), 10**7, failing) for day, failing in days))
    assert (made is None) is (len(days) < 2)
    if made is not None:
        points = [(float(day.x), float(day.y)) for day in made.days]
        assert points == sorted(points, key=lambda point: point[0])
        assert (points[0][0], points[-1][0]) == (0, 1000)
        assert all(0 <= y <= 100 for _, y in points)
        assert sum(float(day.width) for day in made.days) == pytest.approx(1000, abs=len(days) / 10)
        highest = max(failing for _, failing in days)
        assert min(y for _, y in points) <= 60 or highest < 2
        assert int(made.ticks[0].replace(",", "")) == 2 * int(made.ticks[1].replace(",", ""))


def test_a_chart_skips_invalid_dates() -> None:
    assert chart((DayLine("2026-01-01", 1, 1), DayLine(f"2026{HARM}", 1, 1))) is None
