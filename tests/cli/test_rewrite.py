"""`imgcache rewrite` as a user calls it: what it fetches, what it writes, and what it says."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from examples.origin import Origin
from imgcache.server.gallery import Gallery
from tests.conftest import A, B, Command, Ended, article, picture
from tests.support.built import page, snapshot

GONE = "https://pictures.example/gone.jpg"


@pytest.fixture
def rewrite(run: Command, origin: Origin) -> Callable[..., Ended]:
    """`imgcache rewrite` with every host led to the origin, which has A and B."""
    origin.answers.set(A, picture(1600, 1200))
    origin.answers.set(B, picture(80, 60))

    def call(*words: str | Path) -> Ended:
        return run("rewrite", *words, *origin.connect_to)

    return call


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A site with a built folder of two pages and a style sheet."""
    folder = tmp_path / "site" / "_site"
    (folder / "news").mkdir(parents=True)
    (folder / "index.html").write_text(page(f'<img src="{A}" alt="">', f'<img src="{B}" alt="">'))
    (folder / "news" / "index.html").write_text(page(f'<img src="{A}" alt="">'))
    (folder / "style.css").write_text(f"body {{ background: url({B}) }}\n")
    (tmp_path / "site" / "imgcache.yml").write_text("")
    return folder


def test_pages_load_local_images(rewrite: Callable[..., Ended], built: Path) -> None:
    report = rewrite(built, "--json").json()
    assert report | {"seconds": 0} == {
        "pages": 3,
        "changed": 3,
        "references": 4,
        "images": 2,
        "rewritten": 4,
        "left": 0,
        "fetched": 2,
        "failed": 0,
        "seconds": 0,
        "problems": [],
    }
    for path in built.rglob("*.html"):
        assert "https://" not in path.read_text()
    assert "url(assets/imgcache/" in (built / "style.css").read_text()
    assert (built / "assets/imgcache").is_dir()
    assert (built.parent / "cache/manifest.json").is_file()


def test_the_last_lines_are_the_verdict_and_what_comes_next(
    rewrite: Callable[..., Ended], built: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.parent)
    (built / "bad.html").write_text(page(f'<img src="{GONE}" alt="">'))

    def last(*options: str) -> list[str]:
        return rewrite("_site", *options).out.splitlines()[-2:]

    remote = "5 places still load their images from other hosts."
    assert last("--check") == [remote, "Next: `imgcache rewrite _site` makes 3 images local."]
    assert last("--dry-run")[1] == "Next: `imgcache rewrite _site` does this."
    held = "Next: `imgcache rewrite _site`, without --offline, fetches 3 images and makes these places local."
    assert last("--offline") == [remote, held]
    assert last() == [
        "1 place still loads its image from other hosts.",
        "Next: `imgcache show URL` tells what is known of one image; the next run tries them again.",
    ]
    assert last("--check")[1].startswith("Next: `imgcache show URL`")
    (built / "bad.html").unlink()
    done = "The pages load no remote image."
    assert last() == [
        done,
        "Next: publish the folder; `imgcache audit --built _site` finds what else readers load.",
    ]
    assert last("--check")[1] == last("--dry-run")[1] == done
    monkeypatch.chdir(built.parent.parent)
    ended = rewrite("site/_site", "site")
    assert "`imgcache audit site --built site/_site`" in ended.out.splitlines()[-1]


def test_a_second_run_changes_no_byte_and_makes_no_request(
    rewrite: Callable[..., Ended], built: Path, origin: Origin
) -> None:
    assert rewrite(built).code == 0
    before, asked = snapshot(built), sum(origin.requests.values())
    ended = rewrite(built, "--json")
    assert (ended.code, snapshot(built), sum(origin.requests.values())) == (0, before, asked)
    assert (ended.json()["changed"], ended.json()["references"]) == (0, 0)


def test_a_rebuilt_page_is_rewritten_without_a_request(
    rewrite: Callable[..., Ended], built: Path, origin: Origin
) -> None:
    source = (built / "index.html").read_bytes()
    assert rewrite(built).code == 0
    done, asked = (built / "index.html").read_bytes(), sum(origin.requests.values())
    (built / "index.html").write_bytes(source)
    report = rewrite(built, "--json").json()
    assert (report["changed"], report["rewritten"], sum(origin.requests.values())) == (1, 2, asked)
    assert (built / "index.html").read_bytes() == done


