"""`imgcache export` through the real generators, looked at with a real browser: the right file, and nothing moves."""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from playwright.sync_api import Browser, ConsoleMessage, Error

from examples.origin import Origin, answers_for, in_thread
from tests.conftest import ROOT, Command, system_program
from tests.support.browsing import lent
from tests.support.site_files import manifest

LONG = f"https://images.example.com/2026/signed.jpg?signature={'ab+/' * 300}"
TITLE = 'Tide clocks "in every harbour" <by summer>'
SLOT = 640  # 40em, what the pages' `sizes` says


class Generator(msgspec.Struct, frozen=True):
    """How one generator is run in a site's folder, what it publishes where, and which file has the images."""

    command: tuple[str, ...]
    article: str
    assets: str
    published: str


GENERATORS = {
    "jekyll": Generator(("jekyll", "build", "--quiet"), "index.md", "assets/imgcache", "_site"),
    "hugo": Generator(("hugo", "--quiet"), "content/_index.md", "static/assets/imgcache", "public"),
    "eleventy": Generator(
        ("node", "node_modules/@11ty/eleventy/cmd.cjs", "--quiet"), "index.md", "assets/imgcache", "_site"
    ),
}


# -- a site, built ---------------------------------------------------------------------------------------------------


def build(generator: Generator, site: Path, *options: str) -> Path:
    """Run a generator, and say where the site that it made lies."""
    system_program(generator.command[0])
    ended = subprocess.run([*generator.command, *options], cwd=site, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return site / generator.published


def sync(site: Path) -> None:
    """One sync from an origin that answers for all that is named; in a process, for Playwright has this one's loop."""
    with in_thread(Origin(answers_for(site))) as origin:
        command = [sys.executable, "-m", "imgcache", "sync", str(site), *origin.connect_to]
        environment = os.environ | {"SSL_CERT_FILE": str(origin.ca_file), "IMGCACHE_FETCH__RETRIES": "0"}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr


def example(target: str, folder: Path) -> Path:
    """A copy of the example for one generator; its last image is one with a very long URL."""
    site = folder / target
    shutil.copytree(ROOT / "examples" / target, site)
    article = site / GENERATORS[target].article
    more = f'  - url: "{LONG}"\n    width: 1000\n    height: 500\n---\n'
    article.write_text(more.join(article.read_text().rsplit("---\n", 1)))
    return site


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the examples, which all have the same images."""
    site = example("jekyll", tmp_path_factory.mktemp("cached"))
    sync(site)
    return site / "cache"


def publish(target: str, run: Command, cache: Path, folder: Path) -> tuple[Path, Path]:
    """The example for one generator, exported and built: its folder, and that of the finished site."""
    site, generator = example(target, folder), GENERATORS[target]
    if target == "eleventy":
        modules = ROOT / ".bench/eleventy/node_modules"
        system_program("eleventy", modules)
        (site / "node_modules").symlink_to(modules)
    ended = run("export", target, site, "--cache", cache, "--copy-to", site / generator.assets)
    assert ended.code == 0, ended
    return site, build(generator, site)


# -- and looked at ---------------------------------------------------------------------------------------------------


class Shown(msgspec.Struct, frozen=True):
    """One image of a page: the file that the browser chose, its true width, and the place it takes (CSS pixels)."""

    chosen: str
    true_width: int
    is_loaded: bool
    box: tuple[float, float]
    alt: str
    attributes: dict[str, str]


class Look(msgspec.Struct, frozen=True):
    """What a browser shows of a page: its images, its cumulative layout shift, what it complained of."""

    images: list[Shown]
    shift: float
    errors: list[str]


_WATCH = """
window.shift = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shift += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
"""
_LOOK = """async () => {
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  const until = performance.now() + 15000;
  const isAwaited = (image) => !image.complete && image.getBoundingClientRect().top < innerHeight;
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
    scrollTo(0, y);
    do await pause(40); while ([...document.images].some(isAwaited) && performance.now() < until);
  }
  await pause(100);
  const images = [];
  for (const image of document.images) {
    const isLoaded = image.complete && image.naturalWidth > 0;
    const bitmap = isLoaded && await createImageBitmap(await (await fetch(image.currentSrc)).blob());
    const { width, height } = image.getBoundingClientRect();
    images.push({
      chosen: image.currentSrc, true_width: bitmap ? bitmap.width : 0, is_loaded: isLoaded, box: [width, height],
      alt: image.alt, attributes: Object.fromEntries([...image.attributes].map(({ name, value }) => [name, value])),
    });
  }
  return { images, shift: window.shift };
}"""


def look(browser: Browser, address: str, width: int, density: int) -> Look:
    """Open a page, scroll through it, and wait for its images."""
    errors: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    def threw(error: Error) -> None:
        errors.append(str(error))

    listeners: dict[str, Callable[[Any], None]] = {"console": said, "pageerror": threw}
    with lent(browser, _WATCH, listeners, width=width, height=600, device_scale_factor=density) as page:
        page.goto(address)
        found = page.evaluate(_LOOK)
    return msgspec.convert(found | {"errors": errors}, Look)


@contextlib.contextmanager
def served(folder: Path, base: str = "/news") -> Iterator[str]:
    """A folder on loopback under the path `base`; images come late, so that a page without sizes would move."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map: Mapping[str, str] = {  # type: ignore[assignment]
            ".html": "text/html; charset=utf-8",
            ".webp": "image/webp",
            ".jpg": "image/jpeg",
            ".png": "image/png",
            "": "application/octet-stream",
        }

        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def do_GET(self) -> None:
            if not self.path.startswith(f"{base}/"):
                self.send_error(204 if self.path == "/favicon.ico" else 404)
                return
            self.path = self.path.removeprefix(base)
            if "/imgcache/" in self.path:
                time.sleep(0.15)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{base}/"
        finally:
            server.shutdown()
            thread.join()


