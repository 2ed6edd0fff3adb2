"""Where originals and their variants live, under the SHA-256 of the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from imgcache.cache.store.documents import Document
from imgcache.core import Asset, Rendered

if TYPE_CHECKING:  # a folder needs none of it
    from imgcache.cache.store.markers import Markers


class StoreUsage(msgspec.Struct, frozen=True):
    """What a store holds: originals, files of any kind, and their bytes."""

    assets: int
    files: int
    bytes: int


class Store(Protocol):
    """A place for blobs. What was committed is never changed, only removed.

    Paths in and out are those of `Asset` and `Variant`: relative to the cache, `assets/ab/abcd…/w320.webp`. A store
    that cannot be reached or written raises `DiskFull`, from any method.
    """

    scratch: Path  # a local folder for what is not yet whole; `prepare` empties it
    keeps: bool  # whether `discard` and `remove` can keep what they take away

    @property
    def markers(self) -> Markers | None:
        """What tells of the sites that use it from another index; None where one index knows all of them."""
        ...

    def prepare(self) -> None:
        """Comes before anything is written: makes room, removes what a killed run left half done."""
        ...

    def close(self) -> None:
        """Ends writing."""
        ...

    def refresh(self) -> None:
        """Learns anew what is there: others may have written or removed since this machine last looked."""
        ...

    def learn(self, asset: Asset) -> None:
        """Another process has committed this asset to the same place: it need not be asked for."""
        ...

    def document(self, name: str) -> Document:
        """A file beside `assets/`."""
        ...

    def staging(self) -> AbstractContextManager[Path]:
        """A private place for the folder of one image's files, which the block makes; what is left of it goes."""
        ...

    def commit(self, folder: Path, digest: str, rendered: Rendered, original: Path | None = None) -> Asset:
        """Makes one image's files visible in one step."""
        ...

    def settle(self) -> None:
        """Makes all that was committed durable; comes before a record that speaks of it."""
        ...

    def stamp(self, digest: str) -> int | None:
        """Another number whenever files of the asset are known to have come or gone; None if it is not held. Cheap."""
        ...

    def original(self, asset: Asset) -> Path:
        """The original's bytes as a local file, which lasts as long as the path that is given is kept."""
        ...

    def missing(self, asset: Asset) -> tuple[str, ...]:
        """The paths of an asset that are absent or of another length."""
        ...

    def damage(self, asset: Asset) -> tuple[str, ...]:
        """The paths of an asset that are absent or hold other bytes than recorded. Reads everything."""
        ...

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """What is still there of an asset of which only the manifest tells, and when its original was written."""
        ...

    def files(self, digest: str) -> Mapping[str, int]:
        """Path and bytes of every file under a digest that imgcache may have written."""
        ...

    def strays(self, asset: Asset) -> tuple[str, ...]:
        """The paths beside an asset's files that its record does not name."""
        ...

    def foreign(self) -> tuple[str, ...]:
        """The paths below `assets/` that imgcache did not write, and leaves alone."""
        ...

    def discard(self, paths: Iterable[str], keep: Path | None = None) -> None:
        """Removes single files, of those that `damage` or `strays` named; `keep`: as for `remove`."""
        ...

    def remove(self, digest: str, keep: Path | None = None) -> None:
        """Removes an asset and all its files. A store that `keeps` moves them to a folder, if `keep` names one."""
        ...

    def bring_back(self, digest: str, keep: Path) -> None:
        """Takes back what `remove` kept in this folder; `settle` makes it durable."""
        ...

    def digests(self) -> Iterator[str]:
        """Every digest held, sorted."""
        ...

    def usage(self) -> StoreUsage:
        """Sizes in total."""
        ...


class FileInfo(msgspec.Struct, frozen=True):
    """What a store tells of one file: bytes, a strong validator (RFC 9110, section 8.8.3), when it was written."""

    bytes: int
    etag: str
    modified: float  # seconds since the epoch


class ReadableStore(Protocol):
    """The part of an object store that a server in front of it needs. Paths are relative to the cache.

    Every method raises `StoreError` where the store gives no answer, and may wait for the network: call it in a thread.
    """

    def look(self, path: str) -> FileInfo | None:
        """What is there; None where nothing is."""
        ...

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes | None:
        """The bytes from `start` up to, not including, `end`; None where nothing is."""
        ...

    def chunks(self, path: str) -> Iterator[bytes] | None:
        """All bytes, piece by piece; None where nothing is."""
        ...

    def signed_url(self, path: str, seconds: float) -> str | None:
        """A URL that anybody may GET for so long; None where the store has no such thing. It is a secret."""
        ...
