"""The gallery's pages as HTML: what they show of a cache, and what they let through."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from examples.origin import Origin
from imgcache.cache import ArticleStat, Catalogue, Index, ReadArticle, ReferenceRow
from imgcache.core import Asset, Copy, Failure
from imgcache.manifest import Manifest
from imgcache.policy import QuarantineRecord
from imgcache.server.gallery import POLICY, Gallery
from imgcache.server.gallery.search import PAGE
from tests.conftest import Command, MakeSite, article, picture
from tests.support.cache_samples import sha256, unreal_asset

A = "https://pictures.example/a.jpg"
B = "http://other.example/b.png"


class Stock:
    """A cache of records alone: nothing but the names of its pictures is real."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache"
        self.folder = self.cache / "index"
        self.folder.mkdir(parents=True)
        self.index = Index(self.folder)
        self.uses: dict[str, list[ReferenceRow]] = {}

    def hold(self, url: str, *, at: float = 1e9, **changes: object) -> Asset:
        asset = unreal_asset(sha256(url.encode()), **changes)
        with self.index.batch():
            self.index.put_asset(asset)
            self.index.put_copy(url, Copy(asset.digest, at, at))
        return asset

    def use(
        self, path: str, url: str, size: tuple[int, int] | None = None, flag: bool | None = None, fits: bool = True
    ) -> None:
        mentions = self.uses.setdefault(path, [])
        line = 4 + 3 * len(mentions)
        width, height = size or (None, None)
        mentions.append(ReferenceRow(url, "", "remote", "", line, 10, "images", width, height, flag, fits))

    def finished(self) -> Path:
        """Writes everything, and gives the cache's folder."""
        Manifest(site=self.root, cache=self.cache, scratch=self.folder).write(self.index.entries())
        catalogue = Catalogue(self.folder / "catalogue.db", "scope")
        with catalogue.transaction():
            catalogue.articles.put(
                [
                    ReadArticle(ArticleStat(path, 1, 1), "digest", "2026", mentions)
                    for path, mentions in self.uses.items()
                ]
            )
        catalogue.close()
        self.index.close()
        return self.cache


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    return Stock(tmp_path / "stock")


def get(gallery: Gallery, target: str) -> LexborHTMLParser:
    """A page, by the address that a link or a form leads to."""
    parts = urlsplit(target)
    page = gallery.respond(parts.path, parse_qs(parts.query, keep_blank_values=True))
    assert page is not None
    assert page.status == 200, page
    return LexborHTMLParser(page.body.decode())


def texts(found: Iterable[LexborNode]) -> list[str]:
    return [" ".join(node.text().split()) for node in found]


def names(page: LexborHTMLParser) -> list[str]:
    return texts(page.css(".card .name"))


def chips(page: LexborHTMLParser) -> dict[str, int]:
    return {text.rpartition(" ")[0]: int(text.rpartition(" ")[2]) for text in texts(page.css(".chips a"))}


def image(gallery: Gallery, url: str) -> LexborHTMLParser:
    """The page of an image, reached as a person reaches it."""
    [link] = [
        link
        for card in get(gallery, "/").css(".card")
        if parse_qs(urlsplit(link := str(card.attributes["href"])).query)["url"] == [url]
    ]
    return get(gallery, link)


def test_a_synced_site_is_shown_with_its_totals_sizes_uses_and_problems(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(1600, 900))
    site = make_site({"a.md": article((A, 1600, 900), (B, 10, 10))})
    run("sync", site)
    entry = json.loads((site / "cache/manifest.json").read_text())["images"][A]
    gallery = Gallery(site / "cache", site)
    page = get(gallery, "/")
    assert chips(page) == {"All": 2, "Held": 1, "Failing": 1, "Any problem": 1, "http-status": 1}
    assert texts(page.css("h1")) == ["site"]
    by_name = {texts([card])[0].split()[0]: card for card in page.css(".card")}
    assert by_name.keys() == {"a.jpg", "http-status"}
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


