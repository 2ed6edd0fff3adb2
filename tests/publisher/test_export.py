"""`imgcache export` without a generator: what is written, and what is left alone."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Command, MakeSite, article
from tests.support.exported import FOLDER, GENERATED, A, B, data, state, synced_site
from tests.support.site_files import tree


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synced once, copied for each test."""
    return synced_site(tmp_path_factory.mktemp("synced") / "site")


@pytest.fixture
def site(synced: Path, tmp_path: Path) -> Path:
    """A copy of the site, to be written into."""
    return Path(shutil.copytree(synced, tmp_path / "site"))


@pytest.mark.parametrize("target", GENERATED)
def test_a_second_run_changes_no_byte_and_no_time(run: Command, site: Path, target: str) -> None:
    publish = site / "static/pictures"
    first = run("export", target, site, "--copy-to", publish, "--assets-url", "/pictures")
    assert first.code == 0, first
    assert set(GENERATED[target]) <= set(tree(site))
    before = state(site)
    again = run("export", target, site, "--copy-to", publish, "--assets-url", "/pictures")
    assert again.code == 0
    assert state(site) == before
    assert [line for line in again.out.splitlines() if ": unchanged" in line] == [
        f"{name}: unchanged" for name in GENERATED[target]
    ]


@pytest.mark.parametrize("target", GENERATED)
def test_a_file_of_the_users_is_not_overwritten(run: Command, site: Path, target: str) -> None:
    name = GENERATED[target][1]
    (site / name).parent.mkdir(parents=True, exist_ok=True)
    (site / name).write_text("<!-- mine -->\n")
    before = tree(site)
    refused = run("export", target, site)
    assert refused.code == 2
    assert name in refused.err
    assert "--force" in refused.err
    assert tree(site) == before
    assert run("export", target, site, "--force").code == 0
    assert "Written by imgcache export" in (site / name).read_text()
    assert run("export", target, site).code == 0


def test_a_folder_or_a_dangling_link_of_that_name_is_refused(run: Command, site: Path) -> None:
    (site / "_includes").mkdir()
    (site / "_includes/imgcache.html").symlink_to("nowhere")
    assert run("export", "jekyll", site).code == 2
    (site / "_includes/imgcache.html").unlink()
    (site / "_includes/imgcache.html").mkdir()
    assert "move away" in run("export", "jekyll", site).err


def test_output_goes_where_it_is_told(run: Command, site: Path, tmp_path: Path) -> None:
    run("export", "eleventy", site, "--output", tmp_path / "src", "--assets-url", "https://cdn.example/x/")
    assert data(tmp_path / "src")["assets"] == "https://cdn.example/x"
    assert not (site / "_data").exists()


def test_files_are_placed_once_and_go_when_no_page_asks_for_them(run: Command, site: Path, tmp_path: Path) -> None:
    publish = tmp_path / "public"
    publish.mkdir()
    digest = "ab" * 32
    (publish / "ab" / digest).mkdir(parents=True)
    (publish / "ab" / digest / "mine.txt").write_text("mine")
    (publish / "readme.txt").write_text("mine")
    run("export", "jekyll", site, "--copy-to", publish)
    placed = {name for name in tree(publish) if name.endswith((".jpg", ".webp", ".png"))}
    wanted = {image: data(site)["images"][image]["at"] for image in (A, B)}
    names = {A: ["original.jpg", "thumb.jpg", "w1280.webp", "w320.webp", "w640.webp"], B: ["thumb.jpg", "w320.webp"]}
    assert placed == {f"{wanted[url]}/{name}" for url in names for name in names[url]}
    for name in placed:
        assert (publish / name).samefile(site / "cache/assets" / name)
    run("forget", A, site)
    ended = run("export", "jekyll", site, "--copy-to", publish)
    assert "0 files copied, 2 unchanged, 5 removed" in ended.out
    assert not (publish / wanted[A]).exists()
    left = {name for name in tree(publish) if name != ".imgcache-export"}
    assert left == {f"{wanted[B]}/{name}" for name in names[B]} | {"readme.txt", f"ab/{digest}/mine.txt"}


