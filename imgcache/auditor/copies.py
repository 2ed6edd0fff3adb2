"""Compares the cached copies of images with the files on disk."""

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
    """An image whose cached copy lacks variants.

    `absent` names the files that are gone; it is empty if variants were never made.
    """

    image: int
    absent: tuple[str, ...]


def reconcile_copies(catalogue: Catalogue, index: Index, store: Store, sync_policy: SyncPolicy) -> list[MissingFiles]:
    """Enter every copy whose original is on disk into the catalogue, and return those that lack variants.

    Args:
        catalogue: receives the copies.
        index: the records of cached images.
        store: the files on disk.
        sync_policy: the variants that imgcache.yml asks for. A record restored from manifest.json has no fingerprints,
            so it is not known which of these it lacks.
    """
    incomplete: list[MissingFiles] = []

    def rows() -> Iterator[CopyRow]:
        for url, asset, _ in index.entries():
            image = catalogue.images.number(url)
            missing = store.missing(asset) if image is not None else ()
            if image is None or asset.original in missing:
                continue
            recipes = sync_policy.for_focus(catalogue.focal_points.of_image(image)).recipes
            if missing or (asset.recipes and not set(recipes) <= set(asset.recipes)):
                incomplete.append(MissingFiles(image, missing))
            yield _row(image, asset)

    pending = rows()
    while batch := list(islice(pending, _BATCH)):
        catalogue.audit.put_copies(batch)
    return incomplete


def _row(image: int, asset: Asset) -> CopyRow:
    return CopyRow(image, asset.digest, asset.width, asset.height, asset.bytes, best_bytes(asset))
