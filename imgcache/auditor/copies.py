"""What the cache holds of the images that articles name, held against the disk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from imgcache.auditor.exposure import best_bytes
from imgcache.cache import Catalogue, CopyRow, Index, Store
from imgcache.core import Asset
from imgcache.policy import SyncPolicy

_BATCH = 512


class MissingFiles(msgspec.Struct, frozen=True):
    """A copy without all its variants: the files that are gone, or none, where some were never made."""

    image: int
    absent: tuple[str, ...]


def reconcile_copies(catalogue: Catalogue, index: Index, store: Store, wish: SyncPolicy) -> list[MissingFiles]:
    """Enter every copy whose original is on disk, and give those that lack variants.

    Args:
        catalogue: takes the copies.
        index: says what is recorded.
        store: says what is on disk.
        wish: the variants that are asked for. A record restored from manifest.json has no fingerprints: of such a one
            it is not known what it lacks.
    """
    lacks: list[MissingFiles] = []

    def rows() -> Iterator[CopyRow]:
        for url, asset, _ in index.entries():
            image = catalogue.images.number(url)
            missing = store.missing(asset) if image is not None else ()
            if image is None or asset.original in missing:
                continue
            recipes = wish.aimed(catalogue.focal_points.of_image(image)).recipes
            if missing or (asset.recipes and not set(recipes) <= set(asset.recipes)):
                lacks.append(MissingFiles(image, missing))
            yield _row(image, asset)

    waiting = rows()
    while batch := list(islice(waiting, _BATCH)):
        catalogue.audit.put_copies(batch)
    return lacks


def _row(image: int, asset: Asset) -> CopyRow:
    return CopyRow(image, asset.digest, asset.width, asset.height, asset.bytes, best_bytes(asset))
