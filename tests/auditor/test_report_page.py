"""The HTML report in a real browser, opened from disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from imgcache.auditor.reports import render
from imgcache.core import AuditReport
from tests.support.browsing import Open, axe_violations, lent, watched
from tests.support.sample_audit import AUDIT, HARM, WELL, context


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of an audit. Any request, dialog or error in the browser fails the test."""
    file = tmp_path / "audit.html"

    with watched(browser, lambda url: url == file.as_uri() or url.startswith("data:")) as watch:

        def go(audit: AuditReport = AUDIT, **options: Any) -> Page:
            root = tmp_path / "harbour-news"
            root.mkdir(exist_ok=True)
            file.write_text(render("html", audit, context(root)), encoding="utf-8")
            page = watch.page(**options)
            page.goto(file.as_uri())
            return page

        yield go


def rules(page: Page) -> list[str]:
    """Returns the rules of the visible findings, after the timers of the page have run (a reset uses one)."""
    page.evaluate("new Promise(done => setTimeout(done, 50))")
    shown: list[str] = page.evaluate(
        "[...document.querySelectorAll('.card')].filter(c => c.checkVisibility()).map(c => c.dataset.rule)"
    )
    return shown


def choose(page: Page, name: str, value: str) -> None:
    """Selects a value of a filter."""
    page.get_by_role("combobox", name=name, exact=True).select_option(value)


def column(page: Page, number: int) -> list[str]:
    """Returns one column of the host table."""
    return page.locator(f"table >> nth=0 >> tbody tr > :nth-child({number})").all_inner_texts()


def test_filters_narrow_the_findings(open_page: Open) -> None:
    page = open_page()
    everything = rules(page)
    assert len(everything) == 11
    choose(page, "Severity", "warning")
    assert rules(page) == ["redirected", "not-secure"]
    expect(page.get_by_role("status")).to_have_text("2 of 11 findings")
    choose(page, "Age", "old")
    assert rules(page) == ["not-secure"]
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("status")).to_have_text("11 findings")
    assert rules(page) == everything
    choose(page, "Host", "img.river-post.example")
    assert rules(page) == ["dimensions", "redirected", "scaled"]
    choose(page, "Host", "own")
    assert rules(page) == ["missing-file"]
    choose(page, "Host", "")
    choose(page, "State", "dead")
    assert rules(page) == ["http-status"]
    choose(page, "Rule", "scaled")
    assert rules(page) == []
    expect(page.get_by_text("No finding matches.")).to_be_visible()


def test_the_search_finds_urls_articles_and_messages(open_page: Open) -> None:
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("möwen DECLARED")
    assert rules(page) == ["dimensions"]
    page.keyboard.press("Escape")
    assert len(rules(page)) == 11
    page.keyboard.type("2026-01-40-DAY.md:7")
    assert rules(page) == ["http-status"]
    assert page.evaluate("document.activeElement.name") == "text"


def test_filters_can_be_used_by_keyboard_alone(open_page: Open) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the findings"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "severity"
    page.keyboard.press("n")  # note
    assert rules(page) == ["scaled"]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_hosts_are_sorted_by_any_column(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Images").click()
    assert column(page, 2) == ["1,100", "40", "2"]
    expect(page.get_by_role("columnheader", name="Images")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Images").press("Enter")
    assert column(page, 2) == ["2", "40", "1,100"]
    page.get_by_role("button", name="Answered").click()
    assert column(page, 3) == ["100 %", "97 %", "0 %"]
    expect(page.get_by_role("columnheader", name="Images")).not_to_have_attribute("aria-sort", re.compile("."))
    page.get_by_role("button", name="Host", exact=True).click()
    assert column(page, 1) == ["cdn.skywatch.example", "img.river-post.example", "old-host.example"]


def test_forty_places_are_one_finding_that_expands(open_page: Open) -> None:
    page = open_page()
    first = page.locator(".card").first
    expect(first).to_contain_text("40 places in 40 articles")
    expect(first.get_by_text("2026-01-40-day.md:7:10")).to_be_hidden()
    first.get_by_text("38 more").click()
    expect(first.get_by_text("2026-01-40-day.md:7:10")).to_be_visible()


def test_everything_is_shown_without_scripts(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.locator(".card")).to_have_count(11)
    expect(page.locator(".card").last).to_be_visible()
    expect(page.locator("#filters")).to_be_hidden()
    page.get_by_text("38 more").click()
    expect(page.get_by_text("2026-01-40-day.md:7:10")).to_be_visible()


def test_thumbnails_load_and_the_chart_labels_its_days(open_page: Open) -> None:
    page = open_page()
    widths = page.evaluate("[...document.querySelectorAll('.card img')].map(i => i.naturalWidth)")
    assert widths == [12, 1]
    told = page.evaluate("[...document.querySelectorAll('.chart title')].map(t => t.textContent)")
    assert told[2] == "2026-01-09: 9 of 1,150 failing"
    box = page.locator(".chart svg").bounding_box()
    assert box
    assert box["width"] > 1000
    page.mouse.move(box["x"] + box["width"] * 8 / 31, box["y"] + 10)
    assert page.evaluate("document.querySelector('.chart g:hover title').textContent") == told[2]


def test_hostile_text_stays_text(open_page: Open) -> None:
    page = open_page()
    expect(page.locator(".card[data-rule=bad-scheme] .url")).to_have_text(f"javascript:alert(3)//{HARM}")
    assert page.locator(".card[data-rule=bad-scheme] a, .card[data-rule=bad-url] a").count() == 0
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.scripts.length") == 1


def test_the_policy_blocks_an_injected_script(browser: Browser, tmp_path: Path) -> None:
    """If escaping failed, the content security policy would still block the script."""
    text = render("html", AUDIT, context(tmp_path))
    (tmp_path / "bad.html").write_text(text.replace("<main>", "<main><script>document.title = 'mine'</script>"))
    with lent(browser) as page:
        page.goto((tmp_path / "bad.html").as_uri())
        assert "harbour" not in page.title()
        assert page.title() != "mine"


def test_axe_finds_nothing_in_light_or_dark(open_page: Open) -> None:
    page = open_page(color_scheme="light")
    assert axe_violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert axe_violations(page, "color-contrast") == []


def test_the_page_fits_the_width_of_a_phone(open_page: Open) -> None:
    page = open_page(width=320, height=700, has_touch=True, is_mobile=True)
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [320, 320]


def test_a_site_without_problems_gets_a_page_that_says_so(open_page: Open) -> None:
    page = open_page(WELL)
    expect(page.locator(".verdict")).to_have_text("no problems found")
    expect(page.get_by_text("No problems found.")).to_be_visible()
    expect(page.get_by_role("heading", level=2)).to_have_text(["Findings"])
