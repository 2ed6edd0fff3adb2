"""The gallery: HTML pages about one cache, for the person who runs the site. Reads files, writes none, fetches nothing.

Pages need no script and no origin but this one; the policy below forbids everything else.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jinja2

from imgcache import __version__
from imgcache.core import redact
from imgcache.server.gallery import views
from imgcache.server.gallery.database import GalleryDatabase
from imgcache.server.gallery.detail import detail
from imgcache.server.gallery.loader import load_gallery
from imgcache.server.gallery.search import Search
from imgcache.server.gallery.sources import FilesStamp, GallerySources
from imgcache.server.responses import Page

# `connect-src 'self'` lets the page's own script fetch the same pages while somebody types; nothing else is asked for.
POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_HTML, _CSS = b"text/html; charset=utf-8", b"text/css; charset=utf-8"
_TYPES = {".css": _CSS, ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}
_FOREVER = b"public, max-age=31536000, immutable"
_REST = (
    10  # a shelf is kept at least this many times as long as it took to fill: a sync that runs changes it all the time
)
_HERE = Path(__file__).parent


class Gallery:
    """Answers for `/` and everything below `/gallery/`. Threads may call it at once."""

    def __init__(
        self,
        cache: Path,
        site: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read yet: the first page fills the shelf.

        Args:
            cache: the folder of manifest.json; the index may be missing.
            site: the site's folder, if there is one: its name is shown, and an index may lie in its `cache/`.
            clock: seconds since the epoch.
            monotonic: seconds that never go back.
        """
        self._cache, self._site = cache, site
        self._clock, self._monotonic = clock, monotonic
        self._filling = threading.Lock()
        self._shelf: tuple[GalleryDatabase, FilesStamp] | None = None
        self._rest_until = 0.0
        self._static = {file.name: file.read_bytes() for file in sorted((_HERE / "static").iterdir())}
        version = hashlib.sha256(b"".join(self._static.values())).hexdigest()[:12]
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        root = (site or cache).resolve()
        self._templates.globals.update(place=root.name, version=__version__, static=version)

    def respond(self, path: str, query: Mapping[str, list[str]]) -> Page | None:
        """The answer to a GET.

        Args:
            path: of the request, percent-decoded.
            query: every value of each parameter, decoded.

        Returns:
            None where the gallery has no such page.
        """
        if path == "/":
            return self._grid(Search.of(query))
        if path == "/gallery/image":
            return self._image(query.get("url", [""])[-1], Search.of(query))
        if path == "/gallery/colours.css":
            return _page(200, views.colours_css(query.get("c", [""])[-1]), _CSS, _FOREVER)
        if path.startswith("/gallery/static/"):
            name = path.removeprefix("/gallery/static/")
            body = self._static.get(name)
            return None if body is None else _page(200, body, _TYPES[Path(name).suffix], _FOREVER)
        return None

    def _grid(self, search: Search) -> Page:
        shelf = self._filled()
        grid = views.grid(shelf.overview, shelf.find(search), search)
        return self._render(200, "grid.html", grid=grid, overview=shelf.overview)

    def _image(self, url: str, search: Search) -> Page:
        known = self._filled().image(url)
        if known is None:
            return self._render(404, "missing.html", url=redact(url), back=search.back())
        return self._render(200, "image.html", image=detail(known, search, self._clock()))

    def _render(self, status: int, name: str, **values: object) -> Page:
        return _page(status, self._templates.get_template(name).render(**values), _HTML, b"no-cache")

    def _filled(self) -> GalleryDatabase:
        """The shelf; filled anew where the files have changed and the last filling is long enough ago.

        While one thread fills, the others go on with the shelf from before.
        """
        kept = self._shelf
        if kept is not None and self._monotonic() < self._rest_until:
            return kept[0]
        if not self._filling.acquire(blocking=kept is None):
            return kept[0] if kept else self._filled()
        try:
            return self._refill()
        finally:
            self._filling.release()

    def _refill(self) -> GalleryDatabase:
        sources = GallerySources.of(self._cache, self._site)
        stamp = sources.stamp()  # before reading: what comes in between is found next time
        if self._shelf is not None and self._shelf[1] == stamp:
            return self._shelf[0]
        began = self._monotonic()
        shelf = load_gallery(sources, self._clock())
        self._shelf = shelf, stamp
        self._rest_until = self._monotonic() + _REST * (self._monotonic() - began)
        return shelf


def _page(status: int, body: str | bytes, media_type: bytes, caching: bytes) -> Page:
    content = body.encode("utf-8", "replace") if isinstance(body, str) else body
    return Page(status, [(b"content-type", media_type), (b"cache-control", caching), *_HEADERS], content)
