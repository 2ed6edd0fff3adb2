"""What follows from the settings of each generator: its address, its own images, and what is no article."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from imgcache.core import Generator
from tests.conftest import Command, MakeSite


def drawn() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (6, 4)).save(made, "PNG")
    return made.getvalue()


PNG = drawn()


class Case(NamedTuple):
    """A small site of one generator.

    Attributes:
        files: its settings.
        own: the files of its own images, each with the address by which `article` names it.
        article: the path of the article that shows them.
        left_out: files that are no articles.
        gone: an address that is remote without the settings, and else names a file that is not there.
    """

    files: Mapping[str, str]
    own: Mapping[str, str]
    article: str = "content/a.md"
    left_out: tuple[str, ...] = ()
    gone: str = "https://example.org/news/gone.png"


CASES: dict[str, Case] = {
    "hugo": Case(
        {
            "hugo.toml": 'baseURL = "https://example.org/news/"\ncontentDir = "text/en"\n'
            'staticDir = ["static", "more"]\n'
            'archetypeDir = "kinds"\npublishDir = "built"\ntheme = "plain"\n'
            '[[module.mounts]]\nsource = "pictures"\ntarget = "static/img"\n'
            '[languages.de]\ncontentDir = "text/de"\n'
        },
        {
            "text/en/docs/a.png": "/docs/a.png",
            "text/en/posts/b/pic.png": "pic.png",
            "more/c.png": "/c.png",
            "pictures/d.png": "/img/d.png",
            "themes/plain/static/e.png": "/e.png",
            "text/de/f.png": "/de/f.png",
            "static/own.png": "https://example.org/news/own.png",
        },
        "text/en/posts/b.md",
        ("kinds/default.md", "built/index.html", "layouts/a.html", "themes/plain/README.md"),
    ),
    "hugo in a folder": Case(
        {
            "config/_default/config.yaml": "BaseURL: https://example.org/news\n",
            "config/_default/module.yaml": "mounts: [{source: docs, target: content/handbook}]\n",
        },
        {"docs/a.png": "/handbook/a.png", "content/own.png": "/own.png"},
        left_out=("archetypes/a.md", "public/a.html", "resources/a.html"),
    ),
    "hugo in JSON": Case(
        {"config.json": '{"baseURL": "https://example.org/news/"}', "layouts/x.txt": ""},
        {"static/a.png": "/news/a.png"},
    ),
    "jekyll": Case(
        {
            "_config.yml": "url: https://example.org\nbaseurl: /news\nsource: text\n"
            "destination: built\nlayouts_dir: frames\n"
        },
        {"text/a.png": "/news/a.png", "text/b.png": "/b.png"},
        "text/_posts/2026-01-02-a.md",
        ("built/a.html", "_site/a.html", "text/_includes/a.md", "text/frames/a.html"),
    ),
    "eleventy": Case(
        {
            "eleventy.config.js": "// dir: { input: 'no' }\nexport default function (config) {\n"
            '  config.addPassthroughCopy("text/img");\n  config.addPassthroughCopy({ "pictures": "/p" });\n'
            "  return { pathPrefix: '/news/', dir: { input: 'text', output: \"built\", includes: '../parts' } };\n}\n"
        },
        {"text/img/a.png": "/img/a.png", "pictures/b.png": "/news/p/b.png", "public/c.png": "/c.png"},
        "text/a.md",
        ("built/a.html", "parts/a.html", "text/_layouts/a.njk"),
        "",
    ),
    "eleventy by calls": Case(
        {".eleventy.js": 'module.exports = (c) => { c.setInputDirectory("text"); c.setOutputDirectory(`built`) }'},
        {"text/a.png": "/a.png"},
        "text/a.njk",
        ("built/a.html", "text/_includes/a.njk"),
        "",
    ),
    "astro": Case(
        {
            "astro.config.mjs": "export default defineConfig({ site: 'https://example.org',"
            " base: '/news', outDir: './out' })"
        },
        {"public/a.png": "/news/a.png", "src/assets/b.png": "@/assets/b.png", "src/content/c.png": "./c.png"},
        "src/content/a.mdx",
        ("out/a.html", ".astro/a.md"),
    ),
    "docusaurus": Case(
        {
            "docusaurus.config.ts": "const config: Config = {\n  url: 'https://example.org', /* url: 'x' */\n"
            "  baseUrl: '/news/',\n"
            "  staticDirectories: ['static', 'more'],\n};\nexport default config;\n"
        },
        {
            "static/a.png": "/news/a.png",
            "more/b.png": "/b.png",
            "docs/c.png": "./c.png",
            "docs/d.png": "@site/docs/d.png",
        },
        "docs/a.md",
        ("build/a.html", ".docusaurus/a.md"),
    ),
    "vitepress": Case(
        {
            "docs/.vitepress/config.mts": 'export default defineConfig({ base: "/news/", srcDir: "./text",'
            ' sitemap: { hostname: "https://example.org" } })'
        },
        {"docs/text/public/a.png": "/a.png", "docs/text/b.png": "./b.png"},
        "docs/text/a.md",
        ("docs/.vitepress/dist/a.html", "docs/.vitepress/theme/a.md"),
    ),
    "gatsby": Case(
        {
            "gatsby-config.js": "module.exports = { pathPrefix: `/news`,"
            " siteMetadata: { siteUrl: `https://example.org` } }"
        },
        {"static/a.png": "/news/a.png", "content/b.png": "./b.png"},
        left_out=("public/a.html", ".cache/a.md"),
    ),
    "mkdocs": Case(
        {
            "mkdocs.yml": "site_url: https://example.org/news/\ndocs_dir: text\ntheme: {name: x, custom_dir: parts}\n"
            "x: !!python/name:a ''\n"
        },
        {"text/a.png": "a.png", "text/img/b.png": "../img/b.png", "text/c.png": "/news/c.png"},
        "text/a.md",
        ("site/a.html", "parts/a.html"),
    ),
    "zensical": Case(
        {"zensical.toml": '[project]\nsite_url = "https://example.org/news/"\ndocs_dir = "text"\nsite_dir = "out"\n'},
        {"text/a.png": "a.png"},
        "text/a.md",
        ("out/a.html",),
    ),
    "pelican": Case(
        {
            "pelicanconf.py": "import os\nSITEURL = ''\nPATH = 'text'\nOUTPUT_PATH = 'out/'\n"
            "THEME = 'look'\nX = os.environ\n",
            "publishconf.py": "from pelicanconf import *\nSITEURL = 'https://example.org/news'\n",
        },
        {"text/images/a.png": "{static}/images/a.png", "text/b.png": "/news/b.png"},
        "text/a.md",
        ("out/a.html", "look/templates/a.html"),
    ),
    "hexo": Case(
        {"_config.yml": "url: https://example.org/news\nroot: /news/\nsource_dir: text\npublic_dir: out\ntheme: x\n"},
        {"text/a.png": "/a.png", "text/_posts/a/b.png": "b.png", "themes/x/source/c.png": "/c.png"},
        "text/_posts/a.md",
        ("out/a.html", "scaffolds/post.md", "themes/x/README.md"),
    ),
    "hexo by its package": Case(
        {"_config.yml": "url: https://example.org/news\n", "package.json": '{"dependencies": {"hexo": "^7"}}'},
        {"source/a.png": "/a.png"},
        "source/_posts/a.md",
        ("public/a.html",),
    ),
    "sphinx": Case(
        {
            "conf.py": "project = 'x'\nhtml_baseurl = 'https://example.org/news/'\ntemplates_path = ['parts']\n"
            "exclude_patterns = ['old', '*.tmp']\nhtml_extra_path = ['more']\n"
        },
        {"pics/a.png": "/pics/a.png", "text/b.png": "b.png", "more/c.png": "/c.png"},
        "text/a.md",
        ("_build/html/a.html", "old/a.md", "parts/a.html"),
    ),
}


def site_of(make_site: MakeSite, case: Case) -> Path:
    """The site, with an article whose images are all there, and one that is not."""
    urls = [*case.own.values(), *([case.gone] if case.gone else [])]
    body = "".join(f"![x]({url})\n\n" for url in urls)
    if case.article.endswith(".njk"):
        body = "".join(f'<img src="{url}">\n' for url in urls)
    own = dict.fromkeys(case.own, PNG) | dict.fromkeys(case.left_out, b"![x](https://h.example/no.png)\n")
    return make_site(dict(case.files) | own | {case.article: body})


@pytest.mark.parametrize("name", CASES)
def test_articles_and_own_images_are_where_the_settings_say(run: Command, make_site: MakeSite, name: str) -> None:
    case = CASES[name]
    site = site_of(make_site, case)
    assert f"generator: {name.partition(' ')[0]} (" in run("scan", site).err
    report = run("scan", site, "--json").json()
    assert {one["article"] for one in report["references"]} == {case.article}
    assert {one["kind"] for one in report["references"]} == {"own"}
    missing = {
        one["url"]
        for one in run("audit", site, "--offline", "--json").json()["findings"]
        if one["rule"] == "missing-file"
    }
    assert missing == {case.gone} - {""}


def test_scan_and_sync_name_the_generator_in_one_line(run: Command, make_site: MakeSite) -> None:
    site = site_of(make_site, CASES["pelican"])
    line = "imgcache: generator: pelican (pelicanconf.py)\n"
    said = run("scan", site)
    assert said.err == line
    assert "generator" not in said.out
    assert run("scan", site, "-q").err == run("scan", site, "--json").err == ""
    assert run("sync", site, "--offline").err == line
    assert run("sync", site, "--offline", "-q").err == ""


@pytest.mark.parametrize("name", Generator)
def test_each_generator_can_be_named_without_its_files(run: Command, make_site: MakeSite, name: Generator) -> None:
    site = make_site({"imgcache.yml": f"generator: {name}\n", "a.md": "![x](https://h.example/a.png)\n"})
    assert f"generator: {name} (" in run("scan", site).err


def test_a_named_generator_overrules_the_files(
    run: Command, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"hugo.toml": "", "mkdocs.yml": "", "site/a.md": "", "public/b.md": "", "docs/c.md": ""}
    site = make_site(files)
    assert run("scan", site, "--json").json()["articles"] == 1  # the built folders of both are left out
    assert "hugo (hugo.toml; files of mkdocs are there too)" in run("scan", site).err
    monkeypatch.setenv("IMGCACHE_GENERATOR", "mkdocs")
    assert run("scan", site, "--json").json()["articles"] == 2
    monkeypatch.setenv("IMGCACHE_GENERATOR", "hugoo")
    ended = run("scan", site)
    assert ended.code == 2
    assert "IMGCACHE_GENERATOR" in ended.err
    assert all(one in ended.err for one in ("auto", *Generator))


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("hugo.toml", "a = 1\nb = \n", "hugo.toml:2"),
        ("hugo.json", '{"a": 1,\n}', "hugo.json:2"),
        ("hugo.yaml", "a: 1\nb: 'x\n", "hugo.yaml:3"),
        ("pelicanconf.py", "A = 1\nB = (\n", "pelicanconf.py:2"),
        ("pelicanconf.py", "A = " + "(" * 5000, "pelicanconf.py"),
        ("hugo.json", "[" * 100_000, "hugo.json"),
    ],
)
def test_settings_that_cannot_be_read_are_an_error_with_its_line(
    run: Command, make_site: MakeSite, file: str, text: str, where: str
) -> None:
    ended = run("scan", make_site({file: text, "a.md": ""}))
    assert ended.code == 2
    assert where in ended.err


def test_settings_are_never_run(run: Command, make_site: MakeSite, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    script = f"require('fs').writeFileSync({json.dumps(str(touched))}, '')\n"
    python = f"open({str(touched)!r}, 'w')\nSITEURL = open({str(touched)!r}, 'w').name\nproject = 'x'\n"
    site = make_site({"eleventy.config.js": script, "pelicanconf.py": python, "conf.py": python, "a.md": ""})
    assert run("scan", site, "--json").code == 0
    assert not touched.exists()


@pytest.mark.parametrize("setting", ["../elsewhere", "/etc", ".", "", "a/../.."])
def test_a_folder_outside_of_the_site_or_all_of_it_is_not_left_out(
    run: Command, make_site: MakeSite, setting: str
) -> None:
    site = make_site({"hugo.toml": f'publishDir = "{setting}"\narchetypeDir = "{setting}"\n', "content/a.md": ""})
    assert run("scan", site, "--json").json()["articles"] == 1


def test_the_own_images_of_a_real_site_are_all_found(run: Command, shared: Path, tmp_path: Path) -> None:
    """153 images of its own, by `contentDir` and in page bundles; an audit without network has nothing to say."""
    real, site = shared / "sites" / "kubeflow", tmp_path / "site"
    for path in real.rglob("*"):
        if path.is_file():
            copy = site / path.relative_to(real)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    images = [line.split("\t") for line in (real / "own-images.tsv").read_text().splitlines()]
    for name, width, _ in images:  # their size is of no interest: bodies declare none
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(
            PNG if int(width) else b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
        )
    assert len(images) == 153
    report = run("audit", site, "--offline", "--json").json()
    assert {one["severity"] for one in report["findings"]} <= {"note"}
    assert report["summary"]["by_rule"].keys() <= {"unsupported-format"}  # drawings in SVG, which are well
    assert report["summary"]["references"] > 100
