"""What every store can do, for writers (`Store`) and for a server that only reads (`ReadableStore`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imgcache.cache.store.documents import Document
from imgcache.cache.store.values import FileInfo, StoreUsage
from imgcache.core import Asset, Rendered

if TYPE_CHECKING:  # a folder needs none of it
    from imgcache.cache.store.markers import Markers


class Store(Protocol):
    """Stores the files of images. A committed file is never changed, only removed.

    Paths in and out are those of `Asset` and `Variant`: relative to the cache, `assets/ab/abcd…/w320.webp`. Every
    method raises `DiskFull` if the store cannot be reached or written.

    Attributes:
        scratch: a local folder for unfinished files; `prepare` empties it.
        keeps: whether `discard` and `remove` can move files to a folder instead of deleting them.
    """

    scratch: Path
    keeps: bool

    @property
    def markers(self) -> Markers | None:
        """Returns the markers of sites that use this store from another index; None if one index knows all sites."""
        ...

    def prepare(self) -> None:
        """Prepares the store for writing and removes what a killed run left behind. Call it before any write."""
        ...

    def close(self) -> None:
        """Ends writing."""
        ...

    def refresh(self) -> None:
        """Reads again what the store holds: other machines may have written or removed files."""
        ...

    def note_committed(self, asset: Asset) -> None:
        """Notes that another process committed this asset to the same place, so that it need not be looked up."""
        ...

    def document(self, name: str) -> Document:
        """Returns a file beside `assets/`."""
        ...

    def staging(self) -> AbstractContextManager[Path]:
        """Yields a private path where the block creates a folder for one image's files; leftovers are removed."""
        ...

    def commit(self, folder: Path, digest: str, rendered: Rendered, original: Path | None = None) -> Asset:
        """Makes one image's files visible in one step."""
        ...

    def make_durable(self) -> None:
        """Makes all commits durable. Call it before writing a record that refers to them."""
        ...

    def stamp(self, digest: str) -> int | None:
        """Returns a number that changes when files of the asset come or go; None if it is not held. Cheap."""
        ...

    def original(self, asset: Asset) -> Path:
        """Returns a local file with the original's bytes, which exists as long as the returned path object."""
        ...

    def missing(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths of an asset that are absent or have another length."""
        ...

    def damage(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths of an asset that are absent or differ from the recorded bytes. Reads every file."""
        ...

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """Returns what is left of an asset known from manifest.json alone, and when its original was written."""
        ...

    def files(self, digest: str) -> Mapping[str, int]:
        """Returns path and bytes of every file of a digest that imgcache may have written."""
        ...

    def unrecorded_files(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths beside an asset's files that its record does not name."""
        ...

    def foreign_files(self) -> tuple[str, ...]:
        """Returns the paths below `assets/` that imgcache did not write and leaves alone."""
        ...

    def discard(self, paths: Iterable[str], keep: Path | None = None) -> None:
        """Removes single files that `damage` or `strays` returned; `keep` as in `remove`."""
        ...

    def remove(self, digest: str, keep: Path | None = None) -> None:
        """Removes an asset with all its files. A store with `keeps` moves them to the folder `keep`, if given."""
        ...

    def restore(self, digest: str, keep: Path) -> None:
        """Restores what `remove` moved to the folder `keep`; `settle` makes it durable."""
        ...

    def digests(self) -> Iterator[str]:
        """Yields every digest held, sorted."""
        ...

    def usage(self) -> StoreUsage:
        """Returns sizes in total."""
        ...


class ReadableStore(Protocol):
    """The part of an object store that a server in front of it needs. Paths are relative to the cache.

    Every method raises `StoreError` if the store does not answer, and may wait for the network: call it in a thread.
    """

    def metadata(self, path: str) -> FileInfo | None:
        """Returns the metadata of a file; None if it does not exist."""
        ...

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes | None:
        """Returns the bytes from `start` up to, not including, `end`; None if the file does not exist."""
        ...

    def chunks(self, path: str) -> Iterator[bytes] | None:
        """Returns all bytes in pieces; None if the file does not exist."""
        ...

    def signed_url(self, path: str, seconds: float) -> str | None:
        """Returns a URL that anybody may GET for so many seconds; None if the store has none. It is a secret."""
        ...