def test_each_state_and_each_problem_has_its_filter(stock: Stock) -> None:
    host = "https://one.example/"
    fine = stock.hold(f"{host}fine.jpg")
    for name in ("worn", "tall", "scaled", "flagless", "odd", "idle"):
        stock.hold(f"{host}{name}.jpg")
    stock.index.put_failure(f"{host}worn.jpg", Failure("timeout", "too slow", 1e9, 1e9, 1))
    for name in ("dead", "lying"):
        stock.index.put_failure(f"{host}{name}.jpg", Failure("http-status", "404", 1e9, 1e9, 2, status=404))
    stock.index.forget(f"{host}unwanted.jpg", 1e9)
    candidate = unreal_asset(sha256(b"another"))
    stock.index.put_asset(candidate)
    stock.index.put_doubt(f"{host}odd.jpg", QuarantineRecord(Copy(candidate.digest, 1e9, 1e9), "another picture", 1e9))
    for name, size, flag in (
        ("fine", (640, 480), True), ("worn", (640, 480), True), ("tall", (480, 640), None),
        ("scaled", (320, 240), True),
        ("flagless", (640, 480), None), ("odd", (640, 480), True), ("dead", (640, 480), None),
        ("lying", (640, 480), True), ("unwanted", (640, 480), None), ("next", (640, 480), None),
    ):  # fmt: skip
        stock.use("a.md", f"{host}{name}.jpg", size, flag)
    gallery = Gallery(stock.finished())
    page = get(gallery, "/")
    assert chips(page) == {
        "All": 11, "Held": 7, "Failing": 2, "Waiting": 1, "Forgotten": 1, "Unused": 1, "Any problem": 7,
        "dimensions": 2, "http-status": 2, "copy-without-flag": 1, "flag-without-copy": 1, "quarantined": 1,
        "timeout": 1,
    }  # fmt: skip
    found = {}
    for chip in page.css(".chips a"):
        label = texts([chip])[0].rpartition(" ")[0]
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
    assert "the copy from before is kept" in texts(image(gallery, f"{host}worn.jpg").css(".wrong"))[0]
    odd = image(gallery, f"{host}odd.jpg")
    assert f"imgcache quarantine accept {host}odd.jpg" in texts(odd.css(".wrong code"))
    sources = [str(node.attributes["src"]) for node in odd.css(".picture img")]
    assert [candidate.digest in source for source in sources] == [False, True]
    assert "another shape" in texts(image(gallery, f"{host}tall.jpg").css(".uses li"))[0]
    assert image(gallery, f"{host}fine.jpg").css(".error, .warning") == []
    assert fine.digest in texts(image(gallery, f"{host}fine.jpg").css(".facts-list"))[0]


SORTED: dict[str, Callable[[dict[str, float]], float]] = {
    "newest": lambda image: -image["at"],
    "oldest": lambda image: image["at"],
    "largest": lambda image: -image["bytes"],
    "smallest": lambda image: image["bytes"],
    "saved": lambda image: min(image["light"], image["bytes"]) - image["bytes"],
    "most-used": lambda image: -image["uses"],
    "least-used": lambda image: image["uses"],
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gallery, dict[str, dict[str, float]]]:
    """130 images in three pages, with all that they can be sorted by."""
    stock = Stock(tmp_path_factory.mktemp("many"))
    images: dict[str, dict[str, float]] = {}
    with stock.index.batch():
        for number in range(2 * PAGE + 10):
            url = f"https://h{number % 7}.example/{number * 37 % 101}/Picture-{number:03}.jpg"
            image = {"at": 1e9 + number * 7919 % 997, "bytes": 1000 + number * 6007 % 1009, "light": 5 + number % 90}
            image["uses"] = number % 5
            variants = unreal_asset("0" * 64).variants
            light = type(variants[0])("w640", 640, 480, "webp", int(image["light"]), "assets/x/w640.webp", "r", "d")
            stock.hold(url, at=image["at"], bytes=int(image["bytes"]), variants=(*variants, light))
            for use in range(number % 5):
                stock.use(f"news/{number % 11}-story-{use}.md", url)
            images[url] = image
    return Gallery(stock.finished()), images


def walk(gallery: Gallery, target: str) -> list[str]:
    """The URLs on this page and all that follow it."""
    found: list[str] = []
    while target:
        page = get(gallery, target)
        links = [str(card.attributes["href"]) for card in page.css(".card")]
        found += [parse_qs(urlsplit(link).query)["url"][0] for link in links]
        following = page.css_first("a[rel=next]")
        target = str(following.attributes["href"]) if following else ""
    return found


