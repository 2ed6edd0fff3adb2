"""`imgcache scan`: what is seen, where, and what is not understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from examples.origin import Origin
from tests.conftest import Command, MakeSite, picture
from tests.support.aftermath import tree

ARTICLE = """---
title: A walk
thumbnail: https://pics.example/thumb.png
images:
  - url: https://pics.example/a.jpg
    width: 4
    height: 3
  - url: /assets/b.png
---
![one](https://pics.example/one.webp) ![two](data:image/gif;base64,R0lGODlhAQABAAAAACw=)

See [the large one](https://pics.example/large.jpeg) or `//pics.example/code.gif`.
"""


def test_each_reference_has_its_kind_place_and_field(run: Command, make_site: MakeSite) -> None:
    site = make_site({"posts/a.md": ARTICLE})
    ended = run("scan", site, "--json")
    report = ended.json()
    assert (ended.code, report["articles"], report["problems"]) == (0, 1, [])
    assert [(one["kind"], one["field"], one["line"], one["column"]) for one in report["references"]] == [
        ("remote", "thumbnail", 3, 12),
        ("remote", "images", 5, 10),
        ("own", "images", 8, 10),
        ("remote", "body", 10, 8),
        ("inline", "body", 10, 46),
    ]
    assert {one["article"] for one in report["references"]} == {"posts/a.md"}


def test_what_looks_like_an_image_and_is_not_read_is_listed_with_its_reason(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": ARTICLE})
    unread = run("scan", site, "--json").json()["unread"]
    assert [(one["url"], one["line"], one["column"]) for one in unread] == [
        ("https://pics.example/large.jpeg", 12, 21),
        ("//pics.example/code.gif", 12, 58),
    ]
    text = run("scan", site).out
    assert "2 addresses look like images and are not read:" in text
    assert "a.md:12:21: https://pics.example/large.jpeg" in text


UNREAD = """---
images:
  - url: https://pics.example/a.jpg
cover: {image: https://pics.example/cover.png}
gallery: ["//pics.example/one.webp?w=1", "https://pics.example/two.gif"]
# teaser: https://pics.example/comment.png
---
[linked](https://pics.example/large.jpg)
"""


def test_what_a_setting_leaves_unread_is_counted_at_the_end_of_sync_and_audit(
    run: Command, make_site: MakeSite, origin: Origin
) -> None:
    site = make_site({"a.md": UNREAD, "b.md": UNREAD, "imgcache.yml": "fields: none\nflag: []\n"})
    origin.answers.set("https://pics.example/a.jpg", picture(4, 3))
    reasons = {one["reason"] for one in run("scan", site, "--json").json()["unread"] if one["line"] < 6}
    assert reasons == {"`fields` is none, so that only lists named `images` are read"}
    for command in ("sync", "sync", "audit"):  # the second reads no article again
        text = run(command, site, *origin.connect_to).out
        assert "6 addresses in front matter or data files look like images and are not read:" in text
        assert "a.md:4:16, a.md:5:12, a.md:5:43 and 3 more; see `fields` in imgcache.yml" in text
        report = run(command, site, "--json", *origin.connect_to).json()
        assert report["unread"]["count"] == 6
        assert [one["line"] for one in report["unread"]["places"]] == [4, 5, 5]
    (site / "imgcache.yml").write_text("flag: []\n")
    for command in ("sync", "audit"):
        assert "look like images" not in run(command, site, "--offline").out


def test_an_article_that_cannot_be_read_is_a_problem_and_hides_no_other(run: Command, make_site: MakeSite) -> None:
    site = make_site({"bad.md": "---\nimages: [\n---\n![x](https://pics.example/x.png)\n", "good.md": ARTICLE})
    ended = run("scan", site, "--json")
    report = ended.json()
    assert ended.code == 1
    assert [problem["code"] for problem in report["problems"]] == ["article-unreadable"]
    found = [(one["url"], one["line"], one["column"]) for one in report["references"] if one["article"] == "bad.md"]
    assert found == [("https://pics.example/x.png", 4, 6)]  # the body is read all the same
    assert len(report["references"]) == 6


def test_it_touches_nothing(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": ARTICLE})
    before = tree(site)
    run("scan", site)
    assert tree(site) == before


def test_a_folder_without_articles_is_an_error_that_says_where_it_looked(run: Command, tmp_path: Path) -> None:
    ended = run("scan", tmp_path)
    assert ended.code == 2
    assert "no article found" in ended.err
    assert "*.md" in ended.err


def is_rendered(file: Path, url: str) -> bool:
    """Whether Markdown makes an image of it. Text in an HTML block stays text (CommonMark 0.31, section 4.6)."""
    return f'<img src="{url}"' in MarkdownIt("commonmark").render(file.read_text())


@pytest.mark.parametrize("name", ["coderzh-hugo-blog", "eleventy-blog", "kubeflow", "origogi.github.io", "prakhar1989"])
def test_in_bodies_of_real_sites_nearly_every_image_is_seen_and_none_is_invented(
    run: Command, shared: Path, name: str
) -> None:
    site = shared / "sites" / name
    truth = [json.loads(line) for line in (site.parent / f"{name}.truth.jsonl").read_text().splitlines()]
    found = run("scan", site, "--json").json()["references"]
    seen = {(one["url"], one["article"]) for one in found}
    for kind in ("md ![](url)", "html <img src>", "shortcode ", "css "):
        wanted = [(url, file, line) for class_, url, file, line in truth if class_.startswith(kind)]
        missed = [(url, file, line) for url, file, line in wanted if (url, file) not in seen]
        if kind == "md ![](url)":  # the truth takes these for images, and no Markdown parser does
            missed = [one for one in missed if is_rendered(site / one[1], one[0])]
        assert len(missed) <= 0.02 * len(wanted), missed[:5]
    known = {(url, file) for _, url, file, _ in truth}
    in_bodies = [one for one in found if one["kind"] == "remote" and one["field"] in {"body", "shortcode"}]
    assert [one for one in in_bodies if (one["url"], one["article"]) not in known] == []
