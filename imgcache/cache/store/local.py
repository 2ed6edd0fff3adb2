"""The cache as plain files in a folder, so that any web server, CDN or rsync can serve it with no imgcache at all."""

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

from imgcache.cache.store import StoreUsage, contents
from imgcache.cache.store.barrier import Barrier
from imgcache.cache.store.documents import LocalDocument
from imgcache.cache.store.merging import merge, recorded, refuse_link, sha256, sizes_of, staged
from imgcache.cache.store.paths import checked, files_of, folder_of, is_digest, original_name, parse_asset_path
from imgcache.core import Asset, Rendered, Variant, disk_errors, remove_tree


class LocalStore:
    """A `Store` in the folder CACHE: `assets/` for the world, `index/staging/` for what is not yet whole.

    Whoever writes holds `CacheLock` and has called `prepare`. Several threads may then commit at once. Everything has
    to be on one file system: a rename is what makes an image appear in one step.
    """

    markers = None
    keeps = True

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._assets = cache / "assets"
        self._shelves = str(self._assets)
        self._merging = threading.Lock()
        self._barrier: Barrier | None = None
        self._unsettled: set[Path] = set()
        self._numbers = itertools.count()
        self.scratch = cache / "index" / "staging"

    def prepare(self) -> None:
        """Makes the folders and removes what a killed run left half done.

        Raises:
            DiskFull: the folder cannot be written.
        """
        with disk_errors(self._cache):
            remove_tree(self.scratch)
            self.scratch.mkdir(parents=True)
            self._assets.mkdir(exist_ok=True)
            self._barrier = self._barrier or Barrier(self._assets)

    def refresh(self) -> None:
        """Nothing is kept: the disk is asked each time."""

    def learn(self, asset: Asset) -> None:
        """Nothing is kept: the disk is asked each time."""

    def document(self, name: str) -> LocalDocument:
        """A file beside `assets/`."""
        return LocalDocument(self._cache / name)

    def close(self) -> None:
        """Ends writing; reading goes on to work."""
        if self._barrier is not None:
            self._barrier.close()
            self._barrier = None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A private place on the cache's own file system, for a folder that the block makes; what is left of it goes.

        Raises:
            DiskFull: the folder cannot be removed. What the block itself writes is for the block to guard.
        """
        folder = self.scratch / f"image-{next(self._numbers)}"
        try:
            yield folder
        finally:
            with disk_errors(folder):
                remove_tree(folder)

    def commit(self, folder: Path, digest: str, rendered: Rendered, original: Path | None = None) -> Asset:
        """Makes one image visible. `settle` makes it durable, before any record speaks of it.

        A new digest appears in one rename. Under one that is held only what is missing is added: no file that is there
        is changed, and a name that another recipe's bytes have is avoided.

        Args:
            folder: from `staging`; the variants' files lie in it under `Variant.path`, their plain names.
            digest: SHA-256 of the original, in hex.
            rendered: what the worker made.
            original: the fetched file, anywhere in the cache's file system: it is moved. None, or the store's own
                file, where the store has it already.

        Raises:
            DiskFull: nothing was committed, or (when files were added to a digest that is held) only some of them.
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

    def settle(self) -> None:
        """Makes durable all that was committed: asked for before a record speaks of it, for many images at once.

        Raises:
            DiskFull: the disk could not take all that was written.
        """
        homes = set(self._unsettled)
        if homes and self._barrier is not None:
            with disk_errors(self._assets):
                self._barrier.wait(_below(homes, self._assets))
            self._unsettled -= homes

    def stamp(self, digest: str) -> int | None:
        """The time in ns when a file of the asset last came or went. It does not see a file changed in place."""
        try:  # without pathlib: a run with nothing to do asks this of every image
            return os.lstat(f"{self._shelves}/{digest[:2]}/{digest}").st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return None

    def original(self, asset: Asset) -> Path:
        """Where the original is.

        Raises:
            ValueError: the record names a path that no asset can have.
        """
        return self._locate(asset.original)

    def missing(self, asset: Asset) -> tuple[str, ...]:
        """The paths of an asset that are absent, of another length, or no plain files."""
        return tuple(path for path, size, _ in files_of(asset) if not self._holds(path, size))

    def damage(self, asset: Asset) -> tuple[str, ...]:
        """The paths of an asset that are absent or whose SHA-256 is not the recorded one. Reads everything."""
        return tuple(
            path
            for path, size, digest in files_of(asset)
            if not self._holds(path, size) or sha256(self._locate(path)) != digest
        )

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """What is left of an asset known from manifest.json alone.

        Returns:
            The asset with those of its variants that are there in full length, their digests read anew, and the time
            in seconds when the original was written; None where the original is not intact.
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
        """Path and bytes of every file of ours in an asset's folder."""
        home = folder_of(digest)
        return {f"{home}/{name}": size for name, size in contents.own(self._home(digest)).items()}

    def foreign(self) -> tuple[str, ...]:
        """The paths below `assets/` that are none of ours: left alone, whatever they are."""
        return tuple(contents.strangers(self._assets))

    def strays(self, asset: Asset) -> tuple[str, ...]:
        """The paths in an asset's folder that its record does not name: made by recipes of the past."""
        named = {path for path, _, _ in files_of(asset)}
        return tuple(path for path in sorted(self.files(asset.digest)) if path not in named)

    def discard(self, paths: Iterable[str], keep: Path | None = None) -> None:
        """Removes single files of assets, or moves them to the same path below `keep`; a folder there stays.

        Raises:
            ValueError: a path that no asset can have.
            DiskFull: no right to remove it.
        """
        for path in paths:
            target = self._locate(path)
            with disk_errors(target), suppress(FileNotFoundError, IsADirectoryError):
                if keep is None:
                    target.unlink()
                else:
                    place = keep / checked(path)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    target.rename(place)

    def remove(self, digest: str, keep: Path | None = None) -> None:
        """Takes an asset away, or moves it to the same path below `keep`; what is not held is no error.

        Raises:
            DiskFull: no right to remove it.
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
        with suppress(OSError):  # not empty: the usual case
            home.parent.rmdir()

    def bring_back(self, digest: str, keep: Path) -> None:
        """Moves an asset back from below `keep`; `settle` makes that durable. Raises DiskFull."""
        home = self._home(digest)
        with disk_errors(home), suppress(FileNotFoundError):
            self._assets.mkdir(exist_ok=True)
            contents.move_in(keep / folder_of(digest), home)
            self._unsettled.add(home)

    def digests(self) -> Iterator[str]:
        """Every digest that has a folder with files of ours, or an empty one, sorted."""
        for shelf in _folders(self._assets):
            for home in _folders(shelf):
                is_ours = is_digest(home.name) and home.name.startswith(shelf.name)
                if is_ours and (contents.own(home) or not contents.foreign(home)):
                    yield home.name

    def usage(self) -> StoreUsage:
        """Sizes in total, as the file system says."""
        assets = files = size = 0
        for digest in self.digests():
            found = contents.own(self._home(digest))
            assets += bool(found)
            files += len(found)
            size += sum(found.values())
        return StoreUsage(assets, files, size)

    def _home(self, digest: str) -> Path:
        return self._cache / folder_of(digest)

    def _locate(self, path: str) -> Path:
        return self._cache / checked(path)

    def _holds(self, path: str, size: int) -> bool:
        if parse_asset_path(path) is None:
            return False
        try:
            found = (self._cache / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == size

    def _publish(self, folder: Path, home: Path, digest: str, name: str, files: dict[str, Variant]) -> dict[str, str]:
        """In place by rename. Returns the final name of each staged file."""
        if self._barrier is None:
            raise RuntimeError("prepare() comes before commit()")
        try:
            refuse_link(home.parent)
        except FileNotFoundError:
            home.parent.mkdir(mode=0o755, exist_ok=True)  # another thread may be quicker
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
    """The files of assets, and every folder that names one; not looked at before somebody asks."""
    for home in homes:
        yield from (home / name for name in contents.own(home))  # to open a foreign pipe would wait for ever
        yield home
        yield home.parent
    yield assets


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
