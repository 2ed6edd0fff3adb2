"""The gallery's pages as HTML: what they show of a cache, and that they escape everything."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from examples.origin import Origin
from imgcache.cache import Catalogue, Index
from imgcache.core import Copy, Failure
from imgcache.policy import QuarantineRecord
from imgcache.server.gallery import POLICY, Gallery
from tests.conftest import Command, MakeSite, article, picture
from tests.support.cache_samples import sha256, unreal_asset
from tests.support.gallery_samples import A, B, GallerySample, filters, get, image, names, texts


@pytest.fixture
def sample(tmp_path: Path) -> GallerySample:
    return GallerySample(tmp_path / "sample")


def test_a_synced_site_is_shown_with_its_totals_sizes_uses_and_problems(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(1600, 900))
    site = make_site({"a.md": article((A, 1600, 900), (B, 10, 10))})
    run("sync", site)
    entry = json.loads((site / "cache/manifest.json").read_text())["images"][A]
    gallery = Gallery(site / "cache", site)
    page = get(gallery, "/")
    assert filters(page) == {"All": 2, "Held": 1, "Failing": 1, "Any problem": 1, "http-status": 1}
    assert texts(page.css("h1")) == ["site"]
    by_name = {texts([card])[0].split()[0]: card for card in page.css(".card")}
    assert by_name.keys() == {"a.jpg", "Not"}
    badge = by_name["Not"].css_first(".badge")
    assert badge is not None
    assert (texts([badge]), badge.attributes["title"]) == (["Not found (404)"], "http-status")
    thumb = page.css_first(".card img")
    assert thumb is not None
    smallest = [one for one in entry["variants"] if f"/{one['path']}" == thumb.attributes["src"]]
    assert [(one["width"], one["height"]) for one in smallest] == [(320, 180)]
    assert (thumb.attributes["width"], thumb.attributes["height"], thumb.attributes["loading"]) == (
        "320",
        "180",
        "lazy",
    )
    assert (site / "cache" / str(thumb.attributes["src"])[1:]).is_file()
    colours = str(page.css_first("#colours").attributes["href"])  # type: ignore[union-attr]
    sheet = gallery.respond("/gallery/colours.css", parse_qs(urlsplit(colours).query))
    assert sheet is not None
    assert f"background-color:{entry['color']}" in sheet.body.decode()
    shown = image(gallery, A)
    files = [entry["original"], *(one["path"] for one in entry["variants"])]
    assert [node.attributes["href"] for node in shown.css("tbody a")] == [f"/{path}" for path in files]
    assert texts(shown.css(".uses code")) == ["a.md:4:10"]
    w640 = next(one for one in entry["variants"] if one["name"] == "w640")
    share = round(100 * (1 - w640["bytes"] / entry["bytes"]))
    assert f"(−{share} %)" in texts(shown.css(".saved"))[0]
    broken = image(gallery, B)
    assert "the server answered 404" in texts(broken.css(".wrong li"))[0]


def test_each_state_and_each_problem_has_a_filter(sample: GallerySample) -> None:
    host = "https://one.example/"
    fine = sample.hold(f"{host}fine.jpg")
    for name in ("worn", "tall", "scaled", "flagless", "odd", "idle"):
        sample.hold(f"{host}{name}.jpg")
    sample.index.put_failure(f"{host}worn.jpg", Failure("timeout", "too slow", 1e9, 1e9, 1))
    for name in ("dead", "lying"):
        sample.index.put_failure(f"{host}{name}.jpg", Failure("http-status", "404", 1e9, 1e9, 2, status=404))
    sample.index.forget(f"{host}unwanted.jpg", 1e9)
    candidate = unreal_asset(sha256(b"another"))
    sample.index.put_asset(candidate)
    sample.index.put_quarantine_record(
        f"{host}odd.jpg", QuarantineRecord(Copy(candidate.digest, 1e9, 1e9), "another picture", 1e9)
    )
    for name, size, flag in (
        ("fine", (640, 480), True), ("worn", (640, 480), True), ("tall", (480, 640), None),
        ("scaled", (320, 240), True),
        ("flagless", (640, 480), None), ("odd", (640, 480), True), ("dead", (640, 480), None),
        ("lying", (640, 480), True), ("unwanted", (640, 480), None), ("next", (640, 480), None),
    ):  # fmt: skip
        sample.use("a.md", f"{host}{name}.jpg", size, flag)
    gallery = Gallery(sample.written())
    page = get(gallery, "/")
    assert filters(page) == {
        "All": 11, "Held": 7, "Failing": 2, "Waiting": 1, "Forgotten": 1, "Unused": 1, "Any problem": 7,
        "dimensions": 2, "http-status": 2, "copy-without-flag": 1, "flag-without-copy": 1, "quarantined": 1,
        "timeout": 1,
    }  # fmt: skip
    found = {}
    for chip in page.css(".chips a"):
        label = str(chip.attributes.get("title") or texts([chip])[0].rpartition(" ")[0])
        found[label] = {name.removesuffix(".jpg") for name in names(get(gallery, str(chip.attributes["href"])))}
    assert found.pop("All") == {name for held in (found["Held"], found["Failing"]) for name in held} | {
        "unwanted",
        "next",
    }
    assert found == {
        "Held": {"fine", "worn", "tall", "scaled", "flagless", "odd", "idle"}, "Failing": {"dead", "lying"},
        "Waiting": {"next"}, "Forgotten": {"unwanted"}, "Unused": {"idle"},
        "Any problem": {"worn", "tall", "scaled", "flagless", "odd", "dead", "lying"},
        "dimensions": {"tall", "scaled"}, "http-status": {"dead", "lying"}, "copy-without-flag": {"flagless"},
        "flag-without-copy": {"lying"}, "quarantined": {"odd"}, "timeout": {"worn"},
    }  # fmt: skip
    assert "the cached copy is still served" in texts(image(gallery, f"{host}worn.jpg").css(".wrong"))[0]
    odd = image(gallery, f"{host}odd.jpg")
    assert f"imgcache quarantine accept {host}odd.jpg" in texts(odd.css(".wrong code"))
    sources = [str(node.attributes["src"]) for node in odd.css(".picture img")]
    assert [candidate.digest in source for source in sources] == [False, True]
    assert "another shape" in texts(image(gallery, f"{host}tall.jpg").css(".uses li"))[0]
    assert image(gallery, f"{host}fine.jpg").css(".error, .warning") == []
    assert fine.digest in texts(image(gallery, f"{host}fine.jpg").css(".facts-list"))[0]


def test_without_an_index_uses_are_unknown_and_images_are_shown(sample: GallerySample) -> None:
    sample.hold(A)
    sample.use("a.md", A)
    cache = sample.written()
    for file in sorted(sample.folder.iterdir()):
        file.unlink()
    sample.folder.rmdir()
    gallery = Gallery(cache)
    assert names(get(gallery, "/")) == ["a.jpg"]
    assert "Unknown" in image(gallery, A).css_first("#uses").parent.text()  # type: ignore[union-attr]
    assert not sample.folder.exists()


def test_an_empty_folder_shows_what_to_do(tmp_path: Path) -> None:
    assert "imgcache sync" in get(Gallery(tmp_path), "/").css_first(".nothing").text()  # type: ignore[union-attr]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "data", "left"),
    [
        ("manifest.json", b'{"version":1,"images":{\n"https://x":{\n}}\n', []),
        ("manifest.json", b'{"version":1,"images":{\n', []),
        ("manifest.json", b'{"version":9}', []),
        ("index/cache.db", b"not a database" * 400, ["a.jpg"]),
        ("index/catalogue.db", b"not a database" * 400, ["a.jpg"]),
        ("index/catalogue.db", b"", ["a.jpg"]),
    ],
)
def test_unreadable_files_are_reported_and_the_rest_is_shown(
    sample: GallerySample, file: str, data: bytes, left: list[str]
) -> None:
    sample.hold(A)
    cache = sample.written()
    for log in sample.folder.glob("*-wal"):
        log.unlink()
    (cache / file).write_bytes(data)
    page = get(Gallery(cache), "/")
    assert names(page) == left
    assert file.rpartition("/")[2] in texts(page.css(".notice"))[0].replace("manifest is", "manifest.json is")


def test_a_reformatted_manifest_is_read(sample: GallerySample) -> None:
    sample.hold(A)
    cache = sample.written()
    file = cache / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=2))
    assert names(get(Gallery(cache), "/")) == ["a.jpg"]


def test_a_running_sync_does_not_delay_a_page_and_the_page_writes_nothing(sample: GallerySample) -> None:
    sample.hold(A)
    sample.use("a.md", A, (640, 480), True)
    cache = sample.written()
    writer = Index(sample.folder)
    catalogue = Catalogue(sample.folder / "catalogue.db", "scope")
    with writer.batch(), catalogue.transaction():
        writer.put_failure(A, Failure("timeout", "too slow", 1e9, 1e9, 1))
        before = {file: file.read_bytes() for file in cache.rglob("*") if file.is_file() and file.suffix != ".db-shm"}
        began = time.monotonic()
        assert filters(get(Gallery(cache), "/")) == {"All": 1, "Held": 1}
        assert time.monotonic() - began < 5
        after = {file: file.read_bytes() for file in cache.rglob("*") if file.is_file() and file.suffix != ".db-shm"}
        assert after == before
    writer.close()
    catalogue.close()


def test_changes_show_on_the_next_page_and_an_unchanged_cache_is_not_read_again(sample: GallerySample) -> None:
    sample.hold(A)
    now = 0.0
    cache = sample.written()
    gallery = Gallery(cache, monotonic=lambda: now)
    first = get(gallery, "/")
    assert names(first) == ["a.jpg"]
    (cache / "manifest.json").rename(cache / "kept.json")
    (cache / "kept.json").rename(cache / "manifest.json")
    index = Index(sample.folder)
    index.put_failure(A, Failure("timeout", "too slow", 1e9, 1e9, 1))
    index.close()
    assert filters(get(gallery, "/"))["timeout"] == 1
    (sample.folder / "catalogue.db").unlink()
    assert "Unknown" in image(gallery, A).css_first("#uses").parent.text()  # type: ignore[union-attr]


def test_a_database_that_took_long_to_load_is_kept_for_a_while(sample: GallerySample) -> None:
    sample.hold(A)
    ticks = iter([0.0, 1.0, 1.0])  # loading takes a second
    now = 10.9
    gallery = Gallery(sample.written(), monotonic=lambda: next(ticks, now))
    get(gallery, "/")
    index = Index(sample.folder)
    index.put_failure(A, Failure("timeout", "too slow", 1e9, 1e9, 1))
    index.close()
    assert "timeout" not in filters(get(gallery, "/"))
    now = 11.1
    assert "timeout" in filters(get(gallery, "/"))


HOSTILE = [
    'https://evil.example/"><script>alert(1)</script>.jpg',
    "https://evil.example/' onerror='alert(1).jpg",
    "javascript:alert(1)//.jpg",
    "https://evil.example/\x1b[2J\u202egpj.exe",
    "https://user:secret@evil.example/x.jpg",
    "https://evil.example/{{ 7 * 7 }}.jpg",
]


@pytest.mark.parametrize("held", [True, False])
def test_texts_of_articles_and_servers_are_escaped(sample: GallerySample, held: bool) -> None:
    for url in HOSTILE:
        if held:
            sample.hold(url, color='red"><script>', media_type="<b>", placeholder="javascript:1")
        sample.index.put_failure(url, Failure("<i>code</i>", "<script>alert(2)</script>\x1b[31m", 1e9, 1e9, 1))
        sample.use('<img src=x onerror="alert(3)">.md', url, (1, 9), True)
    gallery = Gallery(sample.written())
    pages = [get(gallery, "/"), get(gallery, "/?q=<script>alert(4)</script>&host=<b>&problem=<u>")]
    pages += [image(gallery, url) for url in HOSTILE]
    for page in pages:
        scripts = page.css("script")
        assert [str(node.attributes["src"]).partition("?")[0] for node in scripts] == ["/gallery/static/gallery.js"]
        assert page.css("b, i, u, [style], [onerror], [onclick], [onload], img[src='x']") == []
        for node in page.css("[href], [src], [action]"):
            target = str(node.attributes.get("href") or node.attributes.get("src") or node.attributes.get("action"))
            assert target.startswith(("/", "#", "https://evil.example/"))
        text = page.html or ""
        assert not {"\x1b", "\u202e"} & set(text)
        assert "secret" not in page.body.text() if page.body else False
        assert "49.jpg" not in text
    assert pages[0].css_first(".card .name").text()  # type: ignore[union-attr]


def test_every_page_has_the_policy_and_other_paths_have_no_page(sample: GallerySample) -> None:
    gallery = Gallery(sample.written())
    static = [f"/gallery/static/gallery.{end}" for end in ("css", "js")]
    for path in ("/", "/gallery/image", "/gallery/colours.css", "/gallery/static/icon.svg", *static):
        page = gallery.respond(path, {})
        assert page is not None
        headers = dict(page.headers)
        assert headers[b"content-security-policy"].decode() == POLICY
        assert (headers[b"x-content-type-options"], headers[b"referrer-policy"]) == (b"nosniff", b"no-referrer")
        assert b"unsafe" not in headers[b"content-security-policy"]
    for path in ("/gallery", "/gallery/", "/gallery/static/", "/gallery/static/../gallery.py", "/gallery/static/x.css"):
        assert gallery.respond(path, {}) is None


def test_only_colours_get_into_the_style_sheet(sample: GallerySample) -> None:
    page = Gallery(sample.written()).respond("/gallery/colours.css", {"c": ["0A0b0c-zzzzzz-}*{}-12345-ffffff-0a0b0c"]})
    assert page is not None
    assert page.body == b".c-0a0b0c{background-color:#0a0b0c}\n.c-ffffff{background-color:#ffffff}\n"


def test_an_unreadable_article_and_a_missing_local_file_are_shown(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    site = make_site({"bad.md": "---\ntitle: x\nimages:\n\t- url: y\n---\n", "own.md": article(("/no.png", 1, 1))})
    run("sync", site)
    answer = texts(get(Gallery(site / "cache", site), "/").css(".remarks li"))
    assert [line.split()[:3] for line in answer] == [
        ["/no.png", "File", "missing"],
        ["bad.md:4:1", "Unreadable", "article"],
    ]
