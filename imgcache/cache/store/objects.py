"""The cache as objects under a prefix of a bucket, laid out as in a folder: a bucket can be a CDN's origin as it is."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path, PosixPath

import msgspec

from imgcache.cache.store import StoreUsage
from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.inventory import Inventory
from imgcache.cache.store.markers import Markers
from imgcache.cache.store.merging import names, recorded, sizes_of, staged
from imgcache.cache.store.object_document import ObjectDocument
from imgcache.cache.store.paths import checked, files_of, folder_of, is_original, original_name, parse_asset_path
from imgcache.core import MEDIA_TYPES, Asset, Rendered, StoreError, Variant, disk_errors, remove_tree

_HANDS = 16  # requests under way for one store
_SHELVES = 8  # listed at once, and held in memory
_FOREVER = "public, max-age=31536000, immutable"


class ObjectStore:
    """A `Store` in a `Bucket`: `assets/` for the world; what is not yet whole lies in a local folder.

    An asset's variants go up before its original, each under a key that was free: an original that is there has all
    that was first made of it. What this machine knows of the bucket is kept in an `Inventory`, which answers `stamp`,
    `missing`, `files`, `strays`, `digests` and `usage`; the bucket is asked for assets of which it knows nothing, by
    `damage`, which reads everything, and by `refresh`, which lists everything. Its limit: what others remove meanwhile
    is not seen before that. Whoever writes holds the `CacheLock` of `folder`; what machines do at the same time harms
    no file that is there, except that none may `remove` while another commits.
    """

    keeps = False

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        """`folder` is local, and private to this process or under its lock."""
        self._bucket = bucket
        self._inventory = Inventory(folder / "objects.db", bucket.where)
        self._hands = ThreadPoolExecutor(_HANDS, thread_name_prefix="objects")
        self._numbers = itertools.count()
        self._listing = threading.Lock()
        self.scratch = folder / "staging"
        self._foreign: set[str] = set()
        self.markers = Markers(bucket, self._inventory, self.scratch)

    def prepare(self) -> None:
        """Makes the local folder and removes what a killed run left in it. Raises DiskFull."""
        with disk_errors(self.scratch):
            remove_tree(self.scratch)
            self.scratch.mkdir(parents=True)

    def close(self) -> None:
        """Ends all: nothing may be asked any more."""
        self._hands.shutdown()
        self._inventory.close()

    def refresh(self) -> None:
        """Lists the bucket. A request for each thousand objects, and one for each of at most 256 shelves."""
        with self._listing:
            self._foreign.clear()
            self._inventory.replace(self._everything())

    def learn(self, asset: Asset) -> None:
        """Another process has committed this asset here: it need not be asked for."""
        files = ((parse_asset_path(path), size) for path, size, _ in files_of(asset))
        self._inventory.add(asset.digest, {parts[1]: size for parts, size in files if parts})

    def document(self, name: str) -> ObjectDocument:
        """An object beside `assets/`."""
        return ObjectDocument(self._bucket, name)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A private local place for a folder that the block makes; what is left of it goes. Raises DiskFull."""
        folder = self.scratch / f"image-{next(self._numbers)}"
        try:
            yield folder
        finally:
            with disk_errors(folder):
                remove_tree(folder)

    def commit(self, folder: Path, digest: str, rendered: Rendered, original: Path | None = None) -> Asset:
        """Uploads one image: its variants, then its original. No object that is there is changed.

        A name that another recipe's bytes have is avoided. Only an object that has not the bytes that its key promises
        is written over: it is damaged.

        Args:
            folder: from `staging`; the variants' files lie in it under `Variant.path`, their plain names.
            digest: SHA-256 of the original, in hex.
            rendered: what the worker made.
            original: the fetched file. None, or what `original` gave, where the bucket has it already.

        Raises:
            StoreError: the bucket has all that was there before, and maybe some of the variants.
            DiskFull: a file is shorter than the worker said.
        """
        home, name = folder_of(digest), original_name(rendered.header.format)
        sizes = sizes_of(folder)
        known = self._inventory.files(digest) or {}
        is_new = original is not None and not isinstance(original, _Download)
        size = original.stat().st_size if original is not None else self._size(digest, name)
        files = staged(folder, sizes, digest, rendered.variants, name)
        new = {one: self._hands.submit(self._upload, home, folder, variant, known) for one, variant in files.items()}
        wait(new.values())
        places = {one: future.result() for one, future in new.items()}
        if is_new and original is not None:
            self._upload_original(f"{home}/{name}", original, digest, rendered.header.media_type)
        there = {places[one]: variant.bytes for one, variant in files.items()}
        self._inventory.add(digest, there | {name: size})
        return recorded(rendered, digest, size, name, places)

    def settle(self) -> None:
        """Nothing is left to be done: an object that was accepted is durable."""

    def stamp(self, digest: str) -> int | None:
        """A number of the names and bytes of the files, as this machine knows them; no request where it knows any."""
        found = self._inventory.stamp(digest)
        if found is None:
            self._list_once()
            self._files(digest)
            found = self._inventory.stamp(digest)
        return found

    def original(self, asset: Asset) -> Path:
        """The original in a temporary file, which goes when the path that is given is dropped. Downloads it.

        Raises:
            ValueError: the record names a path that no asset can have.
            StoreError: it is not there, or cannot be read.
        """
        key = checked(asset.original)
        target = _Download(self.scratch / f"original-{next(self._numbers)}{Path(key).suffix}")
        with disk_errors(self.scratch):
            self.scratch.mkdir(parents=True, exist_ok=True)
        weakref.finalize(target, _unlink, str(target))
        self._bucket.download(key, target)
        return target

    def missing(self, asset: Asset) -> tuple[str, ...]:
        """The paths of an asset that are absent or of another length, as this machine knows the bucket."""
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
        """The paths of an asset that are absent or whose SHA-256 is not the recorded one. Downloads everything."""
        wanted = list(files_of(asset))
        found = self._hands.map(lambda one: parse_asset_path(one[0]) and self._bucket.digest(one[0]), wanted)
        return tuple(path for (path, _, digest), has in zip(wanted, found, strict=True) if has != digest)

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """What is left of an asset known from manifest.json alone: as `LocalStore.salvage`. Downloads everything."""
        if asset.digest not in asset.original or asset.original in (missing := self.missing(asset)):
            return None
        original = self._bucket.look(asset.original)
        if original is None or self._bucket.digest(asset.original) != asset.digest:
            return None
        whole = [one for one in asset.variants if asset.digest in one.path and one.path not in missing]
        digests = self._hands.map(lambda one: self._bucket.digest(one.path), whole)
        variants = tuple(
            msgspec.structs.replace(variant, digest=digest)
            for variant, digest in zip(whole, digests, strict=True)
            if digest is not None
        )
        return msgspec.structs.replace(asset, variants=variants), original.modified

    def files(self, digest: str) -> dict[str, int]:
        """Path and bytes of every file under a digest, as this machine knows the bucket."""
        home = folder_of(digest)
        return {f"{home}/{name}": size for name, size in self._files(digest).items()}

    def strays(self, asset: Asset) -> tuple[str, ...]:
        """The paths in an asset's folder that its record does not name, as this machine knows the bucket."""
        named = {path for path, _, _ in files_of(asset)}
        return tuple(path for path in sorted(self.files(asset.digest)) if path not in named)

    def foreign(self) -> tuple[str, ...]:
        """The keys below `assets/` that are none of ours, as the last listing saw them: left alone."""
        return tuple(sorted(self._foreign))

    def discard(self, paths: Iterable[str], keep: Path | None = None) -> None:  # noqa: ARG002 (nothing is kept)
        """Removes single files, for good. Raises ValueError for a path that no asset can have, and StoreError."""
        keys = [checked(path) for path in paths]
        for key in keys:
            digest, name = parse_asset_path(key) or ("", "")
            self._inventory.lose(digest, [name])
        self._bucket.delete(keys)

    def remove(self, digest: str, keep: Path | None = None) -> None:  # noqa: ARG002 (nothing is kept)
        """Takes an asset away, its original first: what an interruption leaves is held no more. Raises StoreError."""
        home = folder_of(digest)
        there = [key for key, _ in self._bucket.listing(home) if parse_asset_path(key)]
        self._inventory.drop(digest)
        self._bucket.delete(key for key in there if is_original(key.removeprefix(f"{home}/")))
        self._bucket.delete(key for key in there if not is_original(key.removeprefix(f"{home}/")))

    def bring_back(self, digest: str, keep: Path) -> None:
        """Nothing was kept."""

    def digests(self) -> Iterator[str]:
        """Every digest under which there is a file, sorted."""
        self._list_once()
        yield from self._inventory.digests()

    def usage(self) -> StoreUsage:
        """Sizes in total."""
        self._list_once()
        return self._inventory.usage()

    def _list_once(self) -> None:
        if not self._inventory.is_whole:
            self.refresh()

    def _everything(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Shelf by shelf, some at once; one shelf is a 256th of the cache."""
        shelves = iter(self._bucket.folders("assets"))
        while some := list(itertools.islice(shelves, _SHELVES)):
            for shelf in self._hands.map(self._below, some):
                yield from shelf.items()

    def _below(self, prefix: str) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for key, size in self._bucket.listing(prefix):
            if parts := parse_asset_path(key):
                found.setdefault(parts[0], {})[parts[1]] = size
            else:
                self._foreign.add(key)
        return found

    def _files(self, digest: str) -> dict[str, int]:
        """What is known of an asset's files; where nothing is, what the bucket says."""
        known = self._inventory.files(digest)
        if known is None:
            known = self._below(folder_of(digest)).get(digest, {})
            self._inventory.add(digest, known)
        return known

    def _size(self, digest: str, name: str) -> int:
        size = self._files(digest).get(name)
        if size is None:
            raise StoreError(f"{self._bucket.where}/{folder_of(digest)}/{name} is not there: run again")
        return size

    def _upload(self, home: str, folder: Path, variant: Variant, known: Mapping[str, int]) -> str:
        """One variant under the first of its names that is free, or has these bytes already."""
        headers = _headers(MEDIA_TYPES.get(variant.format, "application/octet-stream"))
        file, wanted = folder / variant.path, names(variant.path, variant)
        for name in wanted:
            size, key = known.get(name), f"{home}/{name}"
            if size is None and self._bucket.create(key, file, headers):
                return name
            if size in (None, variant.bytes):
                digest = self._bucket.digest(key)
                if digest == variant.digest or (digest is None and self._bucket.create(key, file, headers)):
                    return name
        self._bucket.put(f"{home}/{wanted[-1]}", file, headers)
        return wanted[-1]

    def _upload_original(self, key: str, file: Path, digest: str, media_type: str) -> None:
        """Its key says which bytes it has to have: it is written over only where it has others."""
        headers = _headers(media_type)
        if not self._bucket.create(key, file, headers) and self._bucket.digest(key) != digest:
            self._bucket.put(key, file, headers)


class _Download(PosixPath):
    """A temporary file that goes with its path; in another process it is a plain path."""

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        return Path, (str(self),)


def _unlink(path: str) -> None:
    with suppress(OSError):  # the next writer empties the folder
        Path(path).unlink()


def _headers(media_type: str) -> dict[str, str]:
    return {"Content-Type": media_type, "Cache-Control": _FOREVER}