def test_an_image_that_cannot_be_had_is_left_and_named_with_its_places(
    rewrite: Callable[..., Ended], built: Path
) -> None:
    (built / "news/index.html").write_text(page(f'<p>é <img src="{GONE}" alt=""></p>'))
    ended = rewrite(built, "--json")
    report = ended.json()
    assert (ended.code, report["failed"], report["left"]) == (1, 1, 1)
    (problem,) = report["problems"]
    assert (problem["code"], problem["url"]) == ("http-status", GONE)
    assert problem["references"] == [{"article": "_site/news/index.html", "line": 3, "column": 16, "field": "built"}]
    assert GONE in (built / "news/index.html").read_text()


def test_check_changes_nothing_and_finds_what_could_be_local(rewrite: Callable[..., Ended], built: Path) -> None:
    before = snapshot(built.parent)
    ended = rewrite(built, "--check", "--json")
    assert ended.code == 1
    assert {(one["code"], one["url"]) for one in ended.json()["problems"]} == {("remote-image", A), ("remote-image", B)}
    assert snapshot(built.parent) == before
    assert rewrite(built).code == 0
    assert rewrite(built, "--check").code == 0


def test_check_passes_over_an_image_that_is_known_to_be_gone(rewrite: Callable[..., Ended], built: Path) -> None:
    (built / "news/index.html").write_text(page(f'<img src="{GONE}" alt="">'))
    assert rewrite(built).code == 1
    ended = rewrite(built, "--check", "--json")
    assert (ended.code, ended.json()["left"]) == (0, 1)


def test_a_dry_run_touches_nothing(rewrite: Callable[..., Ended], built: Path, origin: Origin) -> None:
    before = snapshot(built.parent)
    report = rewrite(built, "--dry-run", "--json").json()
    assert (report["rewritten"], report["changed"], report["dry_run"]) == (4, 3, True)
    assert (snapshot(built.parent), dict(origin.requests)) == (before, {})


def test_offline_uses_what_is_held(rewrite: Callable[..., Ended], run: Command, built: Path, origin: Origin) -> None:
    (built.parent / "a.md").write_text(article((A, 1600, 1200)))
    assert run("sync", built.parent).code == 0
    asked = sum(origin.requests.values())
    ended = rewrite(built, "--offline", "--json")
    report = ended.json()
    assert (report["rewritten"], report["left"], sum(origin.requests.values())) == (2, 2, asked)
    [left] = report["problems"]
    assert (ended.code, left["code"], left["url"], left["severity"]) == (0, "not-held", B, "warning")
    assert len(left["references"]) == 2


@pytest.mark.parametrize(
    ("written", "asked_for"),
    [
        ("https://pictures.example/c.jpg?w=1&amp;h=2", "https://pictures.example/c.jpg?w=1&h=2"),
        ("https://pictures.example/c.jpg?w=1&#038;h=2", "https://pictures.example/c.jpg?w=1&h=2"),
        ("https://pictures.example/c.jpg?w=1&#x26;h=2", "https://pictures.example/c.jpg?w=1&h=2"),
        ("//pictures.example/a b.jpg", "https://pictures.example/a%20b.jpg"),
        ("https://pictures.example/é.jpg", "https://pictures.example/%C3%A9.jpg"),
    ],
)
@pytest.mark.parametrize("is_read_before", [False, True])
def test_a_copy_serves_every_way_to_write_its_address(
    rewrite: Callable[..., Ended],
    run: Command,
    built: Path,
    origin: Origin,
    *,
    written: str,
    asked_for: str,
    is_read_before: bool,
) -> None:
    """An article writes an address in one way, its page in another: there is one copy, and no second request."""
    origin.answers.set(asked_for, picture(60, 40))
    (built.parent / "a.md").write_text(article((written, 60, 40)))
    for path in (built / "news/index.html", built / "style.css"):
        path.unlink()
    (built / "index.html").write_text(page(f'<img src="{asked_for.replace("&", "&amp;")}" alt="">'))
    if is_read_before:
        assert rewrite(built, "--offline", "--json").json()["left"] == 1
    assert run("sync", built.parent).code == 0
    asked = dict(origin.requests)
    assert rewrite(built, "--check", "--json").json()["problems"][0]["code"] == "remote-image"
    report = rewrite(built, "--offline", "--json").json()
    assert (report["rewritten"], report["left"], report["problems"]) == (1, 0, [])
    assert "https://" not in (built / "index.html").read_text()
    before = snapshot(built)
    again = rewrite(built, "--json").json()
    assert (again["changed"], again["references"], snapshot(built)) == (0, 0, before)
    assert dict(origin.requests) == asked


