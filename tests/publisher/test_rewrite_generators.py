"""What Jekyll and Hugo build, rewritten and opened in a browser that reaches no other host."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from examples.origin import Origin, in_thread
from tests.conftest import picture, system_program
from tests.support.browsing import watched

HOST = "https://pictures.example"
IMAGES = {
    f"{HOST}/hero.jpg": (1600, 900),
    f"{HOST}/body.jpg?w=800&h=600": (800, 600),
    f"{HOST}/small.png": (120, 80),
    f"{HOST}/wide.jpg": (2000, 500),
    f"{HOST}/back.png": (64, 64),
    f"{HOST}/feed.jpg": (900, 600),
}
LAYOUT = """<!doctype html>
<html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<title>%(title)s</title><link rel="stylesheet" href="%(root)s/style.css">
<meta property="og:image" content="https://pictures.example/hero.jpg"></head>
<body><header><img src="https://pictures.example/small.png" alt="logo"></header>
<main><img class="hero" src="https://pictures.example/hero.jpg" alt="hero">
%(content)s</main></body></html>
"""
BODY = """
![a harbour](https://pictures.example/body.jpg?w=800&h=600)

<picture><source media="(max-width: 600px)" srcset="https://pictures.example/small.png">
<img src="https://pictures.example/wide.jpg" alt="wide" width="2000" height="500"></picture>

text ![inline](https://pictures.example/small.png) and more
"""
STYLE = "body { background: url(https://pictures.example/back.png) } img { max-width: 100%; height: auto }\n"
FEED = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><entry><title>e</title><content type="html">
&lt;img src="https://pictures.example/feed.jpg"&gt;</content></entry></feed>
"""
JEKYLL = {
    "_config.yml": "url: https://site.example\nbaseurl: /news\n",
    "_layouts/default.html": LAYOUT
    % {"title": "{{ page.title }}", "root": "{{ site.baseurl }}", "content": "{{ content }}"},
    "index.md": f"---\nlayout: default\ntitle: Front\n---\n{BODY}",
    "deep/down/page.md": f"---\nlayout: default\ntitle: Deep\n---\n{BODY}",
    "style.css": STYLE,
    "feed.xml": FEED,
}
HUGO = {
    "config.toml": 'baseURL = "https://site.example/news/"\ntitle = "t"\n'
    'disableKinds = ["taxonomy", "term", "section", "RSS"]\n'
    "[markup.goldmark.renderer]\nunsafe = true\n",
    "layouts/_default/single.html": LAYOUT % {"title": "{{ .Title }}", "root": "/news", "content": "{{ .Content }}"},
    "layouts/index.html": LAYOUT % {"title": "{{ .Title }}", "root": "/news", "content": "{{ .Content }}"},
    "content/_index.md": f"---\ntitle: Front\n---\n{BODY}",
    "content/deep/down/page.md": f"---\ntitle: Deep\n---\n{BODY}",
    "static/style.css": STYLE,
    "static/feed.xml": FEED,
    "imgcache.yml": "site_url: https://site.example/news\n",
}
BUILDS = {
    "jekyll": (("jekyll", "build", "--quiet"), JEKYLL, "_site", ("index.html", "deep/down/page.html")),
    "hugo": (("hugo", "--quiet"), HUGO, "public", ("index.html", "deep/down/page/index.html")),
}
_LOADED = """async () => {
  for (const image of document.images) { image.scrollIntoView(); await image.decode().catch(() => 0); }
  return [...document.images].map((image) => [image.alt, image.naturalWidth > 0, image.currentSrc]);
}"""


def build(generator: str, folder: Path) -> Path:
    command, files, published, _ = BUILDS[generator]
    system_program(command[0])
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / published


def rewrite(built: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """In a process: Playwright has this one's event loop."""
    with in_thread(Origin({url: picture(*size) for url, size in IMAGES.items()})) as origin:
        command = [sys.executable, "-m", "imgcache", "rewrite", str(built), str(site), *origin.connect_to]
        environment = os.environ | {"SSL_CERT_FILE": str(origin.ca_file), "IMGCACHE_FETCH__RETRIES": "0"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder below /news on this machine, as its host would publish it."""
    (root := folder.parent / "web").mkdir()
    (root / "news").symlink_to(folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/news/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("generator", BUILDS)
def test_every_image_of_a_built_site_loads_with_the_network_cut_off(
    generator: str, tmp_path: Path, browser: Browser
) -> None:
    built = build(generator, tmp_path)
    ended = rewrite(built, tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    texts: Mapping[str, str] = {
        str(path): path.read_text() for path in built.rglob("*") if path.suffix in (".html", ".css", ".xml")
    }
    assert [path for path, text in texts.items() if HOST in text] == []
    assert "https://site.example/news/assets/imgcache/" in (built / "feed.xml").read_text()
    with served(built) as address, watched(browser, lambda url: url.startswith((address, "data:"))) as watch:
        page = watch.page()
        for path in BUILDS[generator][3]:
            page.goto(address + path)
            found = page.evaluate(_LOADED)
            assert [alt for alt, is_loaded, _ in found if not is_loaded] == []
            assert len(found) == 5
            assert all(source.startswith(f"{address}assets/imgcache/") for _, _, source in found)
