"""Which article uses which image: the relational memory of a site, in SQLite.

It answers what the records by URL cannot: what changed since the last run, which images are still to be settled, which
flags differ from the truth, where an image is used. Rows stay on disk and are read as a stream, so that a million
references need no more memory than a thousand. All of it can be made anew by reading the articles: a damaged file is
thrown away.
"""

from __future__ import annotations

from pathlib import Path

from imgcache.cache.catalogue.articles import Articles
from imgcache.cache.catalogue.audit_tables import AuditTables, CopyRow, ProbeRow
from imgcache.cache.catalogue.built import BuiltCounts, BuiltPage, BuiltTables
from imgcache.cache.catalogue.images import Images
from imgcache.cache.catalogue.references import References
from imgcache.cache.catalogue.rows import (
    ArticleStat,
    AuditedImage,
    HotlinkedUse,
    ImageUse,
    OwnImage,
    PendingImage,
    ReadArticle,
    RecordedImage,
    ReferenceMismatch,
    ReferenceRow,
)
from imgcache.cache.catalogue.schema import LAYOUT
from imgcache.cache.catalogue.shared_bytes import SharedBytes
from imgcache.cache.catalogue.sites import SiteTables
from imgcache.cache.index.tables import open_tables

__all__ = [
    "ArticleStat",
    "AuditedImage",
    "BuiltCounts",
    "BuiltPage",
    "Catalogue",
    "CopyRow",
    "HotlinkedUse",
    "ImageUse",
    "OwnImage",
    "PendingImage",
    "ProbeRow",
    "ReadArticle",
    "RecordedImage",
    "ReferenceMismatch",
    "ReferenceRow",
]


class Catalogue(Articles, Images, AuditTables, BuiltTables, References, SharedBytes, SiteTables):
    """The tables of one site, or of several as one. Not shared between processes: the cache's lock guards it."""

    def __init__(self, file: Path, scope: str) -> None:
        """Open or make the file. `scope` names all that references depend on beside the articles' bytes."""
        super().__init__(open_tables(file, LAYOUT, scope))

    def drop_unused_images(self) -> None:
        """Forget images that no article names any more; their numbers may be given out again."""
        super().drop_unused_images()
        self._urls.clear()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def files(self) -> int:
        """How many articles and templates there are."""
        (number,) = self._db.execute("SELECT count(*) FROM article").fetchone()
        return int(number)

    def counts(self) -> dict[str, int]:
        """How many articles, references, remote images, and remote images held there are."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM article WHERE NOT is_template), (SELECT count(*) FROM reference),"
            " (SELECT count(*) FROM image WHERE kind = 'remote'),"
            " (SELECT count(*) FROM image WHERE kind = 'remote' AND digest IS NOT NULL)"
        ).fetchone()
        return dict(zip(("articles", "references", "images", "cached"), row, strict=True))
