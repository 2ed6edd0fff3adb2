"""What a reader's browser makes of a built folder that is published at its own address."""

from __future__ import annotations

import mimetypes
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from playwright.sync_api import Page, Route

from examples.origin.answers import Answers, content_of, normal
from tests.generators.pictures import PICTURES
from tests.generators.sites import SITE

STILL = 0.01  # the most cumulative layout shift of a page on which nothing moves
WIDTHS = (1280, 390)  # CSS pixels: a window on a desk, and a telephone
_ANSWERS = Answers(PICTURES)
WATCH = """
window.shift = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shift += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
"""
# VitePress' own scripts move the page when they take over: what is measured starts after that.
_TAKEN_OVER = "() => { const app = document.querySelector('#app'); return !app || '__vue_app__' in app; }"
# Images are still held back then, so it moves by itself alone: until nothing has moved for a while.
_PAINTED = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const until = performance.now() + 5000;
  do {
    window.shift = 0;
    await new Promise((done) => setTimeout(done, 150));
  } while (window.shift && performance.now() < until);
}"""
_LOOK = """async () => {
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  const until = performance.now() + 15000;
  const isAwaited = (image) => !image.complete && image.getBoundingClientRect().top < innerHeight;
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
    scrollTo({ top: y, behavior: "instant" });
    do await pause(30); while ([...document.images].some(isAwaited) && performance.now() < until);
  }
  scrollTo({ top: 0, behavior: "instant" });
  await pause(50);
  const boxes = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (element.localName === "source" || getComputedStyle(element).display === "contents") continue;
    const { x, y, width, height } = element.getBoundingClientRect();
    boxes.push([`${element.localName} ${element.alt ?? element.className}`, [x, y, width, height]]);
  }
  const images = [...document.images].map((image) => ({
    alt: image.alt, chosen: image.currentSrc, width: image.naturalWidth,
    colour: getComputedStyle(image).backgroundColor,
  }));
  return { boxes, images, shift: window.shift };
}"""

Box = tuple[str, tuple[float, float, float, float]]


class Shown(msgspec.Struct, frozen=True):
    """An `<img>`: the address that was chosen, its width in pixels (0: not shown), and the colour behind it."""

    alt: str
    chosen: str
    width: int
    colour: str


class Look(msgspec.Struct, frozen=True):
    """A page as it is shown.

    `boxes` are its elements with place and size in CSS pixels, `shift` the cumulative layout shift since images came,
    `foreign` what other hosts were asked for, and `missing` what the site itself did not have.
    """

    boxes: list[Box]
    images: list[Shown]
    shift: float
    foreign: frozenset[str]
    missing: frozenset[str]


class Reader:
    """One page of the browser, which finds the folder `built` at `SITE`, and of other hosts what is `answered`."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._built = Path()
        self._answered: Collection[str] = ()
        self._held_back: list[Route] | None = None
        self._foreign_asked: set[str] = set()
        self._missing: set[str] = set()
        self._looks: dict[tuple[Path, str, int], Look] = {}
        page.route("**/*", self._answer)

    def close(self) -> None:
        """Give the page back as it was."""
        self._page.unroute("**/*")

    def look(self, built: Path, path: str, width: int, *, answered: Collection[str]) -> Look:
        """Return how a page is shown, and remember it: the folder has to stay as it is."""
        key = (built, path, width)
        if key not in self._looks:
            self._looks[key] = self._open(built, path, width, answered)
        return self._looks[key]

    def follow(self, built: Path, path: str, link: str, *, answered: Collection[str]) -> tuple[str, frozenset[str]]:
        """Open a page, click the link that a selector finds, and return where that leads, and what others are asked."""
        self._built, self._answered = built, answered
        self._page.goto(f"{SITE}{path}", wait_until="networkidle")
        self._foreign_asked = set()
        self._page.click(link)
        self._page.wait_for_url(lambda url: url != f"{SITE}{path}")
        self._page.wait_for_load_state("networkidle")
        return self._page.url, frozenset(self._foreign_asked)

    def _open(self, built: Path, path: str, width: int, answered: Collection[str]) -> Look:
        """Open a page and scroll through it. Images arrive only after the first paint, as they do on a slow line."""
        self._page.goto("about:blank")  # the page shown before would ask for other images in another width
        self._built, self._answered, self._held_back = built, answered, []
        self._foreign_asked, self._missing = set(), set()
        self._page.set_viewport_size({"width": width, "height": 800})
        self._page.goto(f"{SITE}{path}", wait_until="domcontentloaded")
        self._page.wait_for_function(_TAKEN_OVER)
        self._page.evaluate(_PAINTED)
        held_back, self._held_back = self._held_back, None
        for route in held_back:
            self._answer(route)
        self._page.wait_for_load_state("load")
        found: dict[str, Any] = self._page.evaluate(_LOOK)
        return msgspec.convert(found | {"foreign": self._foreign_asked, "missing": self._missing}, Look)

    def _answer(self, route: Route) -> None:
        url = route.request.url
        if self._held_back is not None and route.request.resource_type == "image":
            self._held_back.append(route)
        elif url.startswith(SITE):
            self._own(route, self._built / unquote(urlsplit(url).path).removeprefix("/news/"))
        else:
            self._foreign(route, url)

    def _own(self, route: Route, file: Path) -> None:
        if file.is_dir():
            file /= "index.html"
        if not file.is_file():
            self._missing.add(route.request.url)
            route.fulfill(status=404, body="")
            return
        route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file)[0] or "")

    def _foreign(self, route: Route, url: str) -> None:
        self._foreign_asked.add(url)
        key = normal(url)
        if key not in map(normal, self._answered):
            route.abort()
            return
        content = content_of(_ANSWERS[key], key)
        route.fulfill(body=content.body, content_type=content.media_type)
