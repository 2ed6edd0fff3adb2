"""The table of images, with the last known state of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imgcache.cache.catalogue.database import Database
from imgcache.cache.catalogue.focal_points import REMOTE_WITH_FOCUS, FocalPoints
from imgcache.cache.catalogue.rows import LocalImage, PendingImage, RecordedImage
from imgcache.core import Asset, Size

_BROKEN_LOCAL = """
SELECT url, base, code, message, (SELECT min(guessed) FROM reference WHERE reference.image = image.id) FROM image
WHERE kind = 'own' AND code IS NOT NULL ORDER BY url, base
"""
_BLOCK, _MAX_BLOCKS = 64, 64  # URLs read at once, and how many such blocks are kept in memory: half a megabyte


class Images:
    """The images. An image is held if the cache has it with all its variants."""

    def __init__(self, database: Database, focal_points: FocalPoints) -> None:
        self._database = database
        self._db = database.connection
        self._focal_points = focal_points
        self._urls: dict[int, dict[int, str]] = {}

    def remote(self) -> Iterator[RecordedImage]:
        """Yields every remote image with its last known state."""
        if not self._focal_points.exist():
            rows = self._db.execute("SELECT id, digest, stamp, recipes, due, NULL FROM image WHERE kind = 'remote'")
            yield from map(RecordedImage._make, rows)
            return
        for image, digest, stamp, recipes, due, x, y in self._db.execute(REMOTE_WITH_FOCUS):
            yield RecordedImage(image, digest, stamp, recipes, due, None if x is None else (x, y))

    def audited_urls(self) -> Iterator[str]:
        """Yields the URL of every image that an audit checks, remote and local, sorted, without duplicates."""
        query = "SELECT DISTINCT url FROM image WHERE kind != 'inline' ORDER BY url"
        yield from (url for (url,) in self._db.execute(query))

    def pending(self, images: Sequence[int]) -> Iterator[PendingImage]:
        """Yields the given images, those of the newest article first; within a date in the order of the articles.

        So hosts alternate, as they do in articles; sorted by URL, one host would follow the other.
        """
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (image INTEGER PRIMARY KEY)")
        with self._database.transaction():
            self._db.execute("DELETE FROM wanted")
            self._db.executemany("INSERT INTO wanted VALUES (?)", ((image,) for image in images))
        rows = self._db.execute(
            "SELECT i.id, i.host FROM wanted w JOIN image i ON i.id = w.image JOIN reference r ON r.image = i.id"
            " JOIN article a ON a.id = r.article GROUP BY i.id"
            " ORDER BY max(a.newest) DESC, min(a.path), min(r.line), i.url"
        )
        yield from map(PendingImage._make, rows)

    def url(self, image: int) -> str:
        """Returns the URL of an image. Images with adjacent numbers are read too: they are usually needed next."""
        first = image - image % _BLOCK
        if image not in self._urls.get(first, {}):
            rows = self._db.execute("SELECT id, url FROM image WHERE id BETWEEN ? AND ?", (first, first + _BLOCK - 1))
            if len(self._urls) >= _MAX_BLOCKS:
                self._urls.clear()
            self._urls[first] = dict(rows.fetchall())
        return self._urls[first][image]

    def mark_held(self, image: int, asset: Asset, *, stamp: int | None, recipes: str, due: float) -> None:
        """Records that an image is held."""
        self._db.execute(
            "UPDATE image SET digest = ?, stamp = ?, recipes = ?, due = ?, width = ?, height = ? WHERE id = ?",
            (asset.digest, stamp, recipes, due, asset.width, asset.height, image),
        )

    def simulate_held(self, image: int, size: Size | None) -> None:
        """Treats an image as held, for a dry run. `size` is None for one that would have to be fetched."""
        width, height = (size.width, size.height) if size else (None, None)
        self._db.execute("UPDATE image SET digest = '', width = ?, height = ? WHERE id = ?", (width, height, image))

    def mark_missing(self, image: int) -> None:
        """Records that an image is not held."""
        self._db.execute(
            "UPDATE image SET digest = NULL, stamp = NULL, recipes = NULL, due = NULL, width = NULL, height = NULL"
            " WHERE id = ?",
            (image,),
        )

    def recheck_all(self) -> None:
        """Lets the next sync check every image."""
        self._db.execute("UPDATE image SET stamp = NULL WHERE kind = 'remote'")

    def held(self) -> Iterator[tuple[int, str, str]]:
        """Yields number, URL and digest of each remote image that is recorded as held."""
        yield from self._db.execute(
            "SELECT id, url, digest FROM image WHERE kind = 'remote' AND digest IS NOT NULL ORDER BY url"
        )

    def recheck(self, images: Iterable[int]) -> None:
        """Lets the next sync check these images."""
        with self._database.transaction():
            self._db.executemany("UPDATE image SET stamp = NULL WHERE id = ?", ((image,) for image in images))

    def mark_url_missing(self, url: str) -> None:
        """Records that the image at a URL is not held, if any article names it."""
        for (image,) in self._db.execute("SELECT id FROM image WHERE url = ? AND kind = 'remote'", (url,)).fetchall():
            self.mark_missing(image)

    def local(self) -> list[LocalImage]:
        """Returns every image that is a file of the site."""
        rows = self._db.execute("SELECT id, url, base, stamp FROM image WHERE kind = 'own' ORDER BY url, base")
        return [LocalImage._make(row) for row in rows]

    def put_local(self, image: int, stamp: int | None, size: Size | None, wrong: tuple[str, str] | None) -> None:
        """Records what was found of a local image: its size, or a code and a message."""
        width, height = (size.width, size.height) if size else (None, None)
        self._db.execute(
            "UPDATE image SET stamp = ?, width = ?, height = ?, code = ?, message = ? WHERE id = ?",
            (stamp, width, height, *(wrong or (None, None)), image),
        )

    def broken_local(self) -> list[tuple[str, str, str, str, bool]]:
        """Returns URL, base, code and message of each local image with a problem, and whether it is only guessed."""
        rows = self._db.execute(_BROKEN_LOCAL)
        return [(*row[:4], bool(row[4])) for row in rows]

    def is_guessed(self, image: int) -> bool:
        """Returns whether no place that names an image is certain to name one."""
        (guessed,) = self._db.execute("SELECT min(guessed) FROM reference WHERE image = ?", (image,)).fetchone()
        return bool(guessed)

    def drop_unused(self) -> None:
        """Deletes images that no article names any more; their numbers may be used again."""
        self._urls.clear()
        self._db.execute("DELETE FROM image WHERE id NOT IN (SELECT image FROM reference)")

    def number(self, url: str) -> int | None:
        """Returns the number of the remote image at a URL; None if no article uses it."""
        row = self._db.execute("SELECT id FROM image WHERE url = ? AND kind = 'remote'", (url,)).fetchone()
        return None if row is None else int(row[0])
