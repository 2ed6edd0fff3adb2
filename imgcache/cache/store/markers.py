"""Which sites use a bucket: an index that writes to it leaves a marker of each of its sites there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.inventory import Inventory
from imgcache.core import ConfigError, disk_errors, new_file

_HOME = "index/sites"
_ENDING = ".json"
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache"}


class Marker(msgspec.Struct, frozen=True):
    """One site, and the index that knows what it uses: their real paths on the machine that they are on.

    Two machines where all three lie alike have one marker: the other may be the same site, checked out anew. `since` is
    when it was left, in seconds since the epoch.
    """

    site: str
    index: str
    site_url: str | None
    since: float

    @property
    def key(self) -> str:
        """Where it lies, relative to the cache."""
        said = msgspec.json.encode((self.site, self.index, self.site_url))
        return f"{_HOME}/{hashlib.sha256(said).hexdigest()[:32]}{_ENDING}"


_markers = msgspec.json.Decoder(Marker)


class Markers:
    """Those of one bucket. Every method raises `StoreError` where the bucket gives no answer."""

    def __init__(self, bucket: Bucket, inventory: Inventory, scratch: Path) -> None:
        """`inventory` notes which ones this machine has left, so that a run with nothing to do leaves none again."""
        self._bucket = bucket
        self._inventory = inventory
        self._scratch = scratch

    def leave(self, marker: Marker, *, again: bool) -> None:
        """Sees to it that it is there. `again`: even if it was left before, for somebody may have taken it away."""
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
        """Every one that is there, by site. Raises ConfigError for one that cannot be read."""
        keys = [key for key, _ in self._bucket.listing(_HOME) if key.endswith(_ENDING)]
        found = [self._read(key, data) for key in keys if (data := self._bucket.read(key)) is not None]
        return sorted(found, key=lambda marker: (marker.site, marker.index))

    def remove(self, markers: Iterable[Marker]) -> None:
        """Takes them away."""
        keys = [marker.key for marker in markers]
        for key in keys:
            self._inventory.unnote(key)
        self._bucket.delete(keys)

    def _read(self, key: str, data: bytes) -> Marker:
        try:
            return _markers.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ConfigError(
                "does not say which site it stands for: remove it if no other version of imgcache left it",
                where=f"{self._bucket.where}/{key}",
            ) from None
