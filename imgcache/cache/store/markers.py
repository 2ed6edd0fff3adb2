"""Records in a bucket which sites use it: an index that writes to it stores a marker object for each of its sites."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.inventory import Inventory
from imgcache.core import ConfigError, disk_errors, new_file

_FOLDER = "index/sites"
_ENDING = ".json"
_MAX_BYTES = 1 << 20  # of one marker: three paths and a URL
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache"}


class Marker(msgspec.Struct, frozen=True):
    """One site, and the index that knows which images it uses, as real paths on their machine.

    Two machines with equal paths and URL share one marker: the second may be a new checkout of the same site. `since`
    is when the marker was stored, in seconds since the epoch.
    """

    site: str
    index: str
    site_url: str | None
    since: float

    @property
    def key(self) -> str:
        """The key of the object, relative to the cache."""
        identity = msgspec.json.encode((self.site, self.index, self.site_url))
        return f"{_FOLDER}/{hashlib.sha256(identity).hexdigest()[:32]}{_ENDING}"


_markers = msgspec.json.Decoder(Marker)


class Markers:
    """The markers of one bucket. Every method raises `StoreError` if the bucket does not answer."""

    def __init__(self, bucket: Bucket, inventory: Inventory, scratch: Path) -> None:
        """`inventory` notes the markers that this machine stored, so that a run with nothing to do sends no request."""
        self._bucket = bucket
        self._inventory = inventory
        self._scratch = scratch

    def put(self, marker: Marker, *, again: bool) -> None:
        """Stores a marker. `again`: even if this machine stored it before, because another may have removed it."""
        if self._inventory.notes(marker.key) and not again:
            return
        file = self._scratch / Path(marker.key).name
        with disk_errors(file), new_file(file) as written:
            written.write(msgspec.json.encode(marker))
        self._bucket.create(marker.key, file, _HEADERS)
        with disk_errors(file):
            file.unlink()
        self._inventory.note(marker.key)

    def all(self) -> list[Marker]:
        """Returns every marker, sorted by site. Raises ConfigError for one that cannot be read."""
        keys = [key for key, _ in self._bucket.listing(_FOLDER) if key.endswith(_ENDING)]
        contents = ((key, self._bucket.read(key, limit=_MAX_BYTES)) for key in keys)
        found = [self._decode(key, data) for key, data in contents if data is not None]
        return sorted(found, key=lambda marker: (marker.site, marker.index))

    def remove(self, markers: Iterable[Marker]) -> None:
        """Removes markers."""
        keys = [marker.key for marker in markers]
        for key in keys:
            self._inventory.unnote(key)
        self._bucket.delete(keys)

    def _decode(self, key: str, data: bytes) -> Marker:
        try:
            return _markers.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ConfigError(
                "this object does not name a site: remove it unless another version of imgcache stored it",
                where=f"{self._bucket.where}/{key}",
            ) from None
