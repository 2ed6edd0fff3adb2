"""`Index`: the records of a cache by URL and by digest: copies, assets, failures, quarantine, forgotten URLs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import msgspec

from imgcache.cache.index.history import FAILURE, HistoryRecords, encode, key_of
from imgcache.cache.index.read_only import copy_databases
from imgcache.cache.index.record_reader import FILE, RecordReader
from imgcache.cache.index.records import Records
from imgcache.core import Asset, Copy

# One letter before the URL or digest is the kind of a record. Keys are UTF-8, which SQLite sorts as manifest.json is
# sorted: by code point. URLs are stored in full length; SQLite moves long keys to pages of their own.
_COPY, _ASSET, _FORGOTTEN = b"c", b"a", b"x"
_CHANGED, _EXPORTED = b"-changed", b"-exported"
_LAYOUT = b"1"
_COPY_ATTEMPTS = 5  # to copy the index while another command writes it


class Salvager(Protocol):
    """The part of a store that `rebuild` needs."""

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """Returns what is left of an asset, and when its original was written, in seconds; None if it is not intact."""
        ...


class HeldEntry(NamedTuple):
    """One entry of manifest.json: a URL, its image, and the X-Robots-Tag of the response."""

    url: str
    asset: Asset
    robots_tag: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """The number of records of each kind."""

    copies: int
    assets: int
    failures: int
    forgotten: int


_copies = msgspec.json.Decoder(Copy)
_assets = msgspec.json.Decoder(Asset)
_times = msgspec.json.Decoder(float)


class Index(HistoryRecords):
    """The records of a cache in its folder `index/`. A writer holds `CacheLock`; readers need no lock.

    Every method raises `IndexDamaged` if a record cannot be read, `DiskFull` if it cannot be written, and `CacheBusy`
    if another process keeps the file locked for a minute. A batch belongs to the thread that began it.
    """

    def __init__(self, folder: Path, *, repair: bool = True, records: RecordReader | None = None) -> None:
        """Opens or creates the index for a writer. Readers use `open_read_only` or `open_copy`.

        Args:
            folder: the cache's `index/`.
            repair: check the whole file (1 ms for 1 MB) and rename a damaged one.
            records: take these instead of opening the file.

        Raises:
            IndexDamaged: it is damaged, and `repair` is false.
        """
        super().__init__(records or Records(folder, _LAYOUT, mend=repair))
        self._changed: bool | None = None

    @classmethod
    def open_read_only(cls, folder: Path) -> Self:
        """Opens the index without changing any file; each call opens the file again and sees the last commit."""
        return cls(folder, records=RecordReader(folder))

    @classmethod
    def open_copy(cls, source: Path, folder: Path, names: Iterable[str]) -> Self:
        """Copies an index, which another command may be writing, and opens the copy: it may be changed freely.

        Args:
            source: the cache's `index/`.
            folder: an empty folder for the copy.
            names: further databases of `source` to copy.
        """
        for _ in range(_COPY_ATTEMPTS):
            copy_databases(source, folder, [source / name for name in (FILE, *names)])
            index = cls(folder)
            if not index.damaged:  # it is if the other command committed while the files were copied
                return index
            index.close()
            for file in folder.iterdir():
                file.unlink()
        return cls(folder)

    @property
    def damaged(self) -> bool:
        """Whether there was an index that could not be read; it was renamed to `cache.db.damaged`."""
        return self._records.damaged

    @property
    def fresh(self) -> bool:
        """Whether there was no index, none that could be read, or one without records: call `rebuild`."""
        return self._records.fresh

    def close(self) -> None:
        """Closes the file."""
        self._records.close()

    def copy(self, url: str) -> Copy | None:
        """Returns the copy of a URL; None if there is none."""
        return self._get(_COPY, url, _copies)

    def put_copy(self, url: str, copy: Copy) -> None:
        """Records the copy of a URL."""
        old = self.copy(url)
        if old != copy:
            with self.batch():
                if old is None or (old.digest, old.robots_tag) != (copy.digest, copy.robots_tag):
                    self._touch()
                self._records.set(key_of(_COPY, url), encode(copy))

    def drop_copy(self, url: str) -> None:
        """Deletes the copy of a URL."""
        self._drop(_COPY, url)

    def asset(self, digest: str) -> Asset | None:
        """Returns the record of an original; None if there is none."""
        return self._get(_ASSET, digest, _assets)

    def put_asset(self, asset: Asset) -> None:
        """Records an original and its variants."""
        if self.asset(asset.digest) != asset:
            with self.batch():
                self._touch()
                self._records.set(key_of(_ASSET, asset.digest), encode(asset))

    def drop_asset(self, digest: str) -> None:
        """Deletes the record of an original."""
        self._drop(_ASSET, digest)

    def forgotten(self, url: str) -> bool:
        """Returns whether the user asked never to fetch this URL again."""
        return self._get(_FORGOTTEN, url, _times) is not None

    def forget(self, url: str, now: float) -> None:
        """Deletes the records of a URL and records not to fetch it again. The asset stays: other URLs may use it."""
        with self.batch():
            self.drop_copy(url)
            self.drop_history(url)
            self._records.set(key_of(_FORGOTTEN, url), encode(now))

    def unforget(self, url: str) -> None:
        """Reverts `forget`."""
        self._records.delete(key_of(_FORGOTTEN, url))

    def copies(self) -> Iterator[tuple[str, Copy]]:
        """Yields every committed copy by URL, in the order of code points, in constant memory."""
        return self._scan(_COPY, _copies)

    def assets(self) -> Iterator[Asset]:
        """Yields every committed asset, in the order of digests, in constant memory."""
        return (asset for _, asset in self._scan(_ASSET, _assets))

    def forgotten_urls(self) -> Iterator[str]:
        """Yields every URL that is not to be fetched again, sorted."""
        return (url for url, _ in self._scan(_FORGOTTEN, _times))

    def entries(self) -> Iterator[HeldEntry]:
        """Yields every URL that has a copy with its asset, in the order of code points: as in manifest.json."""
        for key, own, other in self._records.join(_COPY, self._asset_key):
            tag = self._decode(key, own, _copies).robots_tag
            yield HeldEntry(self._name(key), self._decode(key, other, _assets), tag)

    def counts(self) -> Counts:
        """Returns the number of records."""
        return Counts(*(self._records.count(kind) for kind in (_COPY, _ASSET, FAILURE, _FORGOTTEN)))

    @property
    def changed(self) -> bool:
        """Whether manifest.json differs from `entries`. Stored in the file, so that it survives a killed run."""
        if self._changed is None:
            self._changed = self._records.get(_CHANGED) is not None
        return self._changed

    @property
    def exported(self) -> str:
        """The mark of the last manifest.json that was written; "" if there is none."""
        return (self._records.get(_EXPORTED) or b"").decode("ascii", "replace")

    def mark_exported(self, mark: str = "") -> None:
        """Records that manifest.json was written from `entries`; `mark` identifies that version of the file."""
        with self.batch():
            self._records.delete(_CHANGED)
            self._records.set(_EXPORTED, mark.encode("ascii"))
        self._changed = None

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """Commits all changes of a block in one transaction: see `Records.batch`."""
        try:
            with self._records.batch(durable=durable):
                yield
        except BaseException:
            self._changed = None
            raise

    def make_durable(self) -> None:
        """Makes all commits durable."""
        self._records.make_durable()

    def rebuild(self, entries: Iterable[HeldEntry], store: Salvager) -> int:
        """Restores copies and assets from manifest.json and the files, without the network.

        manifest.json has no fingerprints of recipes: the next run makes the variants again from the originals and
        finds the same bytes. Failures, quarantine and forgotten URLs are read from the damaged file as far as possible.

        Args:
            entries: of manifest.json.
            store: has the files; only intact assets are restored.

        Returns:
            The number of URLs restored.
        """
        written: dict[str, float | None] = {}
        restored = 0
        with self.batch():
            self._salvage_histories()
            self._salvage(_FORGOTTEN, _times)
            for url, asset, tag in entries:
                if asset.digest not in written:
                    found = store.salvage(asset)
                    written[asset.digest] = found[1] if found else None
                    if found:
                        self.put_asset(found[0])
                time = written[asset.digest]
                if time is not None and not self.forgotten(url):
                    self.put_copy(url, Copy(asset.digest, fetched_at=time, checked_at=time, robots_tag=tag))
                    restored += 1
            self._touch()
        return restored

    def _touch(self) -> None:
        if not self.changed:
            self._records.set(_CHANGED, b"1")
            self._changed = True

    def _drop(self, kind: bytes, name: str) -> None:
        with self.batch():
            if self._records.delete(key_of(kind, name)):
                self._touch()

    def _asset_key(self, copy: bytes) -> bytes:
        return key_of(_ASSET, self._decode(copy, copy, _copies).digest)
