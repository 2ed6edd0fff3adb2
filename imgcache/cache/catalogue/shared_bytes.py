"""Which pictures of a host are one and the same, and what the articles declare of an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgcache.cache.catalogue.schema import Tables
from imgcache.core import Declared, SharedImageRow, Size

# Addresses that differ in their fragment alone are one address. First by the digest alone, which is ten times cheaper
# than all at once; the joins' order is fixed, one pass over the images.
_SHARING = """
WITH frequent AS (
  SELECT digest FROM image WHERE kind = 'remote' AND digest > '' GROUP BY digest HAVING count(*) >= ?1),
shared AS (
  SELECT host, digest FROM image WHERE kind = 'remote' AND digest IN frequent GROUP BY host, digest
  HAVING count(DISTINCT CASE instr(url, '#') WHEN 0 THEN url ELSE substr(url, 1, instr(url, '#') - 1) END) >= ?1
  UNION SELECT host, digest FROM card)
SELECT i.id, i.host, i.digest, i.url, i.width, i.height, r.width, r.height
FROM image i CROSS JOIN shared s ON s.host = i.host AND s.digest = i.digest CROSS JOIN reference r ON r.image = i.id
WHERE i.kind = 'remote' ORDER BY i.host, i.digest, i.url
"""


class SharedBytes(Tables):
    """What is recorded of images that share their bytes."""

    def sharing(self, at_least: int, cards: Iterable[tuple[str, str]]) -> Iterator[SharedImageRow]:
        """Every reference to an image held whose bytes `at_least` addresses of its host have, by host, digest and URL.

        And those whose host and digest are among `cards`, however few they are.
        """
        self.put_cards(cards)
        for image, host, digest, url, width, height, *declared in self._db.execute(_SHARING, (at_least,)):
            yield SharedImageRow(image, host, digest, url, Size(width, height), Declared(*declared))

    def declared(self, url: str) -> tuple[Declared, ...]:
        """The sizes that the articles declare of a remote image."""
        rows = self._db.execute(
            "SELECT DISTINCT r.width, r.height FROM reference r JOIN image i ON i.id = r.image"
            " WHERE i.url = ? AND i.kind = 'remote' ORDER BY 1, 2",
            (url,),
        )
        return tuple(Declared(*row) for row in rows)

    def image(self, url: str) -> int | None:
        """The number of the remote image at a URL, None where no article names it."""
        row = self._db.execute("SELECT id FROM image WHERE url = ? AND kind = 'remote'", (url,)).fetchone()
        return None if row is None else int(row[0])
