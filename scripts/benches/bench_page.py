"""Job `page`: what a browser loads for one built page, before and after `imgcache rewrite`; draws the README's picture.

The page is an article with ten photographs on five hosts. Chromium opens it from a web server on this machine, as a
phone and as a desktop, with an empty cache, and scrolls to its end. The other hosts are an origin on this machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench_pictures import Picture, pictures
from bench_process import ROOT, fresh, measure, origin
from bench_report import Limit, Section, Skipped
from playwright.sync_api import Browser, Error, Request

from tests.support.browsing import folder_served, launched

PHOTOS, HOSTS, WIDE = 10, 5, 1400
SCREENS = {"phone": (390, 844, 3.0), "desktop": (1280, 900, 1.0)}  # width, height, device pixels for each CSS pixel
PICTURE = ROOT / "docs" / "images" / "before-after.svg"
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A walk along the coast</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>main { max-width: 720px; margin: auto } img { max-width: 100%; height: auto }</style>
<main><h1>A walk along the coast</h1>
"""
_SCROLL = """async () => {
  for (let y = 0; y < document.body.scrollHeight; y += innerHeight / 2) {
    scrollTo(0, y); await new Promise(done => setTimeout(done, 30));
  }
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
  return [...document.images].filter(image => !image.naturalWidth).length;
}"""


@dataclass(frozen=True)
class Loaded:
    """What one opening of the page loaded: requests, those to other hosts, and bytes of image files."""

    requests: int
    foreign: int
    bytes: int


def run(options: argparse.Namespace) -> Section:
    """Opens the page on each screen before and after the rewrite. The numbers are counts, so one round is enough."""
    chosen = _choose(pictures(options))
    site = fresh("page/site")
    built = site / "_site"
    built.mkdir()
    (site / "imgcache.yml").write_text("site_url: https://coast.example\nvariants:\n" + _VARIANTS, encoding="utf-8")
    (built / "index.html").write_text(_page(chosen), encoding="utf-8")
    hosts = [word for number in range(HOSTS) for word in ("--host", f"h{number}.photos.example")]
    with origin("--folder", str(chosen[0].path.parent), *hosts) as said:
        before, version = _open_all(built, int(said["http"]))
        measure([sys.executable, "-m", "imgcache", "rewrite", str(built), str(site), "-q", *said["connect_to"]])
        after, _ = _open_all(built, int(said["http"]))
    _draw(before, after)
    rows = [
        [screen, name, str(one.requests), str(one.foreign), f"{one.bytes / 1e6:.2f}"]
        for screen in SCREENS
        for name, one in (("before", before[screen]), ("after", after[screen]))
    ]
    limits = [Limit(f"{screen}: requests to other hosts after", after[screen].foreign, 0) for screen in SCREENS]
    limits += [
        Limit(f"{screen}: bytes of images after, of those before", after[screen].bytes / before[screen].bytes, 0.5)
        for screen in SCREENS
    ]
    widths = sorted(one.width for one in chosen)
    return Section(
        columns=["", "", "requests", "to other hosts", "MB of images"],
        rows=rows,
        limits=limits,
        notes=[f"{PHOTOS} JPEG photographs, {widths[0]:,} to {widths[-1]:,} pixels wide, in a column of 720 pixels"],
        versions=[f"Chromium {version}"],
    )


_VARIANTS = "".join(f"  - {{name: w{width}, width: {width}, format: webp}}\n" for width in (320, 640, 960, 1280))


def _choose(found: Sequence[Picture]) -> list[Picture]:
    """Ten photographs that nobody made smaller for the web, spread over the collection."""
    wide = [one for one in found if one.width >= WIDE and one.path.suffix == ".jpg"]
    if len(wide) < PHOTOS:
        raise Skipped(f"fewer than {PHOTOS} photographs of {WIDE:,} pixels or more")
    return wide[:: len(wide) // PHOTOS][:PHOTOS]


def _page(chosen: Sequence[Picture]) -> str:
    text = "<p>The path follows the cliffs for three hours and is dry all year. There is shade in the afternoon.\n"
    images = (
        f'<img src="http://h{number % HOSTS}.photos.example/{quote(one.path.name)}" alt="Photograph {number + 1}"'
        f' width="{one.width}" height="{one.height}">\n'
        for number, one in enumerate(chosen)
    )
    return _HEAD + "".join(text * 3 + image for image in images) + "</main></html>\n"


def _open_all(built: Path, port: int) -> tuple[dict[str, Loaded], str]:
    """Returns what each screen loads, and the version of Chromium."""
    try:
        rule = f"--host-resolver-rules=MAP *.photos.example 127.0.0.1:{port}"
        with folder_served(built) as address, launched(rule) as browser:
            return {name: _open(browser, address, screen) for name, screen in SCREENS.items()}, browser.version
    except Error as error:
        raise Skipped(f"Chromium does not start: {str(error).splitlines()[0]}") from error


def _open(browser: Browser, address: str, screen: tuple[int, int, float]) -> Loaded:
    width, height, scale = screen
    page = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=scale, service_workers="block"
    ).new_page()
    ended: list[Request] = []

    def note(request: Request) -> None:  # Playwright cannot call a method of list
        ended.append(request)

    page.on("requestfinished", note)
    page.goto(address)
    if missing := page.evaluate(_SCROLL):
        raise Skipped(f"{missing} images do not load")
    page.wait_for_load_state("networkidle")
    real = [one for one in ended if one.url.startswith("http")]
    images = [one for one in real if one.resource_type == "image"]
    loaded = Loaded(
        requests=len(real),
        foreign=sum(not one.url.startswith(address) for one in real),
        bytes=sum(one.sizes()["responseBodySize"] for one in images),
    )
    page.context.close()
    return loaded


def _draw(before: dict[str, Loaded], after: dict[str, Loaded]) -> None:
    """Writes the measured numbers as bars into docs/images."""
    most = max(one.bytes for one in before.values())
    parts, y = [], 58
    for screen in SCREENS:
        parts.append(f'<text x="24" y="{y}" class="h">One article with {PHOTOS} photographs, on a {screen}</text>')
        for name, one, colour in (("before", before[screen], "#b4533c"), ("after", after[screen], "#2f7d5b")):
            y += 34
            length = max(4, round(one.bytes / most * 400))
            words = f"{one.bytes / 1e6:.2f} MB, {one.foreign} requests to other hosts"
            parts.append(f'<text x="24" y="{y}">{name}</text>')
            parts.append(f'<rect x="84" y="{y - 16}" width="{length}" height="22" rx="3" fill="{colour}"/>')
            parts.append(f'<text x="{96 + length}" y="{y}">{words}</text>')
        y += 52
    style = "text{font:15px system-ui,sans-serif;fill:#222}.h{font-weight:600}"
    title = "What a reader's browser loads before and after imgcache rewrite"
    PICTURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {y - 24}" role="img" aria-label="{title}">\n'
        f'<style>{style}</style><rect width="800" height="{y - 24}" rx="8" fill="#fff" stroke="#ccc"/>\n'
        f'<text x="24" y="30" class="h">{title}</text>\n' + "\n".join(parts) + "\n</svg>\n",
        encoding="utf-8",
    )
