"""What one machine knows of its cache: the copy at each URL, the assets, the failures, doubts, and what to forget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from imgcache.cache.index.history import FAILURE, HistoryRecords, encode, key_of
from imgcache.cache.index.records import Records
from imgcache.core import Asset, Copy

# One letter before the URL or digest says what a record is. Keys are UTF-8, which SQLite orders as manifest.json is
# ordered: by code point. A URL is kept whole however long it is; SQLite moves long keys to pages of their own.
_COPY, _ASSET, _FORGOTTEN = b"c", b"a", b"x"
_CHANGED, _EXPORTED = b"-changed", b"-exported"
_LAYOUT = b"1"


class Salvager(Protocol):
    """The part of a store from which an index is rebuilt."""

    def salvage(self, asset: Asset) -> tuple[Asset, float] | None:
        """What is left of an asset, and when its original was written, in seconds; None where it is not intact."""
        ...


class HeldEntry(NamedTuple):
    """What manifest.json says of one URL: the image there, and the X-Robots-Tag that came with it."""

    url: str
    asset: Asset
    robots_tag: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """How many records there are of each kind."""

    copies: int
    assets: int
    failures: int
    forgotten: int


_copies = msgspec.json.Decoder(Copy)
_assets = msgspec.json.Decoder(Asset)
_times = msgspec.json.Decoder(float)


class Index(HistoryRecords):
    """The records of a cache in its folder `index/`. Readers may open it beside the writer, who holds `CacheLock`.

    Every method raises `IndexDamaged` where a record cannot be read, `DiskFull` where it cannot be written, and
    `CacheBusy` where another process keeps the file locked for a minute. A batch belongs to the thread that began it.
    """

    def __init__(self, folder: Path, *, mend: bool = True) -> None:
        """Opens or makes the index.

        Args:
            folder: the cache's `index/`.
            mend: for the writer: check the whole file (1 ms for 1 MB) and set a damaged one aside.

        Raises:
            IndexDamaged: it is damaged, and `mend` is false.
        """
        super().__init__(Records(folder, _LAYOUT, mend=mend))
        self._changed: bool | None = None

    @property
    def damaged(self) -> bool:
        """There was an index that could not be read; it lies beside the new one as `cache.db.damaged`."""
        return self._records.damaged

    @property
    def fresh(self) -> bool:
        """There was none, none that could be read, or one without a record: `rebuild` is due."""
        return self._records.fresh

    def close(self) -> None:
        """Gives the file back."""
        self._records.close()

    def copy(self, url: str) -> Copy | None:
        """What is held at a URL."""
        return self._get(_COPY, url, _copies)

    def put_copy(self, url: str, copy: Copy) -> None:
        """Records that the image at a URL is held."""
        old = self.copy(url)
        if old != copy:
            with self.batch():
                if old is None or (old.digest, old.robots_tag) != (copy.digest, copy.robots_tag):
                    self._touch()
                self._records.set(key_of(_COPY, url), encode(copy))

    def drop_copy(self, url: str) -> None:
        """The image at a URL is not held any more."""
        self._drop(_COPY, url)

    def asset(self, digest: str) -> Asset | None:
        """The record of an original."""
        return self._get(_ASSET, digest, _assets)

    def put_asset(self, asset: Asset) -> None:
        """Records an original and its variants."""
        if self.asset(asset.digest) != asset:
            with self.batch():
                self._touch()
                self._records.set(key_of(_ASSET, asset.digest), encode(asset))

    def drop_asset(self, digest: str) -> None:
        """The original is not held any more."""
        self._drop(_ASSET, digest)

    def forgotten(self, url: str) -> bool:
        """Whether somebody asked never to fetch this URL again."""
        return self._get(_FORGOTTEN, url, _times) is not None

    def forget(self, url: str, now: float) -> None:
        """Takes a URL out of the records and remembers not to fetch it again. The asset stays: others may use it."""
        with self.batch():
            self.drop_copy(url)
            self.drop_history(url)
            self._records.set(key_of(_FORGOTTEN, url), encode(now))

    def remember(self, url: str) -> None:
        """Takes `forget` back."""
        self._records.delete(key_of(_FORGOTTEN, url))

    def copies(self) -> Iterator[tuple[str, Copy]]:
        """Every copy by URL in the order of code points, in flat memory, as the last batch left them."""
        return self._scan(_COPY, _copies)

    def assets(self) -> Iterator[Asset]:
        """Every asset, in the order of digests, in flat memory, as the last batch left them."""
        return (asset for _, asset in self._scan(_ASSET, _assets))

    def forgotten_urls(self) -> Iterator[str]:
        """Every URL that is not to be fetched again, in order."""
        return (url for url, _ in self._scan(_FORGOTTEN, _times))

    def entries(self) -> Iterator[HeldEntry]:
        """Every URL that is held with its asset, in the order of code points: what manifest.json says."""
        for key, own, other in self._records.join(_COPY, self._asset_key):
            tag = self._decode(key, own, _copies).robots_tag
            yield HeldEntry(self._name(key), self._decode(key, other, _assets), tag)

    def counts(self) -> Counts:
        """How many records there are."""
        return Counts(*(self._records.count(kind) for kind in (_COPY, _ASSET, FAILURE, _FORGOTTEN)))

    @property
    def changed(self) -> bool:
        """Whether `entries` are no longer what manifest.json says. Kept in the file: a killed run's debt is paid."""
        if self._changed is None:
            self._changed = self._records.get(_CHANGED) is not None
        return self._changed

    @property
    def exported(self) -> str:
        """The mark of the manifest.json that was written last; "" where none was."""
        return (self._records.get(_EXPORTED) or b"").decode("ascii", "replace")

    def mark_exported(self, mark: str = "") -> None:
        """manifest.json has been written from `entries`; `mark` is to tell that very file from any other."""
        with self.batch():
            self._records.delete(_CHANGED)
            self._records.set(_EXPORTED, mark.encode("ascii"))
        self._changed = None

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """All or nothing, and durable at the end: see `Records.batch`. Inside another batch it is a part of that."""
        try:
            with self._records.batch(durable=durable):
                yield
        except BaseException:
            self._changed = None
            raise

    def settle(self) -> None:
        """Makes durable all that was committed."""
        self._records.settle()

    def rebuild(self, entries: Iterable[HeldEntry], store: Salvager) -> int:
        """Restores copies and assets from manifest.json and the files, without any network.

        manifest.json has no fingerprints of recipes: the next run makes the variants again from the originals and
        finds the same bytes there. Failures, doubts and what is to be forgotten come from the damaged file, as far as
        it can be read.

        Args:
            entries: what manifest.json says.
            store: says what is on disk; only what is whole comes back.

        Returns:
            The number of URLs restored.
        """
        written: dict[str, float | None] = {}
        restored = 0
        with self.batch():
            self._carry_histories_over()
            self._carry_over(_FORGOTTEN, _times)
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
