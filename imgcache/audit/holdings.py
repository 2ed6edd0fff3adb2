"""What the cache holds of the images that articles name, held against the disk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from imgcache.audit.exposure import best_bytes
from imgcache.catalogue import Catalogue, Copied
from imgcache.index import Index
from imgcache.models import Asset
from imgcache.plan import Wish
from imgcache.store import Store

_BATCH = 512


class Lack(msgspec.Struct, frozen=True):
    """A copy without all its variants: the files that are gone, or none, where some were never made."""

    image: int
    absent: tuple[str, ...]


def take_stock(catalogue: Catalogue, index: Index, store: Store, wish: Wish) -> list[Lack]:
    """Enter every copy whose original is on disk, and give those that lack variants.

    Args:
        catalogue: takes the copies.
        index: says what is recorded.
        store: says what is on disk.
        wish: the variants that are asked for. A record restored from manifest.json has no fingerprints: of such a one
            it is not known what it lacks.
    """
    lacks: list[Lack] = []

    def rows() -> Iterator[Copied]:
        for url, asset, _ in index.entries():
            image = catalogue.image(url)
            missing = store.missing(asset) if image is not None else ()
            if image is None or asset.original in missing:
                continue
            recipes = wish.aimed(catalogue.focus(image)).recipes
            if missing or (asset.recipes and not set(recipes) <= set(asset.recipes)):
                lacks.append(Lack(image, missing))
            yield _row(image, asset)

    waiting = rows()
    while batch := list(islice(waiting, _BATCH)):
        catalogue.put_copies(batch)
    return lacks


def _row(image: int, asset: Asset) -> Copied:
    return Copied(image, asset.digest, asset.width, asset.height, asset.bytes, best_bytes(asset))
