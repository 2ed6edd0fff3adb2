"""`Catalogue`: which article uses which image, and what is recorded of both."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from imgcache.cache.catalogue.articles import Articles
from imgcache.cache.catalogue.audit_tables import AuditTables
from imgcache.cache.catalogue.built import BuiltTables
from imgcache.cache.catalogue.database import Database
from imgcache.cache.catalogue.focal_points import FocalPoints
from imgcache.cache.catalogue.images import Images
from imgcache.cache.catalogue.references import References
from imgcache.cache.catalogue.shared_bytes import SharedBytes
from imgcache.cache.catalogue.sites import SiteTables


class Catalogue:
    """The relations of one site, or of several sites that a command names together.

    It answers what the records by URL cannot: what changed since the last run, which images need work, which flags are
    wrong, where an image is used. Rows are streamed from the disk: a million references need no more memory than a
    thousand. The file is not shared between processes: a writer holds the cache's lock.

    Attributes:
        articles: the articles, with what each of them refers to.
        images: the images, with the last known state of each.
        focal_points: the points that articles set for images.
        references: where images are used, and which flags are wrong.
        shared_bytes: images of one host with equal bytes.
        audit: what an audit found out.
        built: the pages of a built folder, and what they load.
        sites: which sites the catalogue describes.
    """

    def __init__(self, file: Path, scope: str) -> None:
        """Opens or creates the file.

        Args:
            file: the database.
            scope: everything that references depend on beside the articles' bytes; another scope empties the tables.

        Raises:
            DiskFull: the file cannot be written.
        """
        self._database = database = Database(file, scope)
        self.focal_points = FocalPoints(database)
        self.articles = Articles(database, self.focal_points)
        self.images = Images(database, self.focal_points)
        self.references = References(database)
        self.shared_bytes = SharedBytes(database)
        self.audit = AuditTables(database)
        self.built = BuiltTables(database)
        self.sites = SiteTables(database)

    def transaction(self) -> AbstractContextManager[None]:
        """Commits at the end of the block; an exception undoes all of it."""
        return self._database.transaction()

    def drop_unused_images(self) -> None:
        """Deletes images that no article names any more; their numbers may be used again."""
        self.articles.forget_images()
        self.images.drop_unused()

    def close(self) -> None:
        """Closes the file."""
        self._database.connection.close()
