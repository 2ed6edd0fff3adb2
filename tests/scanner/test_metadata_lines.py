"""Lines `Key: value` at the top of an article, without a fence: front matter with Pelican and MkDocs."""

from __future__ import annotations

import markdown
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.origin import Answer, Origin
from imgcache.core import Edit
from imgcache.manifest import apply_edits
from imgcache.scanner import Site, extract_references, layout_of
from tests.conftest import Command, Ended, MakeSite, picture

ARTICLE = """Title: Tides: a title
Image: https://pictures.example/one.png
    https://pictures.example/two.png
Cover:https://pictures.example/three.png
Summary: seen ![x](https://pictures.example/four.png) once
Link: https://pictures.example/page
Avatar: /images/me.png

Text: ![x](https://pictures.example/five.png)
"""
FOUND = [
    ("https://pictures.example/one.png", 2, 8, "image"),
    ("https://pictures.example/two.png", 3, 5, "image"),
    ("https://pictures.example/three.png", 4, 7, "cover"),
    ("https://pictures.example/four.png", 5, 20, "summary"),
    ("/images/me.png", 7, 9, "avatar"),
    ("https://pictures.example/five.png", 9, 12, "body"),
]
SETTINGS = {
    "pelican": ("pelicanconf.py", "content"),
    "mkdocs": ("mkdocs.yml", "docs"),
    "zensical": ("zensical.toml", "docs"),
}


def listed(ended: Ended) -> list[tuple[object, ...]]:
    return [(one["url"], one["line"], one["column"], one["field"]) for one in ended.json()["references"]]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("name", SETTINGS)
def test_images_are_found_with_their_places(
    run: Command, make_site: MakeSite, name: str, bom: str, newline: str
) -> None:
    file, folder = SETTINGS[name]
    site = make_site({file: "", f"{folder}/a.md": (bom + ARTICLE.replace("\n", newline)).encode()})
    assert listed(run("scan", site, "--json")) == FOUND


def test_with_other_generators_these_lines_are_text(run: Command, make_site: MakeSite) -> None:
    site = make_site({"hugo.toml": "", "content/a.md": ARTICLE})
    ended = run("scan", site, "--json")
    assert [found[-1] for found in listed(ended)] == ["body", "body"]
    assert len(ended.json()["unread"]) == 3


def test_fields_say_which_of_them_are_images(run: Command, make_site: MakeSite) -> None:
    site = make_site({"mkdocs.yml": "", "imgcache.yml": "fields: [link]\n", "docs/a.md": ARTICLE})
    ended = run("scan", site, "--json")
    assert [found[-1] for found in listed(ended)] == ["link", "body"]
    assert {one["reason"] for one in ended.json()["unread"][:3]} == {"`fields` does not name its field"}


@pytest.mark.parametrize("text", ["https://pictures.example/a.png\n", "\nImage: https://pictures.example/a.png\n"])
def test_what_is_no_metadata_is_the_body(run: Command, make_site: MakeSite, text: str) -> None:
    ended = run(
        "scan", make_site({"mkdocs.yml": "", "docs/a.md": f"{text}\n![x](https://pictures.example/b.png)\n"}), "--json"
    )
    assert [found[0] for found in listed(ended)] == ["https://pictures.example/b.png"]


def test_an_audit_corrects_an_address_that_moved_and_nothing_else(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    old, new = "https://pictures.example/one.png", "https://pictures.example/new.png"
    for url, *_ in FOUND:
        origin.answers.set(url, picture(40, 30))
    origin.answers.set(old, Answer(status=301, location=new))
    origin.answers.set(new, picture(40, 30))
    site = make_site({"pelicanconf.py": "", "content/a.md": ARTICLE})
    run("audit", site, "--fix", *origin.connect_to)
    assert (site / "content/a.md").read_text() == ARTICLE.replace(old, new)


_URLS = st.integers(0, 9).map(lambda number: f"https://h.example/{number}.png")
_LINES = st.one_of(
    st.builds("{}{}:{}{}{}".format, st.sampled_from(["", "   "]), st.sampled_from(["Image", "COVER", "x-logo"]),
              st.sampled_from(["", " ", "\t "]), _URLS, st.sampled_from(["", "  "])),
    st.builds("{}{}".format, st.sampled_from(["    ", "      "]), _URLS),
    st.sampled_from(["Title: a: b", "Empty:", "", "    ", "text", "- item: x", "Photo image: no"]),
)  # fmt: skip


@settings(max_examples=200)
@given(lines=st.lists(_LINES, max_size=8), newline=st.sampled_from(["\n", "\r\n"]))
def test_python_markdown_reads_the_same(
    lines: list[str], newline: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "metadata"
    root.mkdir(exist_ok=True)
    (root / "mkdocs.yml").touch()
    rules = Site(root, None, layout_of(root)).rules
    data = (newline.join(lines) + newline).encode()
    judge = markdown.Markdown(extensions=["meta"])
    judge.convert("\n".join(lines) + "\n")
    wanted = sorted(
        (value, key) for key, values in judge.Meta.items() for value in values if value.startswith("https:")
    )
    found = [one for one in extract_references(data, "docs/a.md", rules) if one.field != "body"]
    assert sorted((one.url, one.field) for one in found) == wanted
    for one in found:
        edit = Edit(one.line, one.column, was=one.url, url="https://h.example/new.png")
        start = sum(map(len, data.splitlines(keepends=True)[: one.line - 1])) + one.column - 1
        edited = data[:start] + b"https://h.example/new.png" + data[start + len(one.url) :]
        assert apply_edits(data, "docs/a.md", [edit], rules) == edited
