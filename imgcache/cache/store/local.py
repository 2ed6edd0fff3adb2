"""Stores the cache as plain files in a folder, which any web server, CDN or rsync can serve without imgcache."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from imgcache.cache.store import contents
from imgcache.cache.store.barrier import Barrier
from imgcache.cache.store.documents import LocalDocument
from imgcache.cache.store.merging import merge, recorded, refuse_link, sha256, sizes_of, staged
from imgcache.cache.store.paths import check_path, files_of, folder_of, is_digest, original_name, parse_asset_path
from imgcache.cache.store.values import StoreUsage
from imgcache.core import Asset, Rendered, Variant, disk_errors, remove_tree


class LocalStore:
    """A `Store` in the folder CACHE: `assets/` holds committed files, `index/staging/` unfinished ones.

    A writer must hold `CacheLock` and call `prepare` first. Several threads may then commit at the same time.
    Everything must be on one file system, because a rename makes an image visible in one step.
    """

    markers = None
    keeps = True

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._assets = cache / "assets"
        self._assets_path = str(self._assets)
        self._merging = threading.Lock()
        self._barrier: Barrier | None = None
        self._unsettled: set[Path] = set()
        self._numbers = itertools.count()
        self.scratch = cache / "index" / "staging"

    def prepare(self) -> None:
        """Creates the folders and removes what a killed run left behind.

        Raises:
            DiskFull: the folder cannot be written.
        """
        with disk_errors(self._cache):
            remove_tree(self.scratch)
            self.scratch.mkdir(parents=True)
            self._assets.mkdir(exist_ok=True)
            self._barrier = self._barrier or Barrier(self._assets)

    def refresh(self) -> None:
        """Does nothing: every method reads the disk."""

    def note_committed(self, asset: Asset) -> None:
        """Does nothing: every method reads the disk."""

    def document(self, name: str) -> LocalDocument:
        """Returns a file beside `assets/`."""
        return LocalDocument(self._cache / name)

    def close(self) -> None:
        """Ends writing; reading still works."""
        if self._barrier is not None:
            self._barrier.close()
            self._barrier = None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yields a path on the cache's file system where the block creates a folder; leftovers are removed.

        Raises:
            DiskFull: the folder cannot be removed. The block must handle errors of its own writes.
        """
        folder = self.scratch / f"image-{next(self._numbers)}"
        try:
            yield folder
        finally:
            with disk_errors(folder):
                remove_tree(folder)

    def commit(self, folder: Path, digest: str, rendered: Rendered, original: Path | None = None) -> Asset:
        """Makes one image visible. Call `settle` to make it durable before a record refers to it.

        A new digest becomes visible by one rename. If the digest is held, missing files are added: no existing file is
        changed, and a name that already holds the bytes of another recipe is avoided.

        Args:
            folder: from `staging`; holds the variants under `Variant.path`, which is a plain file name here.
            digest: SHA-256 of the original, in hex.
            rendered: what the worker made.
            original: the fetched file, anywhere on the cache's file system: it is moved. None, or the store's own
                file, if the store has it already.

        Raises:
            DiskFull: nothing was committed, or only some files if they were added to a digest that is held.
        """
        home, name = self._home(digest), original_name(rendered.header.format)
        with disk_errors(home):
            if original is not None and original.parent != home:
                original.rename(folder / name)
            sizes = sizes_of(folder)
            size = sizes[name] if name in sizes else (home / name).lstat().st_size
            files = staged(folder, sizes, digest, rendered.variants, name)
            for stray in sizes.keys() - files.keys() - {name}:
                remove_tree(folder / stray)
            places = self._publish(folder, home, digest, name, files)
        return recorded(rendered, digest, size, name, places)

    def make_durable(self) -> None:
        """Makes all commits durable, those of many images at once.

        Raises:
            DiskFull: not everything could be written to the disk.
        """
        homes = set(self._unsettled)
        if homes and self._barrier is not None:
            with disk_errors(self._assets):
                self._barrier.wait(_below(homes, self._assets))
            self._unsettled -= homes

    def stamp(self, digest: str) -> int | None:
        """Returns the time in ns when files of the asset last came or went. A change inside a file is not seen."""
        try:  # without pathlib: a run with nothing to do calls this for every image
            return os.lstat(f"{self._assets_path}/{digest[:2]}/{digest}").st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return None

    def original(self, asset: Asset) -> Path:
        """Returns the path of the original.

        Raises:
            ValueError: the record names a path that no asset can have.
        """
        return self._locate(asset.original)

    def missing(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths of an asset that are absent, have another length, or are not regular files."""
        return tuple(path for path, size, _ in files_of(asset) if not self._holds(path, size))

    def damage(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths of an asset that are absent or whose SHA-256 differs. Reads every file."""
        return tuple(
            path
            for path, size, digest in files_of(asset)
            if not self._holds(path, size) or sha256(self._locate(path)) != digest
        )

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """Returns what is left of an asset known from manifest.json alone.

        Returns:
            The asset with the variants that exist in full length, with digests computed from the files, and the time
            in seconds when the original was written; None if the original is not intact.
        """
        if not self._holds(asset.original, asset.bytes) or asset.digest not in asset.original:
            return None
        original = self._locate(asset.original)
        if sha256(original) != asset.digest:
            return None
        variants = tuple(
            msgspec.structs.replace(variant, digest=sha256(self._locate(variant.path)))
            for variant in asset.variants
            if asset.digest in variant.path and self._holds(variant.path, variant.bytes)
        )
        return msgspec.structs.replace(asset, variants=variants), original.stat().st_mtime

    def files(self, digest: str) -> dict[str, int]:
        """Returns path and bytes of every file of imgcache in an asset's folder."""
        home = folder_of(digest)
        return {f"{home}/{name}": size for name, size in contents.own_files(self._home(digest)).items()}

    def foreign_files(self) -> tuple[str, ...]:
        """Returns the paths below `assets/` that imgcache did not write: it leaves them alone."""
        return tuple(contents.foreign_paths(self._assets))

    def unrecorded_files(self, asset: Asset) -> tuple[str, ...]:
        """Returns the paths in an asset's folder that its record does not name: made by earlier recipes."""
        named = {path for path, _, _ in files_of(asset)}
        return tuple(path for path in sorted(self.files(asset.digest)) if path not in named)

    def discard(self, paths: Iterable[str], keep: Path | None = None) -> None:
        """Removes single files of assets, or moves them to the same path below `keep`. A folder is not removed.

        Raises:
            ValueError: a path that no asset can have.
            DiskFull: no permission to remove it.
        """
        for path in paths:
            target = self._locate(path)
            with disk_errors(target), suppress(FileNotFoundError, IsADirectoryError):
                if keep is None:
                    target.unlink()
                else:
                    place = keep / check_path(path)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    target.rename(place)

    def remove(self, digest: str, keep: Path | None = None) -> None:
        """Removes an asset, or moves it to the same path below `keep`. A missing asset is not an error.

        Raises:
            DiskFull: no permission to remove it.
        """
        home = self._home(digest)
        with disk_errors(home), suppress(FileNotFoundError, NotADirectoryError):
            if keep is None:
                with self.staging() as folder:
                    contents.move_out(home, folder)
            else:
                place = keep / folder_of(digest)
                place.parent.mkdir(parents=True, exist_ok=True)
                contents.move_out(home, place)
        with suppress(OSError):  # usually it is not empty
            home.parent.rmdir()

    def restore(self, digest: str, keep: Path) -> None:
        """Moves an asset back from below `keep`; `settle` makes it durable. Raises DiskFull."""
        home = self._home(digest)
        with disk_errors(home), suppress(FileNotFoundError):
            self._assets.mkdir(exist_ok=True)
            contents.move_in(keep / folder_of(digest), home)
            self._unsettled.add(home)

    def digests(self) -> Iterator[str]:
        """Yields every digest whose folder is empty or holds files of imgcache, sorted."""
        for prefix in _folders(self._assets):
            for home in _folders(prefix):
                is_own = is_digest(home.name) and home.name.startswith(prefix.name)
                if is_own and (contents.own_files(home) or not contents.foreign_names(home)):
                    yield home.name

    def usage(self) -> StoreUsage:
        """Returns sizes in total, as the file system reports them."""
        assets = files = size = 0
        for digest in self.digests():
            found = contents.own_files(self._home(digest))
            assets += bool(found)
            files += len(found)
            size += sum(found.values())
        return StoreUsage(assets, files, size)

    def _home(self, digest: str) -> Path:
        return self._cache / folder_of(digest)

    def _locate(self, path: str) -> Path:
        return self._cache / check_path(path)

    def _holds(self, path: str, size: int) -> bool:
        if parse_asset_path(path) is None:
            return False
        try:
            found = (self._cache / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == size

    def _publish(self, folder: Path, home: Path, digest: str, name: str, files: dict[str, Variant]) -> dict[str, str]:
        """Moves staged files into place by rename. Returns the final name of each."""
        if self._barrier is None:
            raise RuntimeError("call prepare() before commit()")
        try:
            refuse_link(home.parent)
        except FileNotFoundError:
            home.parent.mkdir(mode=0o755, exist_ok=True)  # another thread may create it first
        places = {staged: staged for staged in files}
        try:
            folder.rename(home)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
            refuse_link(home)
            with self._merging:
                places = merge(folder, home, digest, name, files)
        self._unsettled.add(home)
        return places


def _below(homes: Iterable[Path], assets: Path) -> Iterator[Path]:
    """Yields the files of assets and every folder above them. Lazy: with syncfs nobody reads them."""
    for home in homes:
        yield from (home / name for name in contents.own_files(home))  # opening a foreign pipe would block
        yield home
        yield home.parent
    yield assets


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
