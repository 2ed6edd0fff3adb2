"""Pictures that came at a refresh and are doubtful: the good copy stays, and a person decides."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from imgcache.cache.catalogue.catalogue import Catalogue
from imgcache.cache.index.index import Index
from imgcache.cache.store.protocol import Store
from imgcache.core import Copy, ImgcacheError, Place, Problem, Severity, clean_text, redact
from imgcache.policy import QuarantineRecord
from imgcache.policy import replacement as likeness

CODE = "quarantined"


class NotQuarantined(ImgcacheError):
    """There is nothing to decide at this URL."""


class QuarantinedUrl(msgspec.Struct, frozen=True):
    """One URL that waits for a decision: digests of copy and candidate, why, and since when (seconds)."""

    url: str
    copy: str | None
    candidate: str
    original: str | None  # the candidate's file, relative to the cache
    reason: str
    since: float
    references: tuple[Place, ...]


class Quarantine:
    """The candidates of one cache. Whoever decides holds the cache's lock, and brings flags and manifest up to date."""

    def __init__(self, *, index: Index, catalogue: Catalogue, store: Store) -> None:
        self._index = index
        self._catalogue = catalogue
        self._store = store

    def __iter__(self) -> Iterator[QuarantinedUrl]:
        """Everything that waits for a decision, by URL."""
        for url, doubt in self._index.doubts():
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
        """Make the candidate the copy. Raises NotQuarantined."""
        candidate, doubt = self._find(url)
        asset = self._index.asset(candidate.digest)
        if asset is None or self._store.missing(asset):
            raise NotQuarantined(
                f"{redact(url)}: the candidate's files are no longer there; `imgcache sync --refresh` fetches it again"
            )
        with self._index.batch():
            self._index.put_copy(url, candidate)
            self._index.put_doubt(url, QuarantineRecord(rejected=doubt.rejected))
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
        """Drop the candidate, and take its bytes for "not modified" from now on. Raises NotQuarantined."""
        candidate, doubt = self._find(url)
        self._index.put_doubt(url, likeness.rejected(doubt, candidate.digest))
        remove_unused_assets({candidate.digest}, self._index, self._store)

    def _find(self, url: str) -> tuple[Copy, QuarantineRecord]:
        doubt = self._index.doubt(url)
        if doubt.candidate is None:
            raise NotQuarantined(f"{redact(url)}: nothing is quarantined there; see `imgcache quarantine list`")
        return doubt.candidate, doubt


def problems(index: Index, catalogue: Catalogue) -> Iterator[Problem]:
    """A warning for each URL that waits for a decision and that an article names; places are not filled in."""
    for url, doubt in index.doubts():
        if doubt.candidate is not None and catalogue.references.is_used(url):
            message = (
                f"what the server sends now is {clean_text(doubt.reason)}; the copy stays until you decide:"
                " `imgcache quarantine accept URL` or `reject URL`"
            )
            yield Problem(CODE, url, message, severity=Severity.WARNING)


def unused_assets(digests: Collection[str], index: Index) -> list[str]:
    """Those of the given digests that neither a copy nor a candidate has, sorted."""
    left = set(digests)
    if left:
        left -= {copy.digest for _, copy in index.copies() if copy.digest in left}
        left -= {doubt.candidate.digest for _, doubt in index.doubts() if doubt.candidate}
    return sorted(left)


def remove_unused_assets(digests: Collection[str], index: Index, store: Store) -> None:
    """Remove the assets of those that neither a copy nor a candidate has."""
    for digest in unused_assets(digests, index):
        index.drop_asset(digest)  # the record before the blob: a record never says more than the disk holds
        store.remove(digest)
