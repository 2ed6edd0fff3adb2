"""Queries for images of one host that share their bytes, and for the sizes that articles declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgcache.cache.catalogue.database import Database
from imgcache.core import Declared, SharedImageRow, Size

# URLs that differ only in the fragment count as one. Grouping by the digest first is ten times cheaper than grouping by
# everything at once; CROSS JOIN fixes the order of the joins: one pass over the images.
_SHARING = """
WITH frequent AS (
  SELECT digest FROM image WHERE kind = 'remote' AND digest > '' GROUP BY digest HAVING count(*) >= ?1),
shared AS (
  SELECT host, digest FROM image WHERE kind = 'remote' AND digest IN frequent GROUP BY host, digest
  HAVING count(DISTINCT CASE instr(url, '#') WHEN 0 THEN url ELSE substr(url, 1, instr(url, '#') - 1) END) >= ?1
  UNION SELECT host, digest FROM placeholder)
SELECT i.id, i.host, i.digest, i.url, i.width, i.height, r.width, r.height
FROM image i CROSS JOIN shared s ON s.host = i.host AND s.digest = i.digest CROSS JOIN reference r ON r.image = i.id
WHERE i.kind = 'remote' ORDER BY i.host, i.digest, i.url
"""


class SharedBytes:
    """Images that share their bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._db = database.connection

    def references(self, at_least: int, placeholders: Iterable[tuple[str, str]]) -> Iterator[SharedImageRow]:
        """Yields the references to held images that may be placeholders, by host, digest and URL.

        Args:
            at_least: that many URLs of one host with equal bytes are reported.
            placeholders: hosts and digests that are reported however few URLs have them.
        """
        self._database.put_known_placeholders(placeholders)
        for image, host, digest, url, width, height, *declared in self._db.execute(_SHARING, (at_least,)):
            yield SharedImageRow(image, host, digest, url, Size(width, height), Declared(*declared))
