"""A file beside `assets/` in a bucket, such as manifest.json, which several machines may want to replace."""

from __future__ import annotations

from pathlib import Path

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.merging import sha256
from imgcache.core import StoreError

_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache"}


class ObjectDocument:
    """A `Document` in a `Bucket`. Its mark is its etag.

    It is replaced only where it still is the one that was there when this object first looked, or what this object put
    there itself.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name
        self._seen: str | None = None
        self.where = f"{bucket.where}/{name}"

    def mark(self) -> str:
        """The etag; "" where there is none. Asks."""
        found = self._bucket.look(self._name)
        etag = found.etag if found else ""
        if self._seen is None:
            self._seen = etag
        return etag.encode("ascii", "replace").decode()

    def read(self) -> bytes | None:
        """The whole object. Raises StoreError."""
        if self._seen is None:
            self.mark()
        return self._bucket.read(self._name)

    def replace(self, part: Path) -> bool:
        """False if it had these very bytes already.

        Raises:
            StoreError: another machine was quicker, or the store cannot be written; what is there stays.
        """
        if self._seen is None:
            self.mark()
        if self._has(part):
            part.unlink()
            return False
        etag = self._bucket.exchange(self._name, part, _HEADERS, self._seen or "")
        if etag is None and not self._has(part):  # else a request that was sent again met its own work
            raise StoreError(
                f"{self.where} was replaced by another machine while this command ran: the images are kept; let one"
                " machine at a time work on it, and run again"
            )
        self._seen = etag
        part.unlink()
        return True

    def _has(self, part: Path) -> bool:
        """Whether the object has the bytes of a file; they are read only where there are as many."""
        found = self._bucket.look(self._name)
        return (
            found is not None and found.bytes == part.stat().st_size and self._bucket.digest(self._name) == sha256(part)
        )
