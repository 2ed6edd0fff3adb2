"""A store of each kind, and a way round it to the very files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from imgcache.cache import LocalStore, ObjectStore, Store, connect_bucket
from imgcache.cache.store.bucket import Bucket
from tests.support.object_store import S3

KINDS = ("folder", "memory", "file", "s3")


class Place(msgspec.Struct, frozen=True):
    """A store and a way round it, to the very files."""

    store: Store
    again: Callable[[], Store]  # the same place seen from another machine
    write: Callable[[str, bytes], None]
    files: Callable[[], dict[str, bytes]]
    written: Callable[[str], float]  # when, in seconds


def _in_folder(store: Store, again: Callable[[], Store], root: Path) -> Place:
    def write(path: str, data: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    def files() -> dict[str, bytes]:
        found = (path for path in (root / "assets").rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}

    return Place(store, again, write, files, lambda path: (root / path).stat().st_mtime)


def _in_bucket(client: Any, where: str, folder: Path) -> Place:
    import obstore

    numbers = iter(range(1000))

    def again() -> Store:
        return ObjectStore(Bucket(client, where), folder / f"machine-{next(numbers)}")

    def write(path: str, data: bytes) -> None:
        obstore.put(client, path, data)

    def files() -> dict[str, bytes]:
        found = [one["path"] for page in obstore.list(client, "assets") for one in page]
        return {path: bytes(obstore.get(client, path).bytes()) for path in found}

    def written(path: str) -> float:
        return float(obstore.head(client, path)["last_modified"].timestamp())

    return Place(again(), again, write, files, written)


def open_place(kind: str, folder: Path, s3: Callable[[], S3]) -> Place:
    """One of `KINDS`, empty and not yet prepared; `s3` starts the server that one of them needs."""
    if kind == "folder":
        return _in_folder(LocalStore(folder / "c"), lambda: LocalStore(folder / "c"), folder / "c")
    if kind == "memory":
        from obstore.store import MemoryStore

        return _in_bucket(MemoryStore(), "memory://", folder)
    where = f"file://{folder}/objects" if kind == "file" else f"{s3().make_bucket(f'b{uuid4().hex}')}/some/prefix"
    return _in_bucket(connect_bucket(where).client, where, folder)
