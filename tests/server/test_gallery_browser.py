"""The gallery in a real browser, served by the real endpoint over a cache that a real sync made."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from examples.origin import Origin, answers_for, in_thread
from tests.conftest import ROOT
from tests.support.browsing import Open, axe_violations, watched

HOSTILE = """---
title: "<script>alert(1)</script>"
images:
  - url: "javascript:alert(2)//x.jpg"
  - url: 'https://photos.example.org/"><img src=x onerror=alert(3)>.jpg'
---
"""


def imgcache(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "imgcache", *map(str, args)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the endpoint serves examples/site, and a malicious article, after a sync."""
    site = tmp_path_factory.mktemp("gallery") / "harbour-news"
    shutil.copytree(ROOT / "examples/site", site, ignore=shutil.ignore_patterns("cache"))
    (site / "_news/<img src=x onerror=alert(4)>.md").write_text(HOSTILE)
    settings = site / "imgcache.yml"
    settings.write_text(
        re.sub(r"format: webp[^}]*", "format: webp, effort: 0", settings.read_text())
    )  # not tested here
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGCACHE_")}
    with in_thread(Origin(answers_for(site))) as origin:
        given = environment | {"SSL_CERT_FILE": str(origin.ca_file), "IMGCACHE_FETCH__RETRIES": "0"}
        ended = subprocess.run(imgcache("sync", site, *origin.connect_to), env=given, cwd=ROOT, check=False)
    assert ended.returncode == 1
    serve = imgcache("serve", site, "--port", "0")
    with subprocess.Popen(serve, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = server.stderr.readline()
        found = re.search(r"http://\S+", said)
        assert found, said
        yield found[0]
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """Opens a page of the gallery. Errors on the console and dialogs fail the test."""
    with watched(browser, lambda url: url.startswith(address)) as watch:

        def go(path: str = "/", **options: Any) -> Page:
            page = watch.page(base_url=address, **options)
            page.goto(path)
            return page

        yield go


def cards(page: Page) -> list[str]:
    return page.locator(".card .name").all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("(document.activeElement.querySelector('.name') ?? document.activeElement).textContent"))


def test_every_thumbnail_loads_on_its_colour_at_its_size(visit: Open) -> None:
    page = visit()
    pictures = page.locator(".frame img")
    held = int(page.get_by_role("link", name=re.compile("^Held")).locator("span").inner_text())
    expect(pictures).to_have_count(held)
    page.evaluate("""async () => {
      for (const image of document.querySelectorAll('.frame img')) { image.scrollIntoView(); await image.decode(); }
    }""")  # images load when they come into view; `decode` waits for that and throws on failure
    page.wait_for_function("[...document.querySelectorAll('.frame img')].every(i => i.complete && i.naturalWidth)")
    sizes = page.evaluate(
        "[...document.querySelectorAll('.frame img')].map(i => [i.width > 0, i.naturalWidth == i.getAttribute('width'),"
        " i.naturalHeight == i.getAttribute('height')])"
    )
    assert sizes == [[True, True, True]] * held
    colours = page.evaluate("[...document.querySelectorAll('.frame:not(.empty)')].map(f => [f.className.slice(-6),"
                            " getComputedStyle(f).backgroundColor])")  # fmt: skip
    assert all(
        shown == f"rgb({int(name[:2], 16)}, {int(name[2:4], 16)}, {int(name[4:], 16)})" for name, shown in colours
    )
    assert len(colours) == held


