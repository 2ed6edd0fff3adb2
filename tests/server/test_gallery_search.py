"""The gallery's search: order, pages, words and filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.server.gallery import Gallery
from imgcache.server.gallery.search import PAGE
from tests.support.cache_samples import unreal_asset
from tests.support.gallery_samples import GallerySample, get, names, texts

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
    """130 images in three pages, with the values that they can be sorted by."""
    sample = GallerySample(tmp_path_factory.mktemp("many"))
    images: dict[str, dict[str, float]] = {}
    with sample.index.batch():
        for number in range(2 * PAGE + 10):
            url = f"https://h{number % 7}.example/{number * 37 % 101}/Picture-{number:03}.jpg"
            image = {"at": 1e9 + number * 7919 % 997, "bytes": 1000 + number * 6007 % 1009, "light": 5 + number % 90}
            image["uses"] = number % 5
            variants = unreal_asset("0" * 64).variants
            light = type(variants[0])("w640", 640, 480, "webp", int(image["light"]), "assets/x/w640.webp", "r", "d")
            sample.hold(url, at=image["at"], bytes=int(image["bytes"]), variants=(*variants, light))
            for use in range(number % 5):
                sample.use(f"news/{number % 11}-story-{use}.md", url)
            images[url] = image
    return Gallery(sample.written()), images


def walk(gallery: Gallery, target: str) -> list[str]:
    """Returns the URLs on this page and all following ones."""
    found: list[str] = []
    while target:
        page = get(gallery, target)
        links = [str(card.attributes["href"]) for card in page.css(".card")]
        found += [parse_qs(urlsplit(link).query)["url"][0] for link in links]
        following = page.css_first("a[rel=next]")
        target = str(following.attributes["href"]) if following else ""
    return found


@pytest.mark.parametrize("order", SORTED)
def test_pages_show_every_image_once_in_the_requested_order(
    many: tuple[Gallery, dict[str, dict[str, float]]], order: str
) -> None:
    gallery, images = many
    expected = sorted(images, key=lambda url: (SORTED[order](images[url]), url))
    assert walk(gallery, f"/?sort={order}") == expected


def matching(urls: Iterable[str], words: Sequence[str]) -> set[str]:
    """Returns what a search must find, computed in another way."""

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
def test_a_search_matches_all_words_in_the_url_or_an_article(
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
def test_any_query_gets_a_page(many: tuple[Gallery, dict[str, dict[str, float]]], query: dict[str, list[str]]) -> None:
    for path in ("/", "/gallery/image", "/gallery/colours.css"):
        page = many[0].respond(path, {name: values for name, values in query.items() if values})
        assert page is not None
        assert page.status == (404 if path == "/gallery/image" else 200)


def test_links_keep_host_order_words_and_filter(
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