@pytest.mark.parametrize("order", SORTED)
def test_pages_show_every_image_once_in_the_order_asked_for(
    many: tuple[Gallery, dict[str, dict[str, float]]], order: str
) -> None:
    gallery, images = many
    expected = sorted(images, key=lambda url: (SORTED[order](images[url]), url))
    assert walk(gallery, f"/?sort={order}") == expected


def matching(urls: Iterable[str], words: Sequence[str]) -> set[str]:
    """What a search must find, said in another way."""

    def articles(url: str) -> list[str]:
        number = int(url[-7:-4])
        return [f"news/{number % 11}-story-{use}.md" for use in range(number % 5)]

    return {url for url in urls if all(any(word in text.lower() for text in (url, *articles(url))) for word in words)}


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(["picture", "h3.example", "STORY-3", "md", "news/4", "00", "%", "_", "'", "https", "zzz", "9"]),
        max_size=3,
    )
)
def test_a_search_finds_what_has_every_word_in_its_address_or_in_an_article(
    many: tuple[Gallery, dict[str, dict[str, float]]], words: list[str]
) -> None:
    gallery, images = many
    expected = matching(images, [word.lower() for word in words])
    found = walk(gallery, f"/?q={'+'.join(words).replace('%', '%25')}")
    assert (len(found), set(found)) == (len(expected), expected)


@given(
    st.dictionaries(
        st.sampled_from(["q", "state", "problem", "host", "sort", "page", "url", "x"]), st.lists(st.text(), max_size=2)
    )
)
@settings(max_examples=100)
def test_no_query_is_too_odd(many: tuple[Gallery, dict[str, dict[str, float]]], query: dict[str, list[str]]) -> None:
    for path in ("/", "/gallery/image", "/gallery/colours.css"):
        page = many[0].respond(path, {name: values for name, values in query.items() if values})
        assert page is not None
        assert page.status == (404 if path == "/gallery/image" else 200)


def test_host_sort_words_and_filter_are_kept_from_page_to_image_and_back(
    many: tuple[Gallery, dict[str, dict[str, float]]],
) -> None:
    gallery, images = many
    target = "/?q=picture&state=held&sort=largest&page=2"
    page = get(gallery, target)
    hidden = {str(node.attributes["name"]): node.attributes["value"] for node in page.css("input[type=hidden]")}
    assert (hidden, texts(page.css("option[selected]"))) == ({"state": "held"}, ["Largest first"])
    opened = get(gallery, str(page.css(".card")[0].attributes["href"]))
    assert get(gallery, str(opened.css_first("#back").attributes["href"])).html == page.html  # type: ignore[union-attr]
    assert len(names(get(gallery, "/?host=h3.example"))) == sum("//h3." in url for url in images)
    beyond = get(gallery, "/?page=99")
    assert names(beyond) == []
    assert names(get(gallery, str(beyond.css_first("a[rel=prev]").attributes["href"])))  # type: ignore[union-attr]


def test_without_an_index_uses_are_unknown_and_images_are_shown(stock: Stock) -> None:
    stock.hold(A)
    stock.use("a.md", A)
    cache = stock.finished()
    for file in sorted(stock.folder.iterdir()):
        file.unlink()
    stock.folder.rmdir()
    gallery = Gallery(cache)
    assert names(get(gallery, "/")) == ["a.jpg"]
    assert "Not known" in image(gallery, A).css_first("#uses").parent.text()  # type: ignore[union-attr]
    assert not stock.folder.exists()


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
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
def test_what_cannot_be_read_is_named_and_the_rest_is_shown(
    stock: Stock, file: str, data: bytes, left: list[str]
) -> None:
    stock.hold(A)
    cache = stock.finished()
    for log in stock.folder.glob("*-wal"):
        log.unlink()
    (cache / file).write_bytes(data)
    page = get(Gallery(cache), "/")
    assert names(page) == left
    assert file.rpartition("/")[2] in texts(page.css(".notice"))[0].replace("manifest is", "manifest.json is")


def test_a_manifest_that_somebody_has_formatted_is_read(stock: Stock) -> None:
    stock.hold(A)
    cache = stock.finished()
    file = cache / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=2))
    assert names(get(Gallery(cache), "/")) == ["a.jpg"]