def test_it_works_without_script(visit: Open) -> None:
    page = visit(java_script_enabled=False)
    page.get_by_role("searchbox").fill("city-bees")
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url("**/?q=city-bees*")
    assert "roof-hives.jpg" in cards(page)
    page.get_by_role("combobox", name="Order").select_option("Largest first")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**sort=largest**")
    page.get_by_role("link", name=re.compile("^roof-hives")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("roof-hives.jpg")
    page.get_by_role("link", name=re.compile("The Daily Example")).click()
    assert page.url.endswith("/?q=city-bees&sort=largest")


def test_it_searches_while_a_person_types(visit: Open) -> None:
    page = visit()
    page.evaluate("window.stayed = true")
    page.keyboard.press("/")
    page.keyboard.type("skywatch")
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^\d+ images of \d+$"))
    assert all("skywatch" in host for host in page.locator(".card .host").all_inner_texts())
    page.wait_for_url(re.compile(r"\?q=skywatch$"))
    assert page.evaluate("window.stayed")
    shown = page.locator(".frame:not(.empty)").first.evaluate("f => getComputedStyle(f).backgroundColor")
    assert shown != "rgba(0, 0, 0, 0)"  # the colours of the new page were loaded
    page.get_by_role("combobox", name="Order").select_option("By address")
    expect(page).to_have_url(re.compile(r"q=skywatch&sort=url$"))
    expect(page.locator(".card .name").first).to_have_text("ultraviolet.avif")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/\?sort=url$"))
    assert page.evaluate("window.stayed")


def test_filters_lead_to_problems_and_their_places(visit: Open) -> None:
    page = visit()
    page.get_by_role("navigation", name="Filters").get_by_role("link", name=re.compile("^Failing")).click()
    expect(page.get_by_role("link", name=re.compile("^Failing"))).to_have_attribute("aria-current", "true")
    assert "mirror.png" in cards(page)
    assert page.locator(".frame img").count() == 0
    page.get_by_role("link", name=re.compile(r"^Error response \d+$")).click()
    page.get_by_role("link", name=re.compile("mirror.png")).click()
    expect(page.locator(".wrong")).to_contain_text("410 Gone")
    expect(page.locator(".uses")).to_contain_text("_news/2026-02-05-old-observatory.md:10:10")
    expect(page.locator("main")).to_contain_text("Not held")


def test_an_image_shows_its_versions_and_a_wrong_size_in_its_article(visit: Open) -> None:
    page = visit("/?q=bridge-tall")
    page.get_by_role("link", name=re.compile("bridge-tall")).click()
    expect(page.get_by_role("row")).to_have_count(5)
    expect(page.locator(".uses")).to_contain_text("declared 800×600, the image is 600×800")
    page.wait_for_function("document.querySelector('.picture img').naturalWidth")
    ratio = page.locator(".picture img").evaluate("i => i.width / i.height")
    assert ratio == pytest.approx(0.75, abs=0.01)
    link = page.get_by_role("link", name="w320").get_attribute("href")
    assert page.request.get(str(link)).headers["content-type"] == "image/webp"


def test_the_page_of_an_image_leads_to_its_neighbours_and_says_first_what_is_wrong(visit: Open) -> None:
    page = visit("/?sort=url&q=photos.example.org")
    assert page.locator("h1").inner_text() == "The Daily Example"
    assert "The last lighthouse keepers" in page.locator(".card .in").all_inner_texts()
    order = cards(page)
    page.locator(".card").first.click()
    expect(page.get_by_role("link", name="← Previous")).to_have_count(0)
    for name in order[1:3]:
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.get_by_role("link", name="← Previous").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(order[1])
    page = visit("/?q=bridge-tall")
    page.locator(".card").first.click()
    top, picture = page.locator(".top").bounding_box(), page.locator(".picture").first.bounding_box()
    assert top is not None
    assert picture is not None
    assert top["y"] < picture["y"]
    expect(page.locator(".top")).to_contain_text("Another size")
    expect(page.locator(".top")).to_contain_text("dimensions")


def test_original_and_version_are_compared_with_a_slider(visit: Open) -> None:
    page = visit("/?q=bridge-tall")
    page.locator(".card").first.click()
    page.get_by_text("Compare the original").click()
    slider = page.get_by_role("slider")
    over = page.locator(".over")
    page.wait_for_function("[...document.querySelectorAll('.both img')].every(i => i.naturalWidth)")
    assert over.evaluate("i => getComputedStyle(i).clipPath") == "inset(0px 50% 0px 0px)"
    slider.focus()
    page.keyboard.press("Home")
    assert over.evaluate("i => getComputedStyle(i).clipPath") == "inset(0px 100% 0px 0px)"
    boxes = [one.bounding_box() for one in page.locator(".both img").all()]
    assert boxes[0] == boxes[1]


def test_address_markdown_and_picture_can_be_copied(visit: Open) -> None:
    page = visit("/?q=bridge-tall")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".card").first.click()
    url = "https://img.river-post.example/2026/02/bridge-tall.jpg"
    for name, text in (("address", url), ("Markdown", f"![]({url})")):
        page.get_by_role("button", name=f"Copy {name}").click()
        assert page.evaluate("navigator.clipboard.readText()") == text
    page.get_by_role("button", name="Copy <picture>").click()
    markup = page.evaluate("navigator.clipboard.readText()")
    found = re.findall(r"/assets/[^ \"]+", markup)
    assert len(found) >= 3
    assert {page.request.get(path).status for path in found} == {200}
    place = page.get_by_role("link", name="open in VS Code").get_attribute("href")
    assert re.fullmatch(r"vscode://file/\S+/harbour-news/_news/2026-02-02-bridge-reopens\.md:8:10", str(place))


