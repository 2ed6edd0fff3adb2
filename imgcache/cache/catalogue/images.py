"""Images in the catalogue, and what is believed of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from imgcache.cache.catalogue.focal_points import REMOTE_WITH_FOCUS, FocalPoints
from imgcache.cache.catalogue.rows import OwnImage, PendingImage, RecordedImage
from imgcache.core import Asset, Size

_SHELF, _SHELVES = 64, 64  # URLs that are read at once, and how often before they go: half a megabyte


class Images(FocalPoints):
    """What is recorded of images."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__(db)
        self._urls: dict[int, dict[int, str]] = {}

    def remote(self) -> Iterator[RecordedImage]:
        """Every remote image, with what is believed of it."""
        if not self._has_focal_points():
            rows = self._db.execute("SELECT id, digest, stamp, recipes, due, NULL FROM image WHERE kind = 'remote'")
            yield from map(RecordedImage._make, rows)
            return
        for image, digest, stamp, recipes, due, x, y in self._db.execute(REMOTE_WITH_FOCUS):
            yield RecordedImage(image, digest, stamp, recipes, due, None if x is None else (x, y))

    def remote_urls(self) -> Iterator[str]:
        """The URL of every remote image, sorted."""
        yield from (url for (url,) in self._db.execute("SELECT url FROM image WHERE kind = 'remote' ORDER BY url"))

    def audited_urls(self) -> Iterator[str]:
        """The URL of every image that an audit looks at, remote and own, sorted, none twice."""
        query = "SELECT DISTINCT url FROM image WHERE kind != 'inline' ORDER BY url"
        yield from (url for (url,) in self._db.execute(query))

    def pending(self, images: Sequence[int]) -> Iterator[PendingImage]:
        """The given images, those of the newest article first; equally new ones as the articles name them.

        So their hosts take turns, as they do in articles: in the order of URLs one host would follow the other.
        """
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (image INTEGER PRIMARY KEY)")
        with self.transaction():
            self._db.execute("DELETE FROM wanted")
            self._db.executemany("INSERT INTO wanted VALUES (?)", ((image,) for image in images))
        rows = self._db.execute(
            "SELECT i.id, i.host FROM wanted w JOIN image i ON i.id = w.image JOIN reference r ON r.image = i.id"
            " JOIN article a ON a.id = r.article GROUP BY i.id"
            " ORDER BY max(a.newest) DESC, min(a.path), min(r.line), i.url"
        )
        yield from map(PendingImage._make, rows)

    def url(self, image: int) -> str:
        """The URL of one image. Its neighbours are kept at hand: who asks for one image asks for them soon."""
        first = image - image % _SHELF
        if image not in self._urls.get(first, {}):
            rows = self._db.execute("SELECT id, url FROM image WHERE id BETWEEN ? AND ?", (first, first + _SHELF - 1))
            if len(self._urls) >= _SHELVES:
                self._urls.clear()
            self._urls[first] = dict(rows.fetchall())
        return self._urls[first][image]

    def settle(self, image: int, asset: Asset, *, stamp: int | None, recipes: str, due: float) -> None:
        """Record that an image is held in full."""
        self._db.execute(
            "UPDATE image SET digest = ?, stamp = ?, recipes = ?, due = ?, width = ?, height = ? WHERE id = ?",
            (asset.digest, stamp, recipes, due, asset.width, asset.height, image),
        )

    def suppose(self, image: int, size: Size | None) -> None:
        """Take an image for held: what a dry run thinks of one that would be fetched, its size unknown, or kept."""
        width, height = (size.width, size.height) if size else (None, None)
        self._db.execute("UPDATE image SET digest = '', width = ?, height = ? WHERE id = ?", (width, height, image))

    def unsettle(self, image: int) -> None:
        """Record that an image is not held."""
        self._db.execute(
            "UPDATE image SET digest = NULL, stamp = NULL, recipes = NULL, due = NULL, width = NULL, height = NULL"
            " WHERE id = ?",
            (image,),
        )

    def unsettle_all(self) -> None:
        """Take nothing for held: the next sync looks at every image anew."""
        self._db.execute("UPDATE image SET stamp = NULL WHERE kind = 'remote'")

    def held(self) -> Iterator[tuple[int, str, str]]:
        """Number, URL and digest of each remote image that is taken for held."""
        yield from self._db.execute(
            "SELECT id, url, digest FROM image WHERE kind = 'remote' AND digest IS NOT NULL ORDER BY url"
        )

    def unsettle_these(self, images: Iterable[int]) -> None:
        """Let the next sync look at these images anew."""
        with self.transaction():
            self._db.executemany("UPDATE image SET stamp = NULL WHERE id = ?", ((image,) for image in images))

    def unsettle_url(self, url: str) -> None:
        """Record that the image at a URL is not held, if any article names it."""
        for (image,) in self._db.execute("SELECT id FROM image WHERE url = ? AND kind = 'remote'", (url,)).fetchall():
            self.unsettle(image)

    def own(self) -> list[OwnImage]:
        """Every image of the site itself."""
        rows = self._db.execute("SELECT id, url, base, stamp FROM image WHERE kind = 'own' ORDER BY url, base")
        return [OwnImage._make(row) for row in rows]

    def put_own(self, image: int, stamp: int | None, size: Size | None, wrong: tuple[str, str] | None) -> None:
        """Record what was found of one of the site's own images: its size, or a code and a message."""
        width, height = (size.width, size.height) if size else (None, None)
        self._db.execute(
            "UPDATE image SET stamp = ?, width = ?, height = ?, code = ?, message = ? WHERE id = ?",
            (stamp, width, height, *(wrong or (None, None)), image),
        )

    def broken_own(self) -> list[tuple[str, str, str, str]]:
        """Each own image with something wrong: URL, base, code, message."""
        return self._db.execute(
            "SELECT url, base, code, message FROM image WHERE kind = 'own' AND code IS NOT NULL ORDER BY url, base"
        ).fetchall()