def test_files_are_copied_where_they_cannot_be_linked_and_mended_where_they_changed(
    run: Command, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    publish = tmp_path / "public"
    run("export", "hugo", site, "--copy-to", publish)
    at = data(site, "data/imgcache.json")["images"][A]["at"]
    thumb = publish / at / "thumb.jpg"
    assert thumb.read_bytes() == (site / "cache/assets" / at / "thumb.jpg").read_bytes()
    assert thumb.stat().st_nlink == 1
    before = state(publish)
    run("export", "hugo", site, "--copy-to", publish)
    assert state(publish) == before
    thumb.write_bytes(b"cut off")
    assert "1 file copied, 6 unchanged" in run("export", "hugo", site, "--copy-to", publish).out
    assert thumb.read_bytes() == (site / "cache/assets" / at / "thumb.jpg").read_bytes()


def test_a_file_of_the_users_in_the_folder_is_not_replaced(run: Command, site: Path, tmp_path: Path) -> None:
    run("export", "jekyll", site)
    publish = tmp_path / "public"
    mine = publish / data(site)["images"][A]["at"] / "thumb.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    refused = run("export", "jekyll", site, "--copy-to", publish)
    assert (refused.code, mine.read_bytes()) == (2, b"mine")
    assert "thumb.jpg" in refused.err
    again = run("export", "jekyll", site, "--copy-to", publish)
    assert (again.code, mine.read_bytes()) == (2, b"mine"), "the refusal is not forgotten"
    assert run("export", "jekyll", site, "--copy-to", publish, "--force").code == 0
    assert mine.samefile(site / "cache/assets" / data(site)["images"][A]["at"] / "thumb.jpg")


def test_a_listing_that_names_other_files_removes_none_of_them(run: Command, site: Path, tmp_path: Path) -> None:
    publish = tmp_path / "public"
    run("export", "jekyll", site, "--copy-to", publish)
    (tmp_path / "near.txt").write_text("precious")
    (tmp_path / "far.txt").write_text("precious")
    with (publish / ".imgcache-export").open("a") as listing:
        listing.write(f"../near.txt\n{tmp_path / 'far.txt'}\n")
    run("export", "jekyll", site, "--copy-to", publish)
    assert [(tmp_path / name).read_text() for name in ("near.txt", "far.txt")] == ["precious", "precious"]


def test_a_file_that_the_cache_lacks_is_told(run: Command, site: Path, tmp_path: Path) -> None:
    run("export", "jekyll", site)
    lost = data(site)["images"][B]["at"] + "/thumb.jpg"
    (site / "cache/assets" / lost).unlink()
    ended = run("export", "jekyll", site, "--copy-to", tmp_path / "public")
    assert ended.code == 1
    assert lost in ended.err
    assert "6 files copied" in ended.out


def test_the_cache_is_no_place_to_publish_in(run: Command, site: Path) -> None:
    before = state(site / "cache")
    refused = run("export", "jekyll", site, "--copy-to", site / "cache/assets")
    assert refused.code == 2
    assert "--copy-to" in refused.err
    assert state(site / "cache") == before


def test_before_the_first_sync_a_site_can_be_built_all_the_same(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article((A, 1600, 900))})
    ended = run("export", "jekyll", site)
    assert ended.code == 0
    assert "imgcache sync" in ended.err
    assert data(site)["images"] == {}


@pytest.mark.parametrize(
    "path",
    ["assets/../../../secret.jpg", "index/cache.db", f"{FOLDER}/../x.jpg", f"{FOLDER}/a b.jpg", "/srv/secret.jpg"],
)
def test_a_manifest_that_points_elsewhere_is_refused(run: Command, site: Path, tmp_path: Path, path: str) -> None:
    file = site / "cache/manifest.json"
    file.write_text(re.sub(r'"path":"[^"]*/w640.webp"', f'"path":"{path}"', file.read_text()))
    ended = run("export", "jekyll", site, "--copy-to", tmp_path / "public")
    assert ended.code == 2
    assert "manifest.json" in ended.err
    assert not (tmp_path / "public").exists()


@pytest.mark.parametrize(
    "url", ["assets", "//cdn.example/x", "javascript:alert(1)", "/a b", "/a,b", '/a"b', "ftp://x.example/", "", "/"]
)
def test_an_assets_url_that_a_srcset_cannot_hold_is_refused(run: Command, tmp_path: Path, url: str) -> None:
    ended = run("export", "hugo", tmp_path, "--assets-url", url)
    assert ended.code == 2
    assert "--assets-url" in ended.err