def test_the_gallery_is_light(visit: Open) -> None:
    """Without pictures it stays under 100 KB, not compressed."""
    page = visit()
    page.wait_for_load_state("networkidle")
    sizes: dict[str, int] = page.evaluate(
        "Object.fromEntries(['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))"
        ".map(one => [one.name, one.decodedBodySize]))"
    )
    texts = {name: size for name, size in sizes.items() if "/assets/" not in name}
    assert {Path(urlsplit(name).path).suffix for name in texts} >= {"", ".css", ".js"}
    assert 10_000 < sum(texts.values()) < 100_000


def test_every_page_can_be_reached_by_keyboard(visit: Open) -> None:
    page = visit("/?sort=url")
    names = cards(page)
    columns = page.evaluate("getComputedStyle(document.getElementById('grid')).gridTemplateColumns.split(' ').length")
    assert columns > 2
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    assert focused(page) == names[0]
    steps = {"ArrowRight": 1, "ArrowDown": 1 + columns, "ArrowLeft": columns, "ArrowUp": 0, "End": len(names) - 1}
    for key, place in steps.items():
        page.keyboard.press(key)
        assert (key, focused(page)) == (key, names[place])
    page.keyboard.press("Home")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(names[1])
    page.wait_for_load_state()  # the heading appears before the script that handles keys
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/\?sort=url$"))
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the images"


@pytest.mark.parametrize(("scheme", "is_dark"), [("dark", True), ("light", False)])
def test_it_follows_the_preferred_colour_scheme(visit: Open, scheme: str, is_dark: bool) -> None:
    page = visit(color_scheme=scheme)
    page_colour, ink = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    light = [sum(map(int, re.findall(r"\d+", colour))) for colour in (page_colour, ink)]
    assert (light[0] < light[1]) is is_dark


def each_page(page: Page) -> Iterator[str]:
    """Takes a page at "/" through every kind of page, and yields their names."""
    images = [page.locator(".card", has_text=name).first.get_attribute("href") for name in ("bridge-night", "mirror")]
    yield "/"
    for path in ("/?state=failing", "/?q=nothing-like-that", *images):
        assert path
        page.goto(path)
        yield path


def test_nothing_overflows_on_a_phone(visit: Open) -> None:
    page = visit(width=360, height=780, has_touch=True, is_mobile=True)
    for name in each_page(page):
        for width in (320, 360):
            page.set_viewport_size({"width": width, "height": 780})
            reach = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert (name, reach) == (name, [width, width])
        low = page.evaluate(
            "[...document.querySelectorAll('a, button, select, input:not([type=hidden])')]"
            ".filter(n => n.checkVisibility() && !n.matches('.skip') && n.offsetHeight < 20).map(n => n.textContent)"
        )
        assert (name, low) == (name, [])


def test_axe_finds_no_violation_in_light_or_dark(visit: Open) -> None:
    page = visit(color_scheme="light")
    for name in each_page(page):
        page.emulate_media(color_scheme="light")
        assert (name, axe_violations(page)) == (name, [])
        page.emulate_media(color_scheme="dark")
        assert (name, "dark", axe_violations(page, "color-contrast")) == (name, "dark", [])


def test_a_malicious_article_is_escaped(visit: Open) -> None:
    page = visit("/?q=onerror%3Dalert(4)")
    assert sorted(cards(page)) == ['"><img src=x onerror=alert(3)>.jpg', "x.jpg"]
    page.get_by_role("link", name=re.compile(r"^Not a web address x.jpg")).click()
    expect(page.locator(".url")).to_have_text("javascript:alert(2)//x.jpg")
    assert page.locator(".url a").count() == 0
    expect(page.locator(".uses")).to_contain_text("_news/<img src=x onerror=alert(4)>.md:4:10")
    time.sleep(0.1)  # for scripts that would run a moment later
