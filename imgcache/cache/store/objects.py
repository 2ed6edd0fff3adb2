"""Stores the cache as objects under a prefix of a bucket, laid out as in a folder, so that a CDN can serve it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import msgspec

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.bucket_errors import REPAIR
from imgcache.cache.store.inventory import Inventory
from imgcache.cache.store.markers import Markers
from imgcache.cache.store.merging import names, recorded, sha256, sizes_of, staged
from imgcache.cache.store.object_document import ObjectDocument
from imgcache.cache.store.paths import check_path, files_of, folder_of, is_original, original_name, parse_asset_path
from imgcache.cache.store.temporary import TemporaryFile
from imgcache.cache.store.values import StoreUsage
from imgcache.core import MEDIA_TYPES, Asset, Rendered, StoreError, Variant, disk_errors, remove_tree

_CONCURRENCY = 16  # requests
_PREFIXES_AT_ONCE = 8  # listed at the same time, and held in memory
_MAX_FOREIGN = 10_000  # foreign keys that are remembered
_MAX_SIZE = 1 << 44  # bytes; no file of an image is larger, and SQLite's integers hold any sum of such sizes we store
_IMMUTABLE = "public, max-age=31536000, immutable"


class ObjectStore:
    """A `Store` in a `Bucket`: `assets/` holds committed files; unfinished files are in a local folder.

    The variants of an asset are uploaded before its original, each under an unused key: if the original exists, so do
    its first variants. An `Inventory` remembers which objects exist and answers `stamp`, `missing`, `files`, `strays`,
    `digests` and `usage`. Requests are sent for assets that are not in it, by `damage`, which reads every file, and by
    `refresh`, which lists the bucket. Its limit: objects that others remove are only noticed then. A writer must hold
    the `CacheLock` of `folder`. Several machines may write at the same time without harm to existing files, but none
    may `remove` while another commits.
    """

    keeps = False

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        """`folder` is local, and private to this process or locked by it."""
        self._bucket = bucket
        self._inventory = Inventory(folder / "objects.db", bucket.where)
        self._executor = ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="objects")
        self._numbers = itertools.count()
        self._listing = threading.Lock()
        self.scratch = folder / "staging"
        self._foreign: set[str] = set()
        self.markers = Markers(bucket, self._inventory, self.scratch)

    def prepare(self) -> None:
        """Creates the local folder and removes what a killed run left in it. Raises DiskFull."""
        with disk_errors(self.scratch):
            remove_tree(self.scratch)
            self.scratch.mkdir(parents=True)

    def close(self) -> None:
        """Ends reading and writing."""
        self._executor.shutdown()
        self._inventory.close()

    def refresh(self) -> None:
        """Lists the bucket: one request per thousand objects, and one for each of at most 256 prefixes."""
        with self._listing:
            self._foreign.clear()
            listed = self._list_all()
            if not (first := list(itertools.islice(listed, 1))):
                self._refuse_false_emptiness()
            self._inventory.replace(itertools.chain(first, listed))

    def note_committed(self, asset: Asset) -> None:
        """Notes that another process committed this asset to the same bucket."""
        files = ((parse_asset_path(path), size) for path, size, _ in files_of(asset))
        self._inventory.add(asset.digest, {parts[1]: size for parts, size in files if parts})

    def document(self, name: str) -> ObjectDocument:
        """Returns an object beside `assets/`."""
        return ObjectDocument(self._bucket, name)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yields a local path where the block creates a folder; leftovers are removed. Raises DiskFull."""
        folder = self.scratch / f"image-{next(self._numbers)}"
        try:
            yield folder
        finally:
            with disk_errors(folder):
                remove_tree(folder)

    def commit(self, folder: Path, digest: str, rendered: Rendered, original: Path | None = None) -> Asset:
        """Uploads one image: its variants, then its original. Existing objects do not change.

        A name that already holds the bytes of another recipe is avoided. An object is replaced only if its key promises
        certain bytes and it has others: then it is damaged.

        Args:
            folder: from `staging`; holds the variants under `Variant.path`, which is a plain file name here.
            digest: SHA-256 of the original, in hex.
            rendered: what the worker made.
            original: the fetched file. None, or the result of `original`, if the bucket has it already.

        Raises:
            StoreError: the upload failed; the bucket may hold some of the variants, and has lost nothing.
            DiskFull: a file is shorter than the worker reported.
        """
        home, name = folder_of(digest), original_name(rendered.header.format)
        sizes = sizes_of(folder)
        known = self._inventory.files(digest) or {}
        is_new = original is not None and not isinstance(original, TemporaryFile)
        size = original.stat().st_size if original is not None else self._size(digest, name)
        files = staged(folder, sizes, digest, rendered.variants, name)
        new = {one: self._executor.submit(self._upload, home, folder, variant, known) for one, variant in files.items()}
        wait(new.values())
        places = {one: future.result() for one, future in new.items()}
        if is_new and original is not None:
            self._upload_original(f"{home}/{name}", original, digest, rendered.header.media_type)
        there = {places[one]: variant.bytes for one, variant in files.items()}
        self._inventory.add(digest, there | {name: size})
        return recorded(rendered, digest, size, name, places)

    def make_durable(self) -> None:
        """Does nothing: an object is durable once the store has accepted it."""

    def stamp(self, digest: str) -> int | None:
        """Returns a number of the known names and sizes; sends a request only if none are known."""
        found = self._inventory.stamp(digest)
        if found is None:
            self._list_once()
            self._files(digest)
            found = self._inventory.stamp(digest)
        return found

    def original(self, asset: Asset) -> Path:
        """Downloads the original to a temporary file, which is deleted together with the returned path object.

        Raises:
            ValueError: the record names a path that no asset can have.
            StoreError: it does not exist, cannot be read, or has other bytes than recorded.
        """
        key = check_path(asset.original)
        target = TemporaryFile(self.scratch / f"original-{next(self._numbers)}{Path(key).suffix}")
        with disk_errors(self.scratch):
            self.scratch.mkdir(parents=True, exist_ok=True)
        target.delete_with_path()
        self._bucket.download(key, target, asset.bytes)
        if sha256(target) != asset.digest:
            raise StoreError(f"{self._bucket.where}/{key} has other bytes than recorded: {REPAIR}")
        return target

    def missing(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths of an asset that are absent or have another length, as far as this machine knows."""
        known: dict[str, dict[str, int]] = {}

        def holds(path: str, size: int) -> bool:
            parts = parse_asset_path(path)
            if parts is None:
                return False
            digest, name = parts
            if digest not in known:
                known[digest] = self._files(digest)
            return known[digest].get(name) == size

        return tuple(path for path, size, _ in files_of(asset) if not holds(path, size))

    def damage(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths of an asset that are absent or whose SHA-256 differs. Downloads every file."""
        wanted = list(files_of(asset))
        found = self._executor.map(lambda one: parse_asset_path(one[0]) and self._bucket.digest(one[0], one[1]), wanted)
        return tuple(path for (path, _, digest), has in zip(wanted, found, strict=True) if has != digest)

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """Returns what is left of an asset known from manifest.json alone, as `LocalStore.salvage`. Downloads it."""
        if asset.digest not in asset.original or asset.original in (missing := self.missing(asset)):
            return None
        original = self._bucket.metadata(asset.original)
        if original is None or self._bucket.digest(asset.original, asset.bytes) != asset.digest:
            return None
        complete = [one for one in asset.variants if asset.digest in one.path and one.path not in missing]
        digests = self._executor.map(lambda one: self._bucket.digest(one.path, one.bytes), complete)
        variants = tuple(
            msgspec.structs.replace(variant, digest=digest)
            for variant, digest in zip(complete, digests, strict=True)
            if digest
        )
        return msgspec.structs.replace(asset, variants=variants), original.modified

    def files(self, digest: str) -> dict[str, int]:
        """Returns path and bytes of every file of a digest, as far as this machine knows."""
        home = folder_of(digest)
        return {f"{home}/{name}": size for name, size in self._files(digest).items()}

    def unrecorded_files(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths in an asset's folder that its record does not name, as far as this machine knows."""
        named = {path for path, _, _ in files_of(asset)}
        return tuple(path for path in sorted(self.files(asset.digest)) if path not in named)

    def foreign_files(self) -> tuple[str, ...]:
        """Returns the keys below `assets/` that imgcache did not write, as of the last listing; at most 10,000."""
        return tuple(sorted(self._foreign))

    def discard(self, paths: Iterable[str], keep: Path | None = None) -> None:  # noqa: ARG002 (this store keeps nothing)
        """Deletes single files. Raises ValueError for a path that no asset can have, and StoreError."""
        keys = [check_path(path) for path in paths]
        for key in keys:
            digest, name = parse_asset_path(key) or ("", "")
            self._inventory.lose(digest, [name])
        self._bucket.delete(keys)

    def remove(self, digest: str, keep: Path | None = None) -> None:  # noqa: ARG002 (this store keeps nothing)
        """Deletes an asset, its original first, so that after an interruption it is not held. Raises StoreError."""
        home = folder_of(digest)
        keys = [key for key, _ in self._bucket.listing(home) if parse_asset_path(key)]
        self._inventory.drop(digest)
        self._bucket.delete(key for key in keys if is_original(key.removeprefix(f"{home}/")))
        self._bucket.delete(key for key in keys if not is_original(key.removeprefix(f"{home}/")))

    def restore(self, digest: str, keep: Path) -> None:
        """Does nothing: this store keeps nothing."""

    def digests(self) -> Iterator[str]:
        """Yields every digest that has a file, sorted."""
        self._list_once()
        yield from self._inventory.digests()

    def usage(self) -> StoreUsage:
        """Returns sizes in total."""
        self._list_once()
        return self._inventory.usage()

    def _list_once(self) -> None:
        if not self._inventory.is_whole:
            self.refresh()

    def _refuse_false_emptiness(self) -> None:
        """Checks an empty listing by one known object: a proxy's page, for example, looks empty. Raises StoreError."""
        for digest in itertools.islice(self._inventory.digests(), 1):
            name = next(iter(self._inventory.files(digest) or {}), "")
            if self._bucket.metadata(f"{folder_of(digest)}/{name}") is not None:
                raise StoreError(f"{self._bucket.where}/assets cannot be listed: it seems empty, but {name} exists")

    def _list_all(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yields digest and files, a few prefixes at a time; one prefix is a 256th of the cache."""
        prefixes = iter(self._bucket.folders("assets"))
        while some := list(itertools.islice(prefixes, _PREFIXES_AT_ONCE)):
            for found in self._executor.map(self._list_below, some):
                yield from found.items()

    def _list_below(self, prefix: str) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for key, size in self._bucket.listing(prefix):
            parts = parse_asset_path(key)
            if parts and size <= _MAX_SIZE:
                found.setdefault(parts[0], {})[parts[1]] = size
            elif len(self._foreign) < _MAX_FOREIGN:
                self._foreign.add(key)
        return found

    def _files(self, digest: str) -> dict[str, int]:
        """Returns an asset's files from the inventory, or from the bucket if they are unknown."""
        known = self._inventory.files(digest)
        if known is None:
            known = self._list_below(folder_of(digest)).get(digest, {})
            self._inventory.add(digest, known)
        return known

    def _size(self, digest: str, name: str) -> int:
        size = self._files(digest).get(name)
        if size is None:
            raise StoreError(f"{self._bucket.where}/{folder_of(digest)}/{name} does not exist: run again")
        return size

    def _upload(self, home: str, folder: Path, variant: Variant, known: Mapping[str, int]) -> str:
        """Uploads a variant under the first of its names that is unused or has these bytes already."""
        headers = _headers(MEDIA_TYPES.get(variant.format, "application/octet-stream"))
        file, candidates = folder / variant.path, names(variant.path, variant)
        for name in candidates:
            size, key = known.get(name), f"{home}/{name}"
            if size is None and self._bucket.create(key, file, headers):
                return name
            if size in (None, variant.bytes):
                digest = self._bucket.digest(key, variant.bytes)
                if digest == variant.digest or (digest is None and self._bucket.create(key, file, headers)):
                    return name
        self._bucket.put(f"{home}/{candidates[-1]}", file, headers)
        return candidates[-1]

    def _upload_original(self, key: str, file: Path, digest: str, media_type: str) -> None:
        """Uploads an original. Its key is its digest: an existing object is replaced only if it has other bytes."""
        headers = _headers(media_type)
        if not self._bucket.create(key, file, headers) and self._bucket.digest(key, file.stat().st_size) != digest:
            self._bucket.put(key, file, headers)


def _headers(media_type: str) -> dict[str, str]:
    return {"Content-Type": media_type, "Cache-Control": _IMMUTABLE}
