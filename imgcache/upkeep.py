"""Keeping a cache sound: verify, gc, forget. All look at blobs, records, manifest and flags together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from imgcache import plan
from imgcache.catalogue import Catalogue
from imgcache.config import Config
from imgcache.errors import ConfigError
from imgcache.index import Index
from imgcache.likeness import Doubt
from imgcache.manifest import Entry, Manifest
from imgcache.models import Asset, Reference, Severity, Size
from imgcache.plan import Wish
from imgcache.quarantine import unused
from imgcache.store import Store


class Damage(msgspec.Struct, frozen=True):
    """One thing that does not fit another.

    Codes: `damaged-blob` (other bytes than recorded), `missing-blob` (a file of a record is not there),
    `record-without-blob` (the original is gone), `blob-without-record` (files that nothing speaks of),
    `copy-without-asset` (a URL whose asset has no record), `manifest` (manifest.json says something else),
    `flag-without-copy`, `copy-without-flag`, `dimensions` (a flag on an image of another shape than declared); and as a
    warning, for only the author can mend it, `no-room-for-flag`.
    """

    code: str
    subject: str  # a path in the cache, a digest, a URL, or article:line
    message: str
    severity: Severity = Severity.ERROR


class Removed(msgspec.Struct):
    """What was taken out of the cache."""

    copies: int = 0
    assets: int = 0
    files: int = 0
    bytes: int = 0
    subjects: list[str] = []


class Upkeep:
    """Over the open parts of one cache; whoever calls anything but `damage` holds the cache's lock."""

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        catalogue: Catalogue,
        manifest: Manifest,
        used_elsewhere: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`used_elsewhere` says whether an article of another site, which shares the cache, names a URL."""
        self._used_elsewhere = used_elsewhere
        self._store = store
        self._index = index
        self._catalogue = catalogue
        self._manifest = manifest

    # -- verify ------------------------------------------------------------------------------------------------------

    def damage(self, config: Config) -> Iterator[Damage]:
        """Everything that does not fit. Reads every byte of the cache. The catalogue is up to date with the site.

        `config` is that of the site: flags are held against the images as a sync would.
        """
        yield from self._damaged_assets()
        yield from self._records_without_blobs()
        yield from self._wrong_manifest()
        held = dict(self._held(Wish.for_variants(config.variants)))
        yield from self._wrong_flags(held, config)
        yield from self._flags_without_room(held, config)

    def _damaged_assets(self) -> Iterator[Damage]:
        for digest in self._store.digests():
            asset = self._index.asset(digest)
            if asset is None:
                yield Damage("blob-without-record", digest, "files that no record speaks of")
                continue
            missing = set(self._store.missing(asset))
            for path in self._store.damage(asset):
                if path not in missing:
                    yield Damage("damaged-blob", path, "other bytes than those that were written")
            for path in sorted(missing):
                yield Damage("missing-blob", path, "not there, or of another length")

    def _records_without_blobs(self) -> Iterator[Damage]:
        for asset in self._index.assets():
            if self._store.stamp(asset.digest) is None:
                yield Damage("record-without-blob", asset.digest, "a record whose files are gone")
        for url, copy in self._index.copies():
            if self._index.asset(copy.digest) is None:
                yield Damage("copy-without-asset", url, "a URL whose image has no record")
        for url, doubt in self._index.doubts():
            if doubt.candidate is not None and self._index.asset(doubt.candidate.digest) is None:
                yield Damage("copy-without-asset", url, "a URL whose quarantined picture has no record")

    def _wrong_manifest(self) -> Iterator[Damage]:
        try:
            said = self._manifest.read()
        except ConfigError as error:
            yield Damage("manifest", "manifest.json", str(error))
            return
        for url, asset, tag in self._index.entries():
            if said.pop(url, None) != Entry.of(asset, tag):
                yield Damage("manifest", url, "manifest.json says something else than the record")
        for url in said:
            yield Damage("manifest", url, "in manifest.json, but not held")

    def _wrong_flags(self, held: Mapping[str, Size], config: Config) -> Iterator[Damage]:
        for reference in self._catalogue.flaggable():
            true = held.get(reference.url)
            wanted = _wanted(reference, true, config.dimensions)
            where, url = _where(reference), reference.url
            if wanted is True:
                yield Damage("copy-without-flag", where, f"{url} is held, but isCached is not true")
            elif wanted is False and true is None:
                yield Damage("flag-without-copy", where, f"isCached is true, but {url} is not held in full")
            elif wanted is False and true is not None:
                told = plan.tell(reference.declared, true)
                yield Damage("dimensions", where, f"isCached is true, but {url} does not fit: {told}")

    def _flags_without_room(self, held: Mapping[str, Size], config: Config) -> Iterator[Damage]:
        for reference in self._catalogue.unflaggable(config.flag):
            wanted = _wanted(reference, held.get(reference.url), config.dimensions)
            if wanted is not None:
                state = "is held, but isCached is not" if wanted else "is not held as declared, but isCached is"
                message = (
                    f"{reference.url} {state} true, and a sync cannot write it here: write the entry out,"
                    " as a mapping of its own with `url`, without `<<` and without isCached"
                )
                yield Damage("no-room-for-flag", _where(reference), message, Severity.WARNING)

    def _held(self, wish: Wish) -> Iterator[tuple[str, Size]]:
        """Every URL of an article that is held in full, with the true size.

        A run that could not make what is missing leaves a record of what is there, which nothing else finds fault with.
        """
        for image in self._catalogue.remote():
            url = self._catalogue.url(image.image)
            copy = self._index.copy(url)
            asset = self._index.asset(copy.digest) if copy else None
            if asset is not None and plan.is_in_full(asset, self._store.missing(asset), wish.aimed(image.focus)):
                yield url, asset.size

    def take_away(self) -> Removed:
        """Remove whatever `damage` finds in blobs and records, so that the next sync makes it anew."""
        removed = Removed()
        for digest in list(self._store.digests()):
            asset = self._index.asset(digest)
            if asset is None:
                self._remove_asset(digest, removed)
                continue
            damaged = self._store.damage(asset)
            if asset.original in damaged:
                self._remove_asset(digest, removed)
            elif damaged:
                self._store.discard(damaged)
                removed.files += len(damaged)
        with self._index.batch():
            for asset in list(self._index.assets()):
                if self._store.stamp(asset.digest) is None:
                    self._index.drop_asset(asset.digest)
        with self._index.batch():
            for url, copy in list(self._index.copies()):
                if self._index.asset(copy.digest) is None:
                    self._index.drop_copy(url)
                    removed.copies += 1
            for url, doubt in list(self._index.doubts()):
                if doubt.candidate is not None and self._index.asset(doubt.candidate.digest) is None:
                    self._index.put_doubt(url, Doubt(rejected=doubt.rejected))
        self._catalogue.unsettle_all()
        return removed

    # -- gc and forget -----------------------------------------------------------------------------------------------

    def collect(self, *, dry_run: bool = False) -> Removed:
        """Remove copies that no article names, assets without copies, and files that no record names."""
        removed = Removed()
        used: set[bytes] = set()
        idle: list[str] = []
        for url, copy in self._index.copies():
            if self._is_used(url):
                used.add(bytes.fromhex(copy.digest))
            else:
                idle.append(url)
                removed.subjects.append(url)
        used |= {bytes.fromhex(digest) for digest in self._quarantined()}
        removed.copies = len(idle)
        if not dry_run:
            self._drop_unused(idle)
        for digest in list(self._store.digests()):
            asset = self._index.asset(digest)
            if asset is None or bytes.fromhex(digest) not in used:
                self._remove_asset(digest, removed, dry_run=dry_run)
            else:
                self._remove_strays(asset, removed, dry_run=dry_run)
        return removed

    def _is_used(self, url: str) -> bool:
        return self._catalogue.is_used(url) or self._used_elsewhere(url)

    def _quarantined(self) -> Iterator[str]:
        """The digests of candidates for URLs that an article names."""
        for url, doubt in self._index.doubts():
            if doubt.candidate is not None and self._is_used(url):
                yield doubt.candidate.digest

    def _drop_unused(self, copies: list[str]) -> None:
        """Drop these copies, and what is remembered of URLs that no article names."""
        with self._index.batch():
            for url in copies:
                self._index.drop_copy(url)
            for memory in (self._index.failures, self._index.healths, self._index.doubts):
                for url, _ in memory():
                    if not self._is_used(url):
                        self._index.drop_history(url)

    def forget(self, url: str, now: float) -> Removed:
        """Take a URL out of records and blobs, and remember not to fetch it again."""
        removed = Removed(subjects=[url])
        copy, candidate = self._index.copy(url), self._index.doubt(url).candidate
        self._index.forget(url, now)
        self._catalogue.unsettle_url(url)
        if copy is not None:
            removed.copies = 1
        for digest in unused({one.digest for one in (copy, candidate) if one}, self._index):
            self._remove_asset(digest, removed)
        return removed

    def _remove_asset(self, digest: str, removed: Removed, *, dry_run: bool = False) -> None:
        removed.assets += 1
        _count(self._store.files(digest).values(), removed)
        if not dry_run:
            self._index.drop_asset(digest)  # the record before the blob: a record never says more than the disk holds
            self._store.remove(digest)

    def _remove_strays(self, asset: Asset, removed: Removed, *, dry_run: bool) -> None:
        strays = self._store.strays(asset)
        if strays:
            sizes = self._store.files(asset.digest)
            _count((sizes.get(path, 0) for path in strays), removed)
        if strays and not dry_run:
            self._store.discard(strays)


def _wanted(reference: Reference, true: Size | None, dimensions: str) -> bool | None:
    """The flag that a sync would write here if it can; None where it is right. `true` is None if it is not held."""
    verdict = plan.judge(
        msgspec.structs.replace(reference, flaggable=True),
        held=true is not None,
        true=true,
        dimensions=dimensions,
        may_clear=True,
    )
    return verdict.edit.flag if verdict.edit else None


def _where(reference: Reference) -> str:
    return f"{reference.article}:{reference.line}"


def _count(sizes: Iterable[int], removed: Removed) -> None:
    for size in sizes:
        removed.files += 1
        removed.bytes += size
