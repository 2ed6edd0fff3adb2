"""Verifies a cache: compares blobs, records, manifest.json and flags with each other, and removes what is damaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from imgcache.cache import Catalogue, Index, Store
from imgcache.config import Config
from imgcache.core import Asset, ConfigError, Dimensions, Reference, Severity, Size
from imgcache.manifest import Manifest, ManifestEntry
from imgcache.policy import QuarantineRecord, SyncPolicy, plan
from imgcache.syncer.removal import Removed, describe_foreign_files, remove_asset


class Damage(msgspec.Struct, frozen=True):
    """One disagreement between blobs, records, manifest.json and flags.

    Codes: `damaged-blob` (a file has other bytes than recorded), `missing-blob` (a recorded file is missing),
    `record-without-blob` (the original is missing), `blob-without-record` (files without a record),
    `copy-without-asset` (a URL whose asset has no record), `manifest` (manifest.json differs from the records),
    `flag-without-copy`, `copy-without-flag`, `dimensions` (a flag on an image of another shape than declared);
    `no-room-for-flag` is a warning, because only the author can repair it; `foreign-files`, which imgcache did not
    write and does not touch, is a note.
    """

    code: str
    subject: str  # a path in the cache, a digest, a URL, or article:line
    message: str
    severity: Severity = Severity.ERROR


class Maintenance:
    """Verifies one cache. The caller holds the cache's lock to call anything but `damage`."""

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        catalogue: Catalogue,
        manifest: Manifest,
    ) -> None:
        self._store = store
        self._index = index
        self._catalogue = catalogue
        self._manifest = manifest

    # -- verify ------------------------------------------------------------------------------------------------------

    def damage(self, config: Config) -> Iterator[Damage]:
        """Yield all damage. Reads every byte of the cache.

        Args:
            config: the configuration of the site, by which a sync decides about flags. The catalogue has to be up to
                date with the articles.
        """
        yield from self._damaged_assets()
        yield from self._records_without_blobs()
        yield from self._manifest_differences()
        held = dict(self._held(SyncPolicy.for_variants(config.variants)))
        yield from self._wrong_flags(held, config)
        yield from self._flags_without_place(held, config)

    def _damaged_assets(self) -> Iterator[Damage]:
        if foreign := self._store.foreign_files():
            yield Damage("foreign-files", "assets", describe_foreign_files(foreign), Severity.NOTE)
        for digest in self._store.digests():
            asset = self._index.asset(digest)
            if asset is None:
                yield Damage("blob-without-record", digest, "files without a record")
                continue
            missing = set(self._store.missing(asset))
            for path in self._store.damage(asset):
                if path not in missing:
                    yield Damage("damaged-blob", path, "other bytes than recorded")
            for path in sorted(missing):
                yield Damage("missing-blob", path, "missing, or of another length")

    def _records_without_blobs(self) -> Iterator[Damage]:
        for asset in self._index.assets():
            if self._is_gone(asset):
                yield Damage("record-without-blob", asset.digest, "a record whose files are missing")
        for url, copy in self._index.copies():
            if self._index.asset(copy.digest) is None:
                yield Damage("copy-without-asset", url, "a URL whose image has no record")
        for url, doubt in self._index.quarantine_records():
            if doubt.candidate is not None and self._index.asset(doubt.candidate.digest) is None:
                yield Damage("copy-without-asset", url, "a URL whose quarantined picture has no record")

    def _is_gone(self, asset: Asset) -> bool:
        """Whether none of the asset's files is left. Its folder may still have foreign files."""
        return self._store.stamp(asset.digest) is None or not self._store.files(asset.digest)

    def _manifest_differences(self) -> Iterator[Damage]:
        try:
            listed = self._manifest.read()
        except ConfigError as error:
            yield Damage("manifest", "manifest.json", str(error))
            return
        for url, asset, tag in self._index.entries():
            if listed.pop(url, None) != ManifestEntry.of(asset, tag):
                yield Damage("manifest", url, "manifest.json differs from the record")
        for url in listed:
            yield Damage("manifest", url, "in manifest.json, but not held")

    def _wrong_flags(self, held: Mapping[str, Size], config: Config) -> Iterator[Damage]:
        for reference in self._catalogue.references.flaggable():
            true = held.get(reference.url)
            wanted = _wanted(reference, true, config.dimensions)
            where, url = _where(reference), reference.url
            if wanted is True:
                yield Damage("copy-without-flag", where, f"{url} is held, but isCached is not true")
            elif wanted is False and true is None:
                yield Damage("flag-without-copy", where, f"isCached is true, but {url} is not held in full")
            elif wanted is False and true is not None:
                mismatch = plan.describe_mismatch(reference.declared, true)
                yield Damage("dimensions", where, f"isCached is true, but {url} does not fit: {mismatch}")

    def _flags_without_place(self, held: Mapping[str, Size], config: Config) -> Iterator[Damage]:
        for reference in self._catalogue.references.unflaggable():
            wanted = _wanted(reference, held.get(reference.url), config.dimensions)
            if wanted is not None:
                state = "is held, but isCached is not" if wanted else "is not held as declared, but isCached is"
                message = (
                    f"{reference.url} {state} true, and a sync cannot write it here: write the entry out,"
                    " as a mapping of its own with `url`, without `<<` and without isCached"
                )
                yield Damage("no-room-for-flag", _where(reference), message, Severity.WARNING)

    def _held(self, policy: SyncPolicy) -> Iterator[tuple[str, Size]]:
        """Yield every URL of an article that is held with all variants, with its true size.

        A record alone does not show that: after a run that could not render everything, it lists what is there.
        """
        for image in self._catalogue.images.remote():
            url = self._catalogue.images.url(image.image)
            copy = self._index.copy(url)
            asset = self._index.asset(copy.digest) if copy else None
            if asset is not None and plan.is_complete(asset, self._store.missing(asset), policy.for_focus(image.focus)):
                yield url, asset.size

    def remove_damaged(self) -> Removed:
        """Remove all damaged blobs and records, so that the next sync makes them again."""
        removed = Removed()
        for digest in list(self._store.digests()):
            asset = self._index.asset(digest)
            if asset is None:
                remove_asset(digest, removed, self._index, self._store)
                continue
            damaged = self._store.damage(asset)
            if asset.original in damaged:
                remove_asset(digest, removed, self._index, self._store)
            elif damaged:
                self._store.discard(damaged)
                removed.files += len(damaged)
        with self._index.batch():
            for asset in list(self._index.assets()):
                if self._is_gone(asset):
                    self._index.drop_asset(asset.digest)
        with self._index.batch():
            for url, copy in list(self._index.copies()):
                if self._index.asset(copy.digest) is None:
                    self._index.drop_copy(url)
                    removed.copies += 1
            for url, doubt in list(self._index.quarantine_records()):
                if doubt.candidate is not None and self._index.asset(doubt.candidate.digest) is None:
                    self._index.put_quarantine_record(url, QuarantineRecord(rejected=doubt.rejected))
        self._catalogue.images.recheck_all()
        return removed


def _wanted(reference: Reference, true: Size | None, dimensions: Dimensions) -> bool | None:
    """Returns the flag that a sync would write here; None where it is right. `true` is None for an image not held."""
    verdict = plan.decide_flag(
        msgspec.structs.replace(reference, flaggable=True),
        held=true is not None,
        true=true,
        dimensions=dimensions,
        may_clear=True,
    )
    return verdict.edit.flag if verdict.edit else None


def _where(reference: Reference) -> str:
    return f"{reference.article}:{reference.line}"
