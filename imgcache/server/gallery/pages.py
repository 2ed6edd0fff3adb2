"""Serves the HTML pages of the gallery. They only read the cache, and download nothing.

The pages work without scripts and load nothing from other origins; the policy below forbids it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jinja2

from imgcache.core import clean_text, documentation_url, problem_name, redact
from imgcache.core.version import __version__
from imgcache.scanner import layout_of
from imgcache.server.gallery import views
from imgcache.server.gallery.database import GalleryDatabase
from imgcache.server.gallery.detail import Around, detail
from imgcache.server.gallery.loader import load_gallery
from imgcache.server.gallery.search import Search
from imgcache.server.gallery.sources import FilesStamp, GallerySources
from imgcache.server.responses import Page

# `connect-src 'self'` lets the page's script load results while a person types.
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
# A database is used at least this many times as long as it took to fill, because a running sync changes its sources.
_MIN_AGE = 10
_HERE = Path(__file__).parent


class Gallery:
    """Answers `/` and everything below `/gallery/`, in any thread."""

    def __init__(
        self,
        cache: Path,
        site: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads no cache yet; the first page does.

        Args:
            cache: the folder of manifest.json; the index may be missing.
            site: the folder of the site, if there is one; its title is shown, and the index may be in its `cache/`.
            clock: seconds since the epoch.
            monotonic: seconds of a monotonic clock.
        """
        self._cache, self._site = cache, site
        self._clock, self._monotonic = clock, monotonic
        self._loading = threading.Lock()
        self._loaded: tuple[GalleryDatabase, FilesStamp] | None = None
        self._valid_until = 0.0
        self._static = {file.name: file.read_bytes() for file in sorted((_HERE / "static").iterdir())}
        version = hashlib.sha256(b"".join(self._static.values())).hexdigest()[:12]
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["problem_name"] = problem_name
        self._documentation = documentation_url()
        title = layout_of(site).title if site else ""
        self._templates.globals.update(
            place=clean_text(title) or (site or cache).resolve().name, version=__version__, static=version
        )

    def respond(self, path: str, query: Mapping[str, list[str]]) -> Page | None:
        """Answers a GET request.

        Args:
            path: of the request, percent-decoded.
            query: every value of each parameter, decoded.

        Returns:
            The page; None if there is none at this path.
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
        database = self._database()
        grid = views.grid(database.overview, database.find(search), search)
        return self._render(200, "grid.html", grid=grid, overview=database.overview)

    def _image(self, url: str, search: Search) -> Page:
        database = self._database()
        known = database.image(url)
        if known is None:
            return self._render(404, "missing.html", url=redact(url), back=search.back())
        around = Around(*database.neighbours(search, url), self._site and self._site.resolve(), self._documentation)
        return self._render(200, "image.html", image=detail(known, search, self._clock(), around))

    def _render(self, status: int, name: str, **values: object) -> Page:
        return _page(status, self._templates.get_template(name).render(**values), _HTML, b"no-cache")

    def _database(self) -> GalleryDatabase:
        """Returns the database, reloaded if the files have changed and the last load is long enough ago.

        While one thread loads, the others use the previous database.
        """
        kept = self._loaded
        if kept is not None and self._monotonic() < self._valid_until:
            return kept[0]
        if not self._loading.acquire(blocking=kept is None):
            return kept[0] if kept else self._database()
        try:
            return self._reload()
        finally:
            self._loading.release()

    def _reload(self) -> GalleryDatabase:
        sources = GallerySources.of(self._cache, self._site)
        stamp = sources.stamp()  # before loading, so that a change during the load is noticed next time
        if self._loaded is not None and self._loaded[1] == stamp:
            return self._loaded[0]
        started = self._monotonic()
        database = load_gallery(sources, self._clock())
        self._loaded = database, stamp
        self._valid_until = self._monotonic() + _MIN_AGE * (self._monotonic() - started)
        return database


def _page(status: int, body: str | bytes, media_type: bytes, caching: bytes) -> Page:
    content = body.encode("utf-8", "replace") if isinstance(body, str) else body
    return Page(status, [(b"content-type", media_type), (b"cache-control", caching), *_HEADERS], content)
