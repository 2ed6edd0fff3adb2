"""Where originals and their variants live, under the SHA-256 of the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from imgcache.models import Asset, Rendered


class Usage(msgspec.Struct, frozen=True):
    """What a store holds: originals, files of any kind, and their bytes."""

    assets: int
    files: int
    bytes: int


class Store(Protocol):
    """A place for blobs. What was committed is never changed, only removed.

    Paths in and out are those of `Asset` and `Variant`: relative to the cache, `assets/ab/abcd…/w320.webp`.
    """

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
        """Another number whenever files of the asset came or went; None if it is not held."""
        ...

    def original(self, asset: Asset) -> Path:
        """The original's bytes as a local file."""
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

    def strays(self, asset: Asset) -> tuple[str, ...]:
        """The paths beside an asset's files that its record does not name."""
        ...

    def discard(self, paths: Iterable[str]) -> None:
        """Removes single files, of those that `damage` or `strays` named."""
        ...

    def remove(self, digest: str) -> None:
        """Removes an asset and all its files."""
        ...

    def digests(self) -> Iterator[str]:
        """Every digest held, sorted."""
        ...

    def usage(self) -> Usage:
        """Sizes in total."""
        ...
