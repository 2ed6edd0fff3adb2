"""Keeps what gc removed for a day in `index/removed/`, so that a sync that needs an image again can restore it.

Each gc has a folder there, with `records.json` and the files under their paths in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

from imgcache.cache.catalogue.catalogue import Catalogue
from imgcache.cache.index.index import Index
from imgcache.cache.store.protocol import Store
from imgcache.core import Asset, Copy, disk_errors, display_path, new_file, remove_tree

logger = logging.getLogger(__name__)

FOLDER = "removed"
KEPT_FOR = 86_400.0  # seconds
_RECORDS = "records.json"


class RemovedRecords(msgspec.Struct):
    """The records of what one gc removed. `removed_at` is in seconds since the epoch."""

    removed_at: float
    copies: dict[str, Copy] = {}
    assets: dict[str, Asset] = {}


_decoder = msgspec.json.Decoder(RemovedRecords)


class RemovedImages:
    """The removed images of one cache. A writer must hold the cache's lock."""

    def __init__(self, index_folder: Path) -> None:
        self._folder = index_folder / FOLDER

    def begin(self, records: RemovedRecords) -> Path:
        """Creates a folder for what a gc is about to remove, with its records, and returns it. Raises DiskFull."""
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            batch = next(name for name in self._folder_names(round(records.removed_at)) if not name.exists())
            batch.mkdir()
            self._write(batch, records)
        return batch

    def _folder_names(self, second: int) -> Iterator[Path]:
        number = 0
        while True:
            yield self._folder / f"{second}-{number:03}"
            number += 1

    def expired(self, now: float) -> list[Path]:
        """Returns the folders that are older than a day, and those without records.

        A folder from the future is kept (the clock was set back); `restart` dates it anew.
        """
        found = []
        for batch, records in self._batches():
            if records is None or now - records.removed_at >= KEPT_FOR:
                found.append(batch)
        return found

    def restart(self, now: float) -> None:
        """Dates folders from the future `now`, so that their day begins now. Raises DiskFull."""
        for batch, records in self._batches():
            if records is not None and records.removed_at > now:
                self._write(batch, msgspec.structs.replace(records, removed_at=now))

    def assets(self) -> dict[str, Asset]:
        """Returns the images that can be restored, by URL."""
        return {
            url: asset
            for _, records in self._batches()
            if records is not None
            for url, copy in records.copies.items()
            if (asset := records.assets.get(copy.digest)) is not None
        }

    def restore(self, index: Index, catalogue: Catalogue, store: Store) -> int:
        """Restores the images that articles use again. Returns the number of URLs.

        Raises:
            DiskFull: a file cannot be moved.
        """
        found: dict[str, Copy] = {}
        assets: dict[str, Asset] = {}
        for _, records in reversed(self._batches()):
            for url, copy in (records.copies if records else {}).items():
                is_needed = url not in found and index.copy(url) is None and not index.forgotten(url)
                if not is_needed or not catalogue.references.is_used(url) or records is None:
                    continue
                asset = index.asset(copy.digest) or assets.get(copy.digest) or records.assets.get(copy.digest)
                if asset is None:
                    continue
                for folder, _ in self._batches() if store.missing(asset) else []:  # another gc may have it
                    store.restore(copy.digest, folder)
                if asset.original not in store.missing(asset):
                    found[url], assets[copy.digest] = copy, asset
        store.make_durable()  # before the records: a record without files would be wrong
        with index.batch():
            for asset in assets.values():
                index.put_asset(asset)
            for url, copy in found.items():
                index.put_copy(url, copy)
        return len(found)

    def resume(self, index: Index, store: Store) -> None:
        """Completes a gc that was killed: moves the files whose records it had dropped. Raises DiskFull."""
        for batch, records in self._batches():
            for digest in records.assets if records else ():
                if index.asset(digest) is None and store.files(digest):
                    store.remove(digest, batch)

    def forget(self, url: str) -> None:
        """Deletes what is kept of a URL, for good. Raises DiskFull."""
        for batch, records in self._batches():
            if records is None or (copy := records.copies.pop(url, None)) is None:
                continue
            if all(other.digest != copy.digest for other in records.copies.values()):
                records.assets.pop(copy.digest, None)
                with disk_errors(batch):
                    remove_tree(batch / "assets" / copy.digest[:2] / copy.digest)
            self._write(batch, records)

    def _write(self, batch: Path, records: RemovedRecords) -> None:
        part = batch / f"{_RECORDS}.part"
        with disk_errors(part), new_file(part) as file:
            file.write(msgspec.json.encode(records))
        with disk_errors(part):
            part.replace(batch / _RECORDS)

    def _batches(self) -> list[tuple[Path, RemovedRecords | None]]:
        """Returns each folder with its records, the oldest first; None if these cannot be read."""
        try:
            folders = sorted(path for path in self._folder.iterdir() if path.is_dir() and not path.is_symlink())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [(folder, _read(folder / _RECORDS)) for folder in folders]


def _read(file: Path) -> RemovedRecords | None:
    try:
        return _decoder.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("%s cannot be read (%s): the next gc deletes its folder", display_path(file), error)
        return None


def size_of(folders: list[Path]) -> int:
    """Returns the bytes of all files in these folders."""
    files = (file for folder in folders for file in folder.rglob("*"))
    return sum(file.lstat().st_size for file in files if not file.is_dir() or file.is_symlink())
