"""An object store in memory behind `imgcache serve`: every request is counted, and it can fail."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import obstore
from obstore.store import MemoryStore

from imgcache.cache import FileInfo, ReadableStore
from imgcache.cache.store.bucket import Bucket
from imgcache.config import ServePolicy
from imgcache.core import Asset, StoreError
from imgcache.server.tuning import Tuning
from tests.support.served import Response, held, serving, write_manifest

A, B, GIF, TIFF = (f"https://pictures.example/{name}" for name in ("a.jpg", "b.png", "c.gif", "d.tif"))
# A quarter of it is what one file may take: the originals are large files, and all variants are small ones.
SMALL = 100_000


class Far:
    """The seam: a store in memory, of which every request is counted, and which can fail, or keep one waiting."""

    def __init__(self, cache: Path) -> None:
        self.client = MemoryStore()
        self._bucket = Bucket(self.client, "memory")
        self.asked: list[tuple[str, str]] = []
        self.is_down = False
        self.is_open = threading.Event()
        self.is_open.set()
        self.on_read: Callable[[str], None] = lambda path: None
        self.take(cache)

    def take(self, cache: Path) -> None:
        """All files of a cache."""
        for file in cache.rglob("*"):
            if file.is_file():
                obstore.put(self.client, str(file.relative_to(cache)), file.read_bytes())

    def files(self) -> Counter[str]:
        """Requests for files under assets/, by path."""
        return Counter(path for _, path in self.asked if path != "manifest.json")

    def _pass(self, what: str, path: str) -> None:
        self.asked.append((what, path))
        assert self.is_open.wait(20)
        if self.is_down:
            raise StoreError(f"memory/{path} cannot be read: no answer")

    def metadata(self, path: str) -> FileInfo | None:
        self._pass("look", path)
        return self._bucket.metadata(path)

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes | None:
        self._pass("read", path)
        data = self._bucket.read(path, start, end)
        self.on_read(path)
        return data

    def chunks(self, path: str) -> Iterator[bytes] | None:
        return self._bucket.chunks(path)

    def signed_url(self, path: str, seconds: float) -> str | None:
        return self._bucket.signed_url(path, seconds)


class Cache(msgspec.Struct, frozen=True):
    """A cache on this disk, to compare with."""

    folder: Path
    assets: dict[str, Asset]

    def variant(self, url: str, name: str) -> str:
        return next(one.path for one in self.assets[url].variants if one.name == name)

    def bytes_of(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()


def four_images(folder: Path) -> Cache:
    """A cache in this folder, each of its originals of another format."""
    assets = {url: held(folder, kind) for url, kind in ((A, "jpeg"), (B, "png"), (GIF, "gif"), (TIFF, "tiff"))}
    write_manifest(folder, assets)
    return Cache(folder, assets)


@contextmanager
def in_front(
    tmp_path: Path, store: ReadableStore, memory: int = SMALL, large: str = "stream", tuning: Tuning | None = None
) -> Iterator[int]:
    """The endpoint over a store; the folder has nothing."""
    with serving(tmp_path / "nothing", ServePolicy(memory=memory, large=large), store=store, tuning=tuning) as port:
        yield port


def problem(answer: Response) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["error"]