def test_a_script_that_draws_images_of_the_pages_is_a_warning(rewrite: Callable[..., Ended], built: Path) -> None:
    script = f'export default `<p><img src="{A}"><a href="https://other.example/x.png">`;'
    (built / "assets").mkdir(exist_ok=True)
    (built / "assets/app.js").write_text(script)
    for _ in range(2):  # also when there is nothing left to do
        ended = rewrite(built, "--json")
        [found] = ended.json()["problems"]
        assert (ended.code, found["code"], found["severity"]) == (0, "script-images", "warning")
        assert found["references"][0]["article"] == "_site/assets/app.js"
        assert "names 1 image of these pages" in found["message"]
    assert (built / "assets/app.js").read_text() == script


@pytest.mark.parametrize(
    ("imported", "pictures"),
    [("https://cdn.example/theme.css", 0), ("https://fonts.example/css2", 1), ("plain.css", 1)],
)
def test_no_picture_stands_where_a_style_sheet_imports_one_of_another_host(
    rewrite: Callable[..., Ended], built: Path, imported: str, pictures: int
) -> None:
    """Its rules are not known: one of them may match an image by its parent."""
    variants = "[{name: a, width: 320, format: avif, effort: 0}, {name: w, width: 320, format: webp, effort: 0}]"
    (built.parent / "imgcache.yml").write_text(f"variants: {variants}\n")
    (built / "style.css").write_text(f"@import url({imported});\n")
    assert rewrite(built).code == 0
    assert (built / "news/index.html").read_text().count("<picture") == pictures


