"""Keeps suspicious replacements: if a refresh brings a doubtful image, the old copy stays until a person decides."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from imgcache.cache.catalogue.catalogue import Catalogue
from imgcache.cache.index.index import Index
from imgcache.cache.store.protocol import Store
from imgcache.core import Copy, ImgcacheError, Place, Problem, Severity, clean_text, redact
from imgcache.policy import QuarantineRecord, quarantine_rules

CODE = "quarantined"


class NotQuarantined(ImgcacheError):
    """Nothing is quarantined at this URL, or it cannot be accepted."""


class QuarantinedUrl(msgspec.Struct, frozen=True):
    """One URL that waits for a decision.

    Attributes:
        url: of the image.
        copy: digest of the present copy; None if there is none.
        candidate: digest of the quarantined image.
        original: the file of the candidate, relative to the cache.
        reason: why it is doubtful.
        since: seconds since the epoch.
        references: where articles use the URL.
    """

    url: str
    copy: str | None
    candidate: str
    original: str | None
    reason: str
    since: float
    references: tuple[Place, ...]


class Quarantine:
    """The quarantined images of one cache.

    A caller of `accept` or `reject` must hold the cache's lock, and update flags and manifest afterwards.
    """

    def __init__(self, *, index: Index, catalogue: Catalogue, store: Store) -> None:
        self._index = index
        self._catalogue = catalogue
        self._store = store

    def __iter__(self) -> Iterator[QuarantinedUrl]:
        """Yields everything that waits for a decision, by URL."""
        for url, doubt in self._index.quarantine_records():
            if doubt.candidate is not None:
                copy = self._index.copy(url)
                asset = self._index.asset(doubt.candidate.digest)
                yield QuarantinedUrl(
                    url,
                    copy.digest if copy else None,
                    doubt.candidate.digest,
                    asset.original if asset else None,
                    doubt.reason,
                    doubt.since,
                    self._catalogue.references.places(url),
                )

    def accept(self, url: str, refresh_after: float) -> None:
        """Makes the candidate the copy.

        Args:
            url: of the image.
            refresh_after: seconds until the copy is revalidated.

        Raises:
            NotQuarantined: there is no candidate, or its files are missing.
        """
        candidate, doubt = self._find(url)
        asset = self._index.asset(candidate.digest)
        if asset is None or self._store.missing(asset):
            raise NotQuarantined(f"{redact(url)}: its files are missing; `imgcache sync --refresh` fetches it again")
        with self._index.batch():
            self._index.put_copy(url, candidate)
            self._index.put_quarantine_record(url, QuarantineRecord(rejected=doubt.rejected))
        image = self._catalogue.images.number(url)
        if image is not None:
            self._catalogue.images.mark_held(
                image,
                asset,
                stamp=self._store.stamp(asset.digest),
                recipes=" ".join(asset.recipes),
                due=candidate.checked_at + refresh_after,
            )

    def reject(self, url: str) -> None:
        """Drops the candidate; from now on its bytes count as "not modified". Raises NotQuarantined."""
        candidate, doubt = self._find(url)
        self._index.put_quarantine_record(url, quarantine_rules.with_rejected_digest(doubt, candidate.digest))
        remove_unused_assets({candidate.digest}, self._index, self._store)

    def _find(self, url: str) -> tuple[Copy, QuarantineRecord]:
        doubt = self._index.quarantine_record(url)
        if doubt.candidate is None:
            raise NotQuarantined(f"{redact(url)}: nothing is quarantined at this URL; see `imgcache quarantine list`")
        return doubt.candidate, doubt


def problems(index: Index, catalogue: Catalogue) -> Iterator[Problem]:
    """Yields a warning for each quarantined URL that an article uses, without the places."""
    for url, doubt in index.quarantine_records():
        if doubt.candidate is not None and catalogue.references.is_used(url):
            message = (
                f"what the server sends now is {clean_text(doubt.reason)}; the copy stays until you decide:"
                " `imgcache quarantine accept URL` or `reject URL`"
            )
            yield Problem(CODE, url, message, severity=Severity.WARNING)


def unused_assets(digests: Collection[str], index: Index) -> list[str]:
    """Returns the given digests that are neither of a copy nor of a quarantined image, sorted."""
    unused = set(digests)
    if unused:
        unused -= {copy.digest for _, copy in index.copies() if copy.digest in unused}
        unused -= {doubt.candidate.digest for _, doubt in index.quarantine_records() if doubt.candidate}
    return sorted(unused)


def remove_unused_assets(digests: Collection[str], index: Index, store: Store) -> None:
    """Removes the assets of the given digests that `unused_assets` returns."""
    for digest in unused_assets(digests, index):
        index.drop_asset(digest)  # the record first: a record without files would be wrong
        store.remove(digest)
