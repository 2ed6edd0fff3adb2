"""Images as a worker passes them to the store, of arbitrary bytes, which the store does not decode."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from imgcache.cache import LocalStore, Store
from imgcache.core import Asset, Header, Rendered, Variant, disk_errors

RECIPE = "0123456789ab"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def variant(file: str, data: bytes, recipe: str = RECIPE) -> Variant:
    stem, _, extension = file.rpartition(".")
    return Variant(stem, 320, 240, extension, len(data), file, recipe, sha256(data))


def rendered(variants: Mapping[str, bytes], recipe: str = RECIPE, format: str = "jpeg") -> Rendered:  # noqa: A002
    return Rendered(
        header=Header(format, f"image/{format}", 640, 480, 1, False),
        color="#102030",
        placeholder="data:image/webp;base64,AAAA",
        variants=tuple(variant(name, data, recipe) for name, data in variants.items()),
        recipes=(recipe,),
    )


def put(
    store: Store, original: bytes | None, variants: Mapping[str, bytes], recipe: str = RECIPE, digest: str = ""
) -> Asset:
    """Stage and commit; with a digest and no original, as for variants of an original that is held."""
    with store.staging() as folder:
        with disk_errors(folder):  # as the worker does
            folder.mkdir()
        for name, data in variants.items():
            (folder / name).write_bytes(data)
        fetched = None
        if original is not None:
            fetched = folder / "fetched.part"
            fetched.write_bytes(original)
            digest = sha256(original)
        return store.commit(folder, digest, rendered(variants, recipe), fetched)


def opened(cache: Path) -> LocalStore:
    store = LocalStore(cache)
    store.prepare()
    return store


def unreal_asset(digest: str, **changes: object) -> Asset:
    """A record of an asset without files."""
    base = f"assets/{digest[:2]}/{digest}"
    fields: dict[str, object] = {
        "digest": digest,
        "media_type": "image/jpeg",
        "format": "jpeg",
        "width": 640,
        "height": 480,
        "frames": 1,
        "bytes": 7,
        "color": "#102030",
        "placeholder": "data:,",
        "original": f"{base}/original.jpg",
        "variants": (Variant("w320", 320, 240, "webp", 5, f"{base}/w320.webp", RECIPE, "0" * 64),),
        "recipes": (RECIPE,),
    }
    return Asset(**{**fields, **changes})  # type: ignore[arg-type]
