"""A file beside `assets/` in a bucket, for example manifest.json, that several machines may try to replace."""

from __future__ import annotations

from pathlib import Path

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.merging import sha256
from imgcache.core import StoreError

_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache"}


class ObjectDocument:
    """A `Document` in a `Bucket`. Its mark is its ETag.

    It is replaced only if it is still the version that this object saw first, or the version that this object wrote.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name
        self._known_etag: str | None = None
        self.where = f"{bucket.where}/{name}"

    def version(self) -> str:
        """Returns the ETag; "" if there is no object. Sends a request."""
        found = self._bucket.metadata(self._name)
        etag = found.etag if found else ""
        if self._known_etag is None:
            self._known_etag = etag
        return etag.encode("ascii", "replace").decode()

    def read(self) -> bytes | None:
        """Returns the whole object; None if there is none. Raises StoreError."""
        if self._known_etag is None:
            self.version()
        return self._bucket.read(self._name)

    def replace(self, part: Path) -> bool:
        """Replaces the object by a local file, which is removed. Returns False if it already had these bytes.

        Raises:
            StoreError: another machine replaced it first, or the store cannot be written; the present object stays.
        """
        if self._known_etag is None:
            self.version()
        if self._has(part):
            part.unlink()
            return False
        etag = self._bucket.replace_if_unchanged(self._name, part, _HEADERS, self._known_etag or "")
        if etag is None and not self._has(part):  # a request that was sent twice may meet its own first effect
            raise StoreError(
                f"{self.where} was replaced by another machine while this command ran. The images are kept. Run again,"
                " and let only one machine at a time work on this cache"
            )
        self._known_etag = etag
        part.unlink()
        return True

    def _has(self, part: Path) -> bool:
        """Returns whether the object equals a file; its bytes are read only if the length is equal."""
        found = self._bucket.metadata(self._name)
        return (
            found is not None and found.bytes == part.stat().st_size and self._bucket.digest(self._name) == sha256(part)
        )
