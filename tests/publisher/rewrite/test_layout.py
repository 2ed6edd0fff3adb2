"""In Chromium: every element of a rewritten page stands where it stood, at the size that it had."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route

from imgcache.publisher.rewrite import FileKind, Held, Options, rewrite
from tests.publisher.rewrite.support import HOST, image
from tests.support.browsing import lent

SIZES = {"a": (900, 500), "b": (300, 451), "c": (90, 60), "d": (1300, 300)}
SHEETS = [
    "",
    "img{max-width:100%}",
    "img{max-width:100%;height:auto;width:auto}",
    "img{height:40px}",
    "img{width:100%;height:200px;object-fit:cover}",
    "main{display:flex;align-items:center}",
    "main{display:flex;gap:9px}img{max-width:30%}",
    "img{max-height:100px;max-width:150px}",
    "main{display:grid;grid-template-columns:repeat(3,1fr)}",
    "figure{display:table}img{max-width:100%}",
    "figure{position:relative;height:120px}img{position:absolute;inset:0;width:100%;height:100%}",
    "img{padding:5px;border:3px solid;box-sizing:border-box;max-width:100%}",
    "@layer base{img{max-width:100%;height:auto}}@layer utilities{img{width:50%}}",
    "*{max-width:100%}",
]
BODY = """text <img id=i1 src="{0}a.jpg"><figure id=f1><img id=i2 src="{0}b.jpg"><figcaption id=c1>caption</figcaption>
</figure><p id=p1><a id=l1 href=x><img id=i3 src="{0}c.jpg" width=200></a> tail<table id=t1><tr><td id=d1>
<img id=i4 src="{0}d.jpg"><td id=d2>cell</table><p id=p2><img id=i5 src="{0}a.jpg" width=400 height=200>
<img id=i6 src="{0}b.jpg" width="50%"><img id=i7 src="{0}a.jpg" height=77>
<img id=i8 style="width:30%" src="{0}c.jpg">""".format(HOST + "/")
BOXES = """() => [...document.querySelectorAll("main, main *")].filter(e => e.id).map(e => {
  const box = e.getBoundingClientRect(); return [e.id, box.x + scrollX, box.y + scrollY, box.width, box.height]})"""


def picture(width: int, height: int, name: str) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (width, height), "#468").save(target, name)
    return target.getvalue()


class Site:
    """One page, its remote images and the local files, as Chromium asks for them."""

    def __init__(self) -> None:
        self.page = b""
        self.foreign = 0
        self.held: dict[str, Held] = {}
        self.files: dict[str, bytes] = {}
        for name, size in SIZES.items():
            url = f"{HOST}/{name}.jpg"
            self.held[url] = image(url, *size, formats=("avif", "webp"))
            self.files[url] = picture(*size, "JPEG")
            for file in self.held[url].files:
                self.files[f"https://site.example/assets/imgcache/{file.path}"] = picture(
                    file.width, file.height, file.format.upper()
                )

    def answer(self, route: Route) -> None:
        url = route.request.url
        self.foreign += url.startswith(HOST)
        if url == "https://site.example/":
            route.fulfill(body=self.page, content_type="text/html; charset=utf-8")
        elif url in self.files:
            route.fulfill(body=self.files[url])
        else:
            route.abort()

    def boxes(self, page: Page, markup: bytes) -> list[tuple[str, list[float]]]:
        self.page = markup
        page.goto("https://site.example/")
        found: Any = page.evaluate(BOXES)
        return [(name, numbers) for name, *numbers in found]


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


def test_nothing_moves_and_nothing_grows_while_late_images_load(browser: Browser, site: Site) -> None:
    moved = []
    with lent(browser, width=700, height=500) as page:
        page.route("**/*", site.answer)
        for number, sheet in enumerate(SHEETS):
            head = f"<!doctype html><html><head><style>{sheet}</style></head>"
            markup = f"{head}<body><main>{BODY}".encode()
            done = rewrite(markup, "index.html", FileKind.HTML, site.held, Options(picture=number % 2 == 0))
            assert done.rewritten == 8
            before = site.boxes(page, markup)
            site.foreign = 0
            after = site.boxes(page, done.data)
            assert site.foreign == 0
            assert [name for name, _ in before] == [name for name, _ in after]
            moved += [
                (sheet, name, was, now)
                for (name, was), (_, now) in zip(before, after, strict=True)
                if any(abs(one - other) > 1 for one, other in zip(was, now, strict=True))
            ]
        page.unroute("**/*")
    assert moved == []