def test_a_running_sync_does_not_hold_a_page_up_and_the_page_writes_nothing(stock: Stock) -> None:
    stock.hold(A)
    stock.use("a.md", A, (640, 480), True)
    cache = stock.finished()
    writer = Index(stock.folder)
    catalogue = Catalogue(stock.folder / "catalogue.db", "scope")
    with writer.batch(), catalogue.transaction():
        writer.put_failure(A, Failure("timeout", "too slow", 1e9, 1e9, 1))
        before = {file: file.read_bytes() for file in cache.rglob("*") if file.is_file() and file.suffix != ".db-shm"}
        began = time.monotonic()
        assert chips(get(Gallery(cache), "/")) == {"All": 1, "Held": 1}
        assert time.monotonic() - began < 5
        after = {file: file.read_bytes() for file in cache.rglob("*") if file.is_file() and file.suffix != ".db-shm"}
        assert after == before
    writer.close()
    catalogue.close()


def test_what_a_sync_changes_shows_on_the_next_page_and_an_unchanged_cache_is_not_read_again(stock: Stock) -> None:
    stock.hold(A)
    now = 0.0
    cache = stock.finished()
    gallery = Gallery(cache, monotonic=lambda: now)
    first = get(gallery, "/")
    assert names(first) == ["a.jpg"]
    (cache / "manifest.json").rename(cache / "kept.json")
    (cache / "kept.json").rename(cache / "manifest.json")
    index = Index(stock.folder)
    index.put_failure(A, Failure("timeout", "too slow", 1e9, 1e9, 1))
    index.close()
    assert chips(get(gallery, "/"))["timeout"] == 1
    (stock.folder / "catalogue.db").unlink()
    assert "Not known" in image(gallery, A).css_first("#uses").parent.text()  # type: ignore[union-attr]


def test_a_shelf_that_took_long_to_fill_is_kept_for_a_while(stock: Stock) -> None:
    stock.hold(A)
    ticks = iter([0.0, 1.0, 1.0])  # a second to fill
    now = 10.9
    gallery = Gallery(stock.finished(), monotonic=lambda: next(ticks, now))
    get(gallery, "/")
    index = Index(stock.folder)
    index.put_failure(A, Failure("timeout", "too slow", 1e9, 1e9, 1))
    index.close()
    assert "timeout" not in chips(get(gallery, "/"))
    now = 11.1
    assert "timeout" in chips(get(gallery, "/"))


HOSTILE = [
    'https://evil.example/"><script>alert(1)</script>.jpg',
    "https://evil.example/' onerror='alert(1).jpg",
    "javascript:alert(1)//.jpg",
    "https://evil.example/\x1b[2J\u202egpj.exe",
    "https://user:secret@evil.example/x.jpg",
    "https://evil.example/{{ 7 * 7 }}.jpg",
]


@pytest.mark.parametrize("held", [True, False])
def test_whatever_articles_and_servers_say_is_text(stock: Stock, held: bool) -> None:
    for url in HOSTILE:
        if held:
            stock.hold(url, color='red"><script>', media_type="<b>", placeholder="javascript:1")
        stock.index.put_failure(url, Failure("<i>code</i>", "<script>alert(2)</script>\x1b[31m", 1e9, 1e9, 1))
        stock.use('<img src=x onerror="alert(3)">.md', url, (1, 9), True)
    gallery = Gallery(stock.finished())
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


def test_every_answer_carries_the_policy_and_no_other_path_has_one(stock: Stock) -> None:
    gallery = Gallery(stock.finished())
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


def test_colours_are_colours_and_nothing_else(stock: Stock) -> None:
    page = Gallery(stock.finished()).respond("/gallery/colours.css", {"c": ["0A0b0c-zzzzzz-}*{}-12345-ffffff-0a0b0c"]})
    assert page is not None
    assert page.body == b".c-0a0b0c{background-color:#0a0b0c}\n.c-ffffff{background-color:#ffffff}\n"


def test_an_unreadable_article_and_a_missing_own_file_are_told(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    site = make_site({"bad.md": "---\ntitle: x\nimages:\n\t- url: y\n---\n", "own.md": article(("/no.png", 1, 1))})
    run("sync", site)
    told = texts(get(Gallery(site / "cache", site), "/").css(".remarks li"))
    assert [line.split()[:2] for line in told] == [["/no.png", "missing-file"], ["bad.md:4:1", "article-unreadable"]]
