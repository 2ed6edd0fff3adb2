"""The generators under test: how each lays out our one site, and the commands that build it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
INSTALLED = HERE.parent.parent / ".bench/generators"
SITE = "https://site.example/news/"
HERO = "https://pictures.example/tides/hero.jpg"
_TITLES = {"index": "Tides", "harbour": "The harbour"}
_FRONT = {
    "": '---\ntitle: "{title}"\nimage: {image}\n---\n\n{body}',
    "pelican": "Title: {title}\nSlug: {name}\nDate: 2026-11-30\nImage: {image}\n\n{body}",
    "sphinx": '---\nmyst:\n  html_meta:\n    "property=og:image": {image}\n---\n\n{body}',
    "astro": '---\ntitle: "{title}"\nimage: {image}\nlayout: {up}layouts/Page.astro\n---\n\n{body}',
    "eleventy": '---\ntitle: "{title}"\nimage: {image}\nlayout: page.njk\n---\n\n{body}',
    "hexo": '---\ntitle: "{title}"\ndate: 2026-11-30 12:00:00\nimage: {image}\n---\n\n{body}',
}


class Generator(msgspec.Struct, frozen=True):
    """One generator.

    `index` and `article` are the files of our two articles, `assets` is where style sheet and script stand, `pages` are
    the two pages that come of it, and `feeds` what it makes for feed readers.
    """

    name: str
    index: str
    article: str
    assets: str
    pages: tuple[str, str]
    feeds: tuple[str, ...] = ()


_DEEP = ("index.html", "deep/down/harbour/index.html")
GENERATORS = {
    one.name: one
    for one in (
        Generator("jekyll", "index.md", "deep/down/harbour.md", "", _DEEP, ("feed.xml",)),
        Generator(
            "hugo",
            "content/_index.md",
            "content/deep/down/harbour.md",
            "static",
            _DEEP,
            ("index.xml", "deep/index.xml"),
        ),
        Generator("eleventy", "index.md", "deep/down/harbour.md", "", _DEEP, ("feed.xml",)),
        Generator(
            "astro",
            "src/pages/index.md",
            "src/pages/deep/down/harbour.md",
            "public",
            _DEEP,
            ("rss.xml",),
        ),
        Generator(
            "hexo",
            "source/index.md",
            "source/_posts/harbour.md",
            "source",
            ("index.html", "harbour/index.html"),
            ("atom.xml",),
        ),
        Generator(
            "vitepress",
            "index.md",
            "deep/down/harbour.md",
            "public",
            ("index.html", "deep/down/harbour.html"),
        ),
        Generator("mkdocs", "docs/index.md", "docs/deep/down/harbour.md", "docs", _DEEP),
        Generator(
            "sphinx",
            "index.md",
            "deep/down/harbour.md",
            "_static",
            ("index.html", "deep/down/harbour.html"),
        ),
        Generator(
            "pelican",
            "content/lighthouse.md",
            "content/deep/harbour.md",
            "content",
            ("lighthouse/index.html", "harbour/index.html"),
            ("feeds/all.atom.xml", "feeds/all.rss.xml"),
        ),
    )
}


def lay_out(generator: Generator, folder: Path) -> Path:
    """Write our site as this generator wants it, and return its folder."""
    site = folder / generator.name
    shutil.copytree(HERE / "layouts" / generator.name, site)
    (site / "imgcache.yml").write_text(f"site_url: {SITE.rstrip('/')}\n")
    for name, place in (("index", generator.index), ("harbour", generator.article)):
        body = (HERE / f"content/{name}.md").read_text()
        if generator.name == "sphinx" and name == "index":
            body += "\n```{toctree}\ndeep/down/harbour\n```\n"
        text = _FRONT.get(generator.name, _FRONT[""]).format(
            title=_TITLES[name], image=HERO, name=Path(place).stem, up="../" * (place.count("/") - 1), body=body
        )
        (site / place).parent.mkdir(parents=True, exist_ok=True)
        (site / place).write_text(text)
    for asset in ("style.css", "late.js"):
        target = site / (
            ".vitepress/theme" if (generator.name, asset) == ("vitepress", "style.css") else generator.assets
        )
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "content" / asset, target)
    if documented(generator)[0].startswith("npx"):
        (site / "node_modules").symlink_to(INSTALLED / "npm/node_modules")
    return site


def documented(generator: Generator) -> tuple[str, str]:
    """What its page in docs/publish has users type to build a site, and to rewrite what was built."""
    page = (HERE.parent.parent / f"docs/publish/{generator.name}.md").read_text()
    build, rewrite = page.partition("```console\n")[2].partition("```")[0].splitlines()
    return build.removeprefix("$ "), rewrite.removeprefix("$ ")


def build(generator: Generator, site: Path) -> None:
    """Run the generator in the folder of a site."""
    path = os.pathsep.join([str(INSTALLED / "venv/bin"), str(INSTALLED / "npm/node_modules/.bin"), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "ASTRO_TELEMETRY_DISABLED": "1", "CI": "true"}
    command = documented(generator)[0].split()
    ended = subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
