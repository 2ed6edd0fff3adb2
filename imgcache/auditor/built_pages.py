"""Judges a site by its built pages: what readers load from other hosts, and how images are shown to them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from imgcache.auditor import remedies
from imgcache.auditor.finding_factory import places_finding
from imgcache.cache import BUILT_FIELD, Catalogue, CopyUrls, HotlinkedUse, Index
from imgcache.core import (
    Finding,
    Place,
    ReaderPage,
    RemoteUse,
    Severity,
    ShownImage,
    Size,
    host_if_any,
    plural,
    without_credentials,
)

TIMES = 10  # an image with more than ten times the pixels that are shown wastes most of what readers load
_PLACED = re.compile(r"/([0-9a-f]{64})/[^/]+$")  # a file of the cache, wherever it is published


class BuiltPages:
    """What an audit says of one built folder.

    Args:
        pages: its files, with paths relative to the site.
        catalogue: has what is known of remote images, and the articles that use them.
        index: has the digests of cached copies, and what failed.
    """

    def __init__(self, pages: Iterable[ReaderPage], catalogue: Catalogue, index: Index) -> None:
        self._catalogue = catalogue
        self._index = index
        self._copies = CopyUrls(index)
        self._pages = list(pages)

    def uses(self) -> Iterator[HotlinkedUse]:
        """Yields the remote images that each page makes a browser load, page by page."""
        known = {use.image: use for use in self._catalogue.audit.hotlinked()}
        unknown: dict[str, int] = {}
        for page in sorted(self._pages, key=lambda page: page.path):
            for url in dict.fromkeys(one.url for one in page.remote if one.is_loaded):
                host = host_if_any(url)
                number = self._number(url)
                if number is None:
                    number = unknown.setdefault(url, -1 - len(unknown))
                use = known.get(number)
                sizes = (use.total_bytes, use.copy_bytes, use.best_bytes) if use else (None, None, None)
                yield HotlinkedUse(page.path, number, host, True, *sizes)

    def findings(self) -> Iterator[Finding]:
        """Yields one finding for each image and rule, with the places in pages and the articles that use it."""
        for page in self._pages:
            if page.problem:
                place = Place(page.path, 1, 1, BUILT_FIELD)
                yield places_finding([place], "article-unreadable", Severity.ERROR, page.problem, remedies.BUILT)
        yield from self._left()
        yield from self._shown()

    def _left(self) -> Iterator[Finding]:
        places: dict[str, list[Place]] = defaultdict(list)
        for page in self._pages:
            for one in page.remote:
                if one.is_loaded:
                    places[one.url].append(_place(page, one))
        for url, found in places.items():
            pages = len({place.article for place in found})
            message = f"{plural(pages, 'built page loads', 'built pages load')} it from {host_if_any(url)}"
            recorded = self._copies.recorded(url)
            failure = None if self._index.copy(recorded) else self._index.failure(recorded)
            if failure is None:
                yield self._finding(url, "remote-image", message, remedies.REWRITE, found)
            else:
                remedy = remedies.failing(failure, alternative=None, is_held=False)
                yield self._finding(url, "remote-image", f"{message}; last try: {failure.message}", remedy, found)

    def _shown(self) -> Iterator[Finding]:
        texts: dict[str, list[Place]] = defaultdict(list)
        sizes: dict[str, list[Place]] = defaultdict(list)
        large: dict[str, list[tuple[Place, str]]] = defaultdict(list)
        for page in self._pages:
            for image in page.shown:
                place = _place(page, image)
                if not image.has_text:
                    texts[image.url].append(place)
                if not image.has_size:
                    sizes[image.url].append(place)
                if message := self._too_large(image):
                    large[image.url].append((place, message))
        for url, found in texts.items():
            yield self._finding(url, "no-alt", "the image has no alternative text (alt)", remedies.ALT, found)
        for url, found in sizes.items():
            message = "the image has no width and height: the page moves when it is loaded"
            yield self._finding(url, "no-size", message, remedies.SIZE, found)
        for url, messages in large.items():
            yield self._finding(url, "oversized", messages[0][1], remedies.OVERSIZED, [place for place, _ in messages])

    def _too_large(self, image: ShownImage) -> str:
        actual = image.actual or self._true_size(image.url)
        if image.shown is None or actual is None:
            return ""
        times = actual.width * actual.height / (image.shown.width * image.shown.height)
        if times <= TIMES:
            return ""
        shown, file = (f"{size.width}×{size.height}" for size in (image.shown, actual))
        return f"the file is {file}, {times:.0f} times the {shown} that the page shows"

    def _true_size(self, url: str) -> Size | None:
        number = self._number(url)
        return None if number is None else self._catalogue.audit.image(number).true_size

    def _finding(self, url: str, rule: str, message: str, remedy: str, places: list[Place]) -> Finding:
        finding = places_finding([*places, *self._articles(url)], rule, Severity.WARNING, message, remedy)
        return msgspec.structs.replace(
            finding, url=without_credentials(url), articles=len({place.article for place in places})
        )

    def _articles(self, url: str) -> list[Place]:
        """Returns the places in articles that use the image, also if the page shows its copy from the cache."""
        if placed := _PLACED.search(url):
            url = self._copies.of_digest(placed[1])
        number = self._number(url) if url else None
        return [] if number is None else [use.place for use in self._catalogue.audit.image(number).uses]

    def _number(self, url: str) -> int | None:
        return self._catalogue.images.number(self._copies.recorded(url))


def _place(page: ReaderPage, one: RemoteUse | ShownImage) -> Place:
    return Place(page.path, one.line, one.column, BUILT_FIELD)
