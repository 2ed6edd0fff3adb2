"""Which files of a site are articles, by its generator; and a site without any."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import Command, MakeSite, article

EVERYWHERE = ["_layouts/a.html", "docs/_includes/a.md", "_site/a.html", "_sass/a.md", ".jekyll-cache/a.html"]
HUGO = ["layouts/index.html", "archetypes/default.md", "themes/x/a.md", "public/index.html", "resources/a.html"]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


def found(run: Command, site: Path) -> int:
    return run("status", site, "--json").json()["articles"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("config", "left_out"),
    [
        ({}, EVERYWHERE),
        ({"_config.yml": ""}, EVERYWHERE),
        ({"hugo.toml": ""}, EVERYWHERE + HUGO),
        ({"config.yaml": "", "content/x.txt": ""}, EVERYWHERE + HUGO),
        ({"config/_default/hugo.toml": ""}, EVERYWHERE + HUGO),
        ({"_config.yml": "", "scaffolds/post.md": ""}, ["scaffolds/post.md", "themes/x/a.md", "public/index.html"]),
        ({"mkdocs.yml": ""}, ["site/index.html"]),
        ({"gatsby-config.js": ""}, ["public/index.html"]),
    ],
)
def test_templates_and_built_folders_are_no_articles(
    run: Command, make_site: MakeSite, config: dict[str, str], left_out: list[str]
) -> None:
    others = dict.fromkeys(left_out, "")
    site = make_site({"content/a.md": "", "notes/layouts/a.md": "", "notes/public/b.md": ""} | others | config)
    assert found(run, site) == 3


def test_folders_of_other_generators_hold_articles(run: Command, make_site: MakeSite) -> None:
    site = make_site(dict.fromkeys(HUGO, ""))
    assert found(run, site) == len(HUGO)
    assert found(run, make_site({"config.toml": ""})) == 0  # beside `layouts` it is Hugo's


@pytest.mark.parametrize("target", ["jekyll", "hugo", "eleventy"])
def test_an_export_is_no_article(run: Command, make_site: MakeSite, target: str) -> None:
    site = make_site({"a.md": article(("https://h.example/a.png", 6, 4))})
    assert run("export", target, site).code == 0
    if target == "jekyll":  # moved to where the site keeps its includes
        (site / "parts").mkdir()
        (site / "_includes" / "imgcache.html").rename(site / "parts" / "imgcache.html")
    assert found(run, site) == 1 or target == "hugo"
    (site / "hugo.toml").touch()
    assert found(run, site) == 1


@pytest.mark.parametrize("command", ["sync", "audit"])
def test_a_site_without_articles_is_refused(run: Command, make_site: MakeSite, command: str) -> None:
    site = make_site({"a.txt": "", "_layouts/a.html": ""})
    ended = run(command, site, *(["--offline"] if command == "audit" else []))
    assert ended.code == 2
    assert str(site) in ended.err
    assert "**/*.md" in ended.err
    assert "_layouts" in ended.err


def test_an_own_svg_is_a_note(run: Command, origin: Origin, make_site: MakeSite) -> None:
    site = make_site({"a.md": "![a](/a.svg)\n", "a.svg": SVG})
    for words in (["sync"], ["audit", "--offline"]):
        ended = run(words[0], site, "--json", *words[1:])
        assert ended.code == 0
        [said] = ended.json().get("problems") or ended.json()["findings"]
        assert said["severity"] == "note"