def widths(entry: Mapping[str, Any], kind: str) -> dict[str, int]:
    """The variants of one format, by path below the assets."""
    return {one["path"].removeprefix("assets/"): one["width"] for one in entry["variants"] if one["format"] == kind}


def best(offered: Mapping[str, int], needed: int) -> str:
    """The narrowest that is wide enough, else the widest."""
    return min(offered, key=lambda path: (offered[path] < needed, abs(offered[path] - needed)))


# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", GENERATORS)
def test_a_browser_shows_every_image_from_the_right_file_and_nothing_moves(
    run: Command, cache: Path, browser: Browser, tmp_path: Path, target: str
) -> None:
    site, published = publish(target, run, cache, tmp_path)
    held = manifest(cache.parent)
    declared = yaml.safe_load((site / GENERATORS[target].article).read_text().split("---\n")[1])["images"]
    assert [entry["url"] in held for entry in declared] == [True, True, True, False, True]
    with served(published) as address:
        for width, density in ((800, 2), (320, 1)):
            seen = look(browser, address, width, density)
            assert seen.shift == 0, "the page moved"
            assert len(seen.images) == len(declared)
            for image, entry in zip(seen.images, declared, strict=True):
                assert (image.alt, image.attributes["loading"]) == (TITLE, "lazy")
                if entry["url"] not in held:
                    assert image.attributes["src"] == entry["url"]
                    assert (image.attributes["width"], image.attributes["height"]) == ("640", "360")
                    continue
                true = held[entry["url"]]
                offered = widths(true, "webp")
                file = best(offered, min(SLOT, width) * density)
                assert image.chosen == f"{address}assets/imgcache/{file}"
                assert (image.is_loaded, image.true_width) == (True, offered[file])
                shown = min(true["width"], SLOT, width)
                assert image.box == pytest.approx((shown, shown * true["height"] / true["width"]), abs=0.6)
                assert f"url('{true['placeholder']}')" in image.attributes["style"]
            assert [text for text in seen.errors if "ERR_NAME_NOT_RESOLVED" not in text] == []


def test_the_measure_sees_a_page_that_moves(run: Command, cache: Path, browser: Browser, tmp_path: Path) -> None:
    _, published = publish("hugo", run, cache, tmp_path)
    page = published / "index.html"
    page.write_text(re.sub(r' (width|height)="\d+"', "", page.read_text()))
    with served(published) as address:
        assert look(browser, address, 800, 1).shift > 0.01


def test_a_browser_that_knows_no_webp_gets_a_picture_as_large(
    run: Command, cache: Path, browser: Browser, tmp_path: Path
) -> None:
    _, published = publish("hugo", run, cache, tmp_path)
    page = published / "index.html"
    page.write_text(page.read_text().replace('type="image/webp"', 'type="image/unheard-of"'))
    with served(published) as address:
        seen = look(browser, address, 800, 1)
    chosen = [image.chosen.rsplit("/", 1)[-1] for image in seen.images if image.is_loaded]
    assert chosen == ["original.jpg", "original.png", "thumb.jpg", "original.jpg"]
    assert seen.shift == 0


_CONFIG = """\
plugins: []
remote_theme: false
incremental: false
exclude: [cache]
collections: {news: {output: true, permalink: "/:collection/:name/"}}
defaults: [{scope: {path: "", type: news}, values: {layout: article}}]
"""
_LAYOUT = """\
<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>body { margin: 0 auto; max-width: 40em } img { max-width: 100%; height: auto }</style></head><body>
{% for image in page.images %}{% include imgcache.html url=image.url alt=image.title sizes="40em" %}
<p>{{ page.excerpt | strip_html | escape }}</p>{% endfor %}
</body></html>
"""


def test_jekyll_builds_the_real_site(shared: Path, run: Command, browser: Browser, tmp_path: Path) -> None:
    """All its news by its own settings, without plugins and theme from elsewhere; the newest with images held."""
    site = tmp_path / "site"
    shutil.copytree(shared / "site/_news", site / "_news")
    shutil.copy(shared / "site/_config.yml", site)
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    (site / "imgcache.yml").write_text('articles: ["_news/2021-05-2*.md"]\n')
    sync(site)
    ended = run("export", "jekyll", site, "--copy-to", site / "assets/imgcache")
    assert ended.code == 0, ended.err
    (site / "_layouts").mkdir()
    (site / "_layouts/article.html").write_text(_LAYOUT)
    (site / "_more.yml").write_text(_CONFIG)
    published = build(GENERATORS["jekyll"], site, "--unpublished", "--config", "_config.yml,_more.yml")
    held = manifest(site)
    pages = {}
    for file in sorted(site.glob("_news/*.md")):
        front = yaml.safe_load(re.split(r"^---\s*$", file.read_text(), maxsplit=2, flags=re.MULTILINE)[1])
        page = f"news/{file.stem}/index.html"
        urls = [entry["url"] for entry in front.get("images") or ()]
        html = (published / page).read_text()
        assert (html.count("<img"), html.count("<picture>")) == (len(urls), sum(url in held for url in urls)), page
        if urls and held.keys() >= set(urls):
            pages[page] = urls
    assert len(pages) >= 10
    for page in list(pages)[-3:]:
        with served(published, "/microsoft-power-apps") as address:
            seen = look(browser, address + page, 1000, 1)
            assert (seen.shift, seen.errors) == (0, [])
            files = [best(widths(held[url], "webp"), SLOT) for url in pages[page]]
            assert [image.chosen for image in seen.images] == [f"{address}assets/imgcache/{file}" for file in files]
            assert all(image.is_loaded for image in seen.images)
