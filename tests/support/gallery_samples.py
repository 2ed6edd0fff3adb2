"""A cache of records alone for tests of the gallery, and readers of its pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from imgcache.cache import ArticleStat, Catalogue, Index, ReadArticle, ReferenceRow
from imgcache.core import Asset, Copy
from imgcache.manifest import Manifest
from imgcache.server.gallery import Gallery
from tests.support.cache_samples import sha256, unreal_asset

A = "https://pictures.example/a.jpg"
B = "http://other.example/b.png"


class GallerySample:
    """A cache with records and without image files."""

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
        references = self.uses.setdefault(path, [])
        line = 4 + 3 * len(references)
        width, height = size or (None, None)
        references.append(ReferenceRow(url, "", "remote", "", line, 10, "images", width, height, flag, fits))

    def written(self) -> Path:
        """Writes everything and returns the cache folder."""
        Manifest(site=self.root, cache=self.cache, scratch=self.folder).write(self.index.entries())
        catalogue = Catalogue(self.folder / "catalogue.db", "scope")
        with catalogue.transaction():
            catalogue.articles.put(
                [
                    ReadArticle(ArticleStat(path, 1, 1), "digest", "2026", references)
                    for path, references in self.uses.items()
                ]
            )
        catalogue.close()
        self.index.close()
        return self.cache


def get(gallery: Gallery, target: str) -> LexborHTMLParser:
    """Returns the page at a path with a query."""
    parts = urlsplit(target)
    page = gallery.respond(parts.path, parse_qs(parts.query, keep_blank_values=True))
    assert page is not None
    assert page.status == 200, page
    return LexborHTMLParser(page.body.decode())


def texts(found: Iterable[LexborNode]) -> list[str]:
    return [" ".join(node.text().split()) for node in found]


def names(page: LexborHTMLParser) -> list[str]:
    return texts(page.css(".card .name"))


def filters(page: LexborHTMLParser) -> dict[str, int]:
    """Returns the number behind each filter, by the code of its problem or by its words."""
    chips = ((chip.attributes.get("title"), texts([chip])[0].rpartition(" ")) for chip in page.css(".chips a"))
    return {str(code or words): int(number) for code, (words, _, number) in chips}


def image(gallery: Gallery, url: str) -> LexborHTMLParser:
    """Returns the page of an image, found by its link on the first page."""
    [link] = [
        link
        for card in get(gallery, "/").css(".card")
        if parse_qs(urlsplit(link := str(card.attributes["href"])).query)["url"] == [url]
    ]
    return get(gallery, link)
