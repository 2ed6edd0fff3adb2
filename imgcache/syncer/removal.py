"""Removes images: gc those that no article uses, and forget one image for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from imgcache.cache import Catalogue, Index, RemovedImages, RemovedRecords, Store, size_of, unused_assets
from imgcache.core import clean_text, disk_errors, plural, remove_tree

_NAMED = 5  # foreign files that a note names


class Removed(msgspec.Struct):
    """What is removed from the cache.

    `copies` counts URLs, `assets` distinct images; `subjects` names the URLs. `freed` are the bytes that an earlier gc
    had kept for a day. `foreign` are paths below `assets/` that imgcache did not write and does not touch.
    """

    copies: int = 0
    assets: int = 0
    files: int = 0
    bytes: int = 0
    subjects: list[str] = []
    freed: int = 0
    foreign: list[str] = []

    def add(self, sizes: Iterable[int]) -> None:
        """Count files of these sizes, in bytes."""
        for size in sizes:
            self.files += 1
            self.bytes += size


class Unused(msgspec.Struct):
    """What a gc would remove. `held` counts the images in the cache before it; `strays` are files beside used ones."""

    removed: Removed
    held: int
    digests: list[str]
    strays: list[str]
    old: list[Path]

    @property
    def is_most(self) -> bool:
        """Whether more than half of the held images would be removed."""
        return 2 * self.removed.assets > self.held


class Removal:
    """Removes images from one cache. The caller holds the cache's lock to remove anything."""

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        catalogue: Catalogue,
        kept: RemovedImages,
        used_elsewhere: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`used_elsewhere` returns whether another site that shares the cache uses a URL."""
        self._store = store
        self._index = index
        self._catalogue = catalogue
        self._kept = kept
        self._used_elsewhere = used_elsewhere

    def unused(self, now: float) -> Unused:
        """Find copies that no article uses, assets without copies, and files without a record. Removes nothing."""
        removed, used = Removed(foreign=list(self._store.foreign_files())), set(self._quarantined())
        found = Unused(removed, 0, [], [], self._kept.expired(now))
        for url, copy in self._index.copies():
            if self._is_used(url):
                used.add(bytes.fromhex(copy.digest))
            else:
                removed.subjects.append(url)
        removed.copies, removed.freed = len(removed.subjects), size_of(found.old)
        for digest in self._store.digests():
            asset, sizes = self._index.asset(digest), self._store.files(digest)
            if asset is not None and bytes.fromhex(digest) in used:
                found.held += 1
                strays = self._store.unrecorded_files(asset)
                found.strays += strays
                removed.add(sizes[path] for path in strays)
            else:
                found.held += 1
                found.digests.append(digest)
                removed.assets += 1
                removed.add(sizes.values())
        return found

    def remove(self, found: Unused, now: float) -> None:
        """Remove what `unused` found. A folder keeps it for a day; an object store keeps nothing."""
        for folder in found.old:
            with disk_errors(folder):
                remove_tree(folder)
        self._kept.restart(now)
        urls = found.removed.subjects
        keep = None
        if self._store.keeps and (urls or found.digests or found.strays):
            keep = self._kept.begin(self._records(found, now))
        self._drop_unused(urls)
        for digest in found.digests:
            self._index.drop_asset(digest)  # the record before the blob: no record may outlive its files
            self._store.remove(digest, keep)
        self._store.discard(found.strays, keep)

    def _records(self, found: Unused, now: float) -> RemovedRecords:
        copies = {url: copy for url in found.removed.subjects if (copy := self._index.copy(url)) is not None}
        digests = {copy.digest for copy in copies.values()}
        assets = {digest: asset for digest in digests if (asset := self._index.asset(digest)) is not None}
        return RemovedRecords(now, copies, assets)

    def _is_used(self, url: str) -> bool:
        return self._catalogue.references.is_used(url) or self._used_elsewhere(url)

    def _quarantined(self) -> Iterator[bytes]:
        """The digests of quarantined pictures for URLs that an article names."""
        for url, doubt in self._index.quarantine_records():
            if doubt.candidate is not None and self._is_used(url):
                yield bytes.fromhex(doubt.candidate.digest)

    def _drop_unused(self, copies: list[str]) -> None:
        """Drop these copies, and the history of URLs that no article uses."""
        with self._index.batch():
            for url in copies:
                self._index.drop_copy(url)
            for history in (self._index.failures, self._index.healths, self._index.quarantine_records):
                for url, _ in history():
                    if not self._is_used(url):
                        self._index.drop_history(url)

    def knows(self, url: str) -> bool:
        """Whether an article, a record or an image kept by gc has this URL."""
        recorded = (self._index.copy(url), self._index.failure(url), self._index.health(url))
        is_recorded = any(recorded) or self._index.forgotten(url)
        return is_recorded or self._is_used(url) or url in self._kept.assets()

    def known(self) -> Iterator[str]:
        """Yield every URL that an article uses or that has a copy, held or kept; some of them twice."""
        yield from (self._catalogue.images.url(image.image) for image in self._catalogue.images.remote())
        yield from (url for url, _ in self._index.copies())
        yield from self._kept.assets()

    def forget(self, url: str, now: float) -> Removed:
        """Remove the records and blobs of a URL for good, and remember not to fetch it again."""
        removed = Removed(subjects=[url])
        copy, candidate = self._index.copy(url), self._index.quarantine_record(url).candidate
        self._index.forget(url, now)
        self._catalogue.images.mark_url_missing(url)
        self._kept.forget(url)
        if copy is not None:
            removed.copies = 1
        for digest in unused_assets({found.digest for found in (copy, candidate) if found}, self._index):
            remove_asset(digest, removed, self._index, self._store)
        return removed


def remove_asset(digest: str, removed: Removed, index: Index, store: Store) -> None:
    """Remove an asset for good, and count it."""
    removed.assets += 1
    removed.add(store.files(digest).values())
    index.drop_asset(digest)  # the record before the blob: no record may outlive its files
    store.remove(digest)


def describe_foreign_files(paths: Sequence[str]) -> str:
    """Returns one message about all files that imgcache did not write."""
    shown = [clean_text(path.removeprefix("assets/"), 100) for path in paths[:_NAMED]]
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    what = f"{plural(len(paths), 'file')} below assets/ that imgcache did not write"
    return f"{what} {'is' if len(paths) == 1 else 'are'} left alone: {', '.join(shown)}{more}"