def test_a_folder_without_pages_is_an_error(rewrite: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/style.css").write_text("")
    ended = rewrite(tmp_path / "empty", tmp_path)
    assert ended.code == 2
    assert "has no HTML page" in ended.err


def test_a_path_outside_the_folder_is_refused(rewrite: Callable[..., Ended], built: Path) -> None:
    for path in ("../up", "/absolute"):
        ended = rewrite(built, "--to", path)
        assert (ended.code, "is not a path inside BUILT" in ended.err) == (2, True)


def test_the_site_is_the_nearest_folder_with_settings(
    rewrite: Callable[..., Ended], built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (built.parent / "imgcache.yml").unlink()
    monkeypatch.chdir(tmp_path)
    assert rewrite(built).code == 0
    assert (tmp_path / "cache").is_dir()
    (built / "imgcache.yml").write_text("")
    assert rewrite(built).code == 0
    assert (built / "cache").is_dir()


def test_other_folder_and_address_of_the_images(rewrite: Callable[..., Ended], built: Path) -> None:
    assert rewrite(built, "--to", "img", "--assets-url", "https://cdn.example/img/").code == 0
    assert 'src="https://cdn.example/img/' in (built / "index.html").read_text()
    assert any((built / "img").rglob("*.webp"))


def test_links_lead_to_the_local_file_if_that_is_set(rewrite: Callable[..., Ended], built: Path) -> None:
    (built / "index.html").write_text(page(f'<a href="{A}"><img src="{A}" alt=""></a>'))
    assert rewrite(built).code == 0
    assert f'<a href="{A}">' in (built / "index.html").read_text()
    (built.parent / "imgcache.yml").write_text("rewrite: {links: true}\n")
    assert rewrite(built).code == 0
    assert A not in (built / "index.html").read_text()


def test_an_unknown_setting_is_refused(rewrite: Callable[..., Ended], built: Path) -> None:
    (built.parent / "imgcache.yml").write_text("rewrite: {link: true}\n")
    ended = rewrite(built)
    assert (ended.code, "rewrite.link" in ended.err) == (2, True)


def test_places_that_need_an_absolute_address(rewrite: Callable[..., Ended], built: Path) -> None:
    shared = f'<meta property="og:image" content="{A}">'
    (built / "index.html").write_text(page("").replace("<head>", f"<head>{shared}"))
    ended = rewrite(built, "--json")
    assert ended.code == 0
    assert [one["code"] for one in ended.json()["problems"]] == ["no-site-url"]
    (built.parent / "imgcache.yml").write_text("site_url: https://example.org/base\n")
    assert rewrite(built, "--json").json()["left"] == 0
    assert 'content="https://example.org/base/assets/imgcache/' in (built / "index.html").read_text()


def test_images_of_built_pages_alone_are_in_use(
    rewrite: Callable[..., Ended], run: Command, built: Path, origin: Origin
) -> None:
    """They survive a sync of the site and a gc, and `show` says where they are used."""
    (built.parent / "a.md").write_text(article((B, 80, 60)))
    assert rewrite(built).code == 0
    assert run("sync", built.parent).code == 0
    ended = run("gc", built.parent, "--yes", "--json")
    assert (ended.code, ended.json()["copies"]) == (0, 0)
    shown = run("show", A, built.parent, "--json").json()
    assert [place["article"] for place in shown["references"]] == ["_site/index.html", "_site/news/index.html"]
    assert run("verify", built.parent).code == 0
    asked = sum(origin.requests.values())
    assert rewrite(built, "--json").json()["changed"] == 0
    assert sum(origin.requests.values()) == asked


def test_the_gallery_names_built_pages(rewrite: Callable[..., Ended], built: Path) -> None:
    (built.parent / "a.md").write_text(article((B, 80, 60)))
    assert rewrite(built).code == 0
    gallery = Gallery(built.parent / "cache", built.parent)
    shown = gallery.respond("/", {})
    assert shown is not None
    (link,) = {link for link in re.findall(r'href="([^"]*url=[^"]*)"', shown.body.decode()) if "a.jpg" in link}
    parts = urlsplit(unescape(link))
    page_of_image = gallery.respond(parts.path, parse_qs(parts.query))
    assert page_of_image is not None
    assert "_site/news/index.html:3:" in page_of_image.body.decode()


def test_a_built_folder_that_is_forgotten_frees_its_images(
    rewrite: Callable[..., Ended], run: Command, built: Path
) -> None:
    (built.parent / "a.md").write_text(article((B, 80, 60)))
    assert rewrite(built).code == 0
    assert run("sync", built.parent).code == 0
    ended = run("gc", built.parent, "--yes", "--json", "--forget-site", built)
    assert (ended.code, ended.json()["copies"]) == (0, 1)


def test_a_site_that_is_built_in_place(rewrite: Callable[..., Ended], run: Command, built: Path) -> None:
    """A folder of plain HTML is both the site and what is built; its images stay in use after it was rewritten."""
    (built / "imgcache.yml").write_text("")
    assert rewrite(built, built).code == 0
    assert run("sync", built).code == 0
    ended = run("gc", built, "--yes", "--json")
    assert (ended.code, ended.json()["copies"]) == (0, 0)
    assert rewrite(built, built, "--json").json()["changed"] == 0


def test_an_element_that_is_kept(rewrite: Callable[..., Ended], built: Path) -> None:
    text = page(f'<div data-imgcache="keep"><img src="{A}" alt=""></div>')
    (built / "index.html").write_text(text)
    assert rewrite(built).code == 0
    assert (built / "index.html").read_text() == text


def test_hard_links_are_set_apart_and_the_mode_is_kept(rewrite: Callable[..., Ended], built: Path) -> None:
    file, other = built / "index.html", built.parent / "index.copy"
    file.chmod(0o640)
    os.link(file, other)
    before = other.read_bytes()
    assert rewrite(built).code == 0
    assert file.stat().st_mode & 0o777 == 0o640
    assert other.read_bytes() == before != file.read_bytes()


def test_settings_and_cache_that_the_build_copied_do_not_make_the_built_folder_a_site(
    run: Command, origin: Origin, built: Path, rewrite: Callable[..., Ended]
) -> None:
    """Jekyll copies imgcache.yml and cache/ into `_site`."""
    site = built.parent
    (site / "imgcache.yml").write_text("site_url: https://site.example\n")
    shutil.copy(site / "imgcache.yml", built)
    assert run("rewrite", built, *origin.connect_to).code == 0
    assert (site / "cache/manifest.json").is_file()
    assert not (built / "cache").exists()
    (built / "imgcache.yml").write_text("site_url: https://other.example\n")
    assert run("rewrite", built, *origin.connect_to).code == 0
    assert (built / "cache/manifest.json").is_file()


def test_a_cache_that_the_generator_published_is_a_warning(rewrite: Callable[..., Ended], built: Path) -> None:
    assert rewrite(built, "--json").json()["problems"] == []
    shutil.copytree(built.parent / "cache", built / "cache")
    shutil.copy(built.parent / "imgcache.yml", built)
    ended = rewrite(built, "--json")
    found = [(one["code"], one["severity"], one["references"][0]["article"]) for one in ended.json()["problems"]]
    assert found == [
        ("published-cache", "warning", "_site/cache/manifest.json"),
        ("published-cache", "warning", "_site/imgcache.yml"),
    ]
    assert ended.code == 0


def test_the_cache_of_pages_that_are_their_own_site_is_no_copy(rewrite: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "imgcache.yml").write_text("")
    (tmp_path / "index.html").write_text(page(f'<img src="{A}" alt="">'))
    for _ in range(2):
        assert rewrite(tmp_path, tmp_path, "--json").json()["problems"] == []
