"""The offline audit: on the real site against a second, simpler implementation, and case by case."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from PIL import Image

from tests.conftest import Command, MakeSite, article
from tests.support.site_files import tree

Spot = tuple[str, int, str]  # article, line, URL

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_BODY = re.compile(r"!\[[^\]]*\]\(([^\s)]+)|<img\b[^>]*?\ssrc=\"([^\"]+)\"")


def entries(node: yaml.Node | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields every mapping of an `images` list at any depth, with the line of its URL in the YAML, from 0."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from entries(item)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "images" and isinstance(value, yaml.SequenceNode):
                for item in value.value:
                    pairs = {name.value: part for name, part in item.value}
                    yield pairs["url"].start_mark.line, {name: part.value for name, part in pairs.items()}
            else:
                yield from entries(value)


def mentions(text: str) -> Iterator[tuple[int, str, tuple[int, int] | None]]:
    """Line, URL and declared size of every image in one article."""
    front = _FRONT.match(text)
    if front:
        for line, entry in entries(yaml.compose(front[1])):
            size = (int(entry["width"]), int(entry["height"])) if "width" in entry else None
            yield line + 2, entry["url"], size
    for found in _BODY.finditer(text, front.end() if front else 0):
        start = found.start(1) if found[1] else found.start(2)
        if text[text.rfind("\n", 0, start) + 1] == "\t":
            continue  # in this site's bodies that makes a code block: no image is shown there
        yield text.count("\n", 0, start) + 1, found[1] or found[2], None


def own_troubles(site: Path) -> tuple[set[Spot], set[Spot]]:
    """Returns the references to missing own images, and those that declare another size than the file has."""
    config = yaml.safe_load((site / "_config.yml").read_text())
    address = config["url"] + config["baseurl"]
    missing, other = set(), set()
    for path in sorted(site.rglob("*.md")):
        name = path.relative_to(site).as_posix()
        for line, url, declared in mentions(path.read_text()):
            if url.startswith("data:") or (re.match(r"[a-z]+:|//", url) and not url.startswith(address)):
                continue
            inside = unquote(url.removeprefix(address).removeprefix(config["baseurl"]).split("?")[0]).lstrip("/")
            file = site / inside if url.startswith(("/", address)) else path.parent / inside
            if not file.is_file() or file not in file.parent.iterdir():
                missing.add((name, line, url))
                continue
            with Image.open(file) as image:
                if declared and image.size != declared:
                    other.add((name, line, url))
    return missing, other


def test_on_the_real_site_all_own_images_are_checked_and_no_others(run: Command, shared: Path, tmp_path: Path) -> None:
    site = shared / "site"
    missing, other = own_troubles(site)
    assert len(missing) > 10
    assert other
    report = run("audit", site, "--offline", "--json", "--cache", tmp_path / "cache").json()
    found: dict[str, set[Spot]] = {}
    for one in report["findings"]:
        if one["rule"] == "flag-without-copy":  # one note: that site's flags are of a cache that is not here
            assert (one["severity"], one["url"]) == ("note", None)
            continue
        for place in one["references"]:
            found.setdefault(one["rule"], set()).add((place["article"], place["line"], one["url"]))
            text = (site / place["article"]).read_text().splitlines()[place["line"] - 1]
            assert text[place["column"] - 1 :].lstrip("\"'").startswith(one["url"])
    assert found.pop("missing-file") == missing
    assert found.pop("scaled", set()) | found.pop("dimensions", set()) == other
    assert not found
    assert not (tmp_path / "cache").exists()


def own(run: Command, site: Path) -> dict[str, dict[str, Any]]:
    """The findings by URL."""
    return {one["url"]: one for one in run("audit", site, "--offline", "--json").json()["findings"]}


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_own_images_must_exist_be_valid_and_have_the_declared_size(run: Command, make_site: MakeSite) -> None:
    site = make_site(
        {
            "posts/a.md": article(
                ("/img/good.png", 40, 30),
                ("/img/turned.png", 40, 30),
                ("/img/big.png", 400, 300),
                ("/img/page.png", 1, 1),
                ("/img/broken.png", 40, 30),
                ("/img/drawing.svg", 40, 30),
                ("/img/none.png", 40, 30),
                ("beside.png", 40, 30),
            ),
            "img/good.png": png(40, 30),
            "img/turned.png": png(30, 40),
            "img/big.png": png(40, 30),
            "img/page.png": b"<!doctype html><title>404</title>",
            "img/broken.png": png(40, 30)[:20],
            "img/drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
            "posts/beside.png": png(40, 30),
        }
    )
    before = tree(site)
    found = {url: (one["rule"], one["severity"], one["state"]) for url, one in own(run, site).items()}
    assert found == {
        "/img/turned.png": ("dimensions", "error", None),
        "/img/big.png": ("scaled", "warning", None),
        "/img/page.png": ("not-an-image", "error", None),
        "/img/broken.png": ("undecodable", "error", None),
        "/img/drawing.svg": ("unsupported-format", "note", None),
        "/img/none.png": ("missing-file", "error", None),
    }
    assert tree(site) == before


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("/img/Photo.PNG", "img/photo.png"),
        ("/IMG/photo.png", "img/photo.png"),
        ("img/photo.PNG", "posts/img/photo.png"),
        ("/img/photo.PNG", "static/img/photo.png"),
        ("https://example.org/news/img/Photo.png", "img/photo.png"),
        ("/news/img/Photo.png", "img/photo.png"),
    ],
)
def test_a_file_that_differs_only_in_case_is_suggested(run: Command, make_site: MakeSite, url: str, file: str) -> None:
    settings = "site_url: https://example.org/news\n"
    site = make_site({"posts/a.md": article((url, 40, 30)), file: png(40, 30), "imgcache.yml": settings})
    found = own(run, site)[url]
    assert found["rule"] == "missing-file"
    assert f"there is {file}" in found["message"]
    assert "case" in found["remedy"]


def test_a_file_of_the_same_name_in_another_folder_is_not_suggested(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article(("/img/photo.PNG", 40, 30)), "other/img/photo.png": png(40, 30)})
    assert own(run, site)["/img/photo.PNG"]["message"] == "no such file in the site"


def test_a_symbolic_link_out_of_the_site_is_neither_found_nor_suggested(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article(("/photo.png", 40, 30))})
    (site.parent / "outside.png").write_bytes(png(40, 30))
    (site / "photo.png").symlink_to(site.parent / "outside.png")
    assert own(run, site)["/photo.png"]["message"] == "no such file in the site"


def test_invalid_urls_are_found_offline(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article(("ftp://x.example/a.png", 1, 1), ("https://x..example/a.png", 1, 1))})
    found = {url: (one["rule"], one["severity"]) for url, one in own(run, site).items()}
    assert found == {
        "ftp://x.example/a.png": ("bad-scheme", "error"),
        "https://x..example/a.png": ("bad-url", "error"),
    }


def test_dimensions_ignore_reports_no_sizes(run: Command, make_site: MakeSite) -> None:
    files: dict[str, str | bytes] = {"a.md": article(("/a.png", 30, 40)), "a.png": png(40, 30)}
    assert list(own(run, make_site(files))) == ["/a.png"]
    assert own(run, make_site(files | {"imgcache.yml": "dimensions: ignore\n"})) == {}
