"""Writes the flags and declared sizes of articles, and reports the sizes that are wrong.

`policy.plan.decide_flag` alone decides what a flag and a size should be. The query `disagreements` of the catalogue
only preselects references: it may return too many, since each one is decided here, but it must never leave one out. So
its conditions are wider than the decision: it returns every flag that differs from whether a copy is held, and every
declared size that differs from the true one, whatever the shape, the `dimensions` setting and `may_clear`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import NamedTuple

import msgspec

from imgcache.cache import Catalogue, ReferenceMismatch
from imgcache.core import ArticleError, Dimensions, Edit, Place, Problem, Severity, contain_article_errors
from imgcache.manifest.document import Manifest
from imgcache.policy import FlagDecision, plan
from imgcache.scanner import Scanner

# Articles written at the same time: each waits for the disk, which handles many waits in the time of one.
_WRITERS = 16


class ArticleChange(NamedTuple):
    """One article to be written: its path, the digest of the bytes that were scanned, and the edits."""

    path: str
    digest: str
    edits: list[Edit]


class FlagCounts(msgspec.Struct):
    """The counts of one pass over the articles: flags set and cleared, declared sizes corrected."""

    set: int = 0
    cleared: int = 0
    sized: int = 0
    problems: list[Problem] = []


class _Links(NamedTuple):
    """The files that were written through links, and the links that were skipped because their file is an article."""

    written: set[str]
    skipped: list[str]


class FlagWriter:
    """Updates the flags and sizes of the articles of one site, one article at a time."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        manifest: Manifest,
        scanner: Scanner,
        dimensions: Dimensions,
        dry_run: bool = False,
        prefix: str = "",
        article: str | None = None,
    ) -> None:
        """Prepare to write.

        Args:
            catalogue: the references, and what is known of their images.
            manifest: writes the articles.
            scanner: reads articles again after they were written.
            dimensions: `check`, `fix` or `ignore` declared sizes.
            dry_run: only count.
            article: the path of the only article to write; by default all are.
            prefix: the articles of this site are those whose paths begin with it, in a catalogue of several sites.
        """
        self._article = article
        self._prefix = prefix
        self._catalogue = catalogue
        self._manifest = manifest
        self._scanner = scanner
        self._dimensions = dimensions
        self._dry_run = dry_run

    def write(self, *, may_clear: bool, url: str | None = None) -> FlagCounts:
        """Write every article that needs it, once.

        Args:
            may_clear: whether flags may be removed (not while the network is down).
            url: change only the references to this image.
        """
        counts, links = FlagCounts(), _Links(set(), [])
        with ThreadPoolExecutor(_WRITERS) as writers:
            for page in self._pages(url):
                changes = [
                    ArticleChange(path, digest, self._edits(rows, may_clear=may_clear)) for path, digest, rows in page
                ]
                wanted = [
                    change for change in changes if change.edits and not self._is_written_elsewhere(change, links)
                ]
                errors = writers.map(self._write, wanted)
                written = [
                    change for change, error in zip(wanted, errors, strict=True) if _count(change, error, counts)
                ]
                self._reread(change.path for change in written)
        self._reread(path for path in links.skipped if self._leads_to(path) is not None)
        return counts

    def _is_written_elsewhere(self, change: ArticleChange, links: _Links) -> bool:
        """Return whether an article is a link to a file that this run writes under another path."""
        target = self._leads_to(change.path)
        if target is None:
            return False
        if target in links.written or self._catalogue.articles.digest(target) is not None:
            links.skipped.append(change.path)
            return True
        links.written.add(target)
        return False

    def _leads_to(self, path: str) -> str | None:
        """Return the target of an article that is a link. Both are paths of the catalogue."""
        target = self._manifest.link_target(path.removeprefix(self._prefix))
        return None if target is None else self._prefix + os.fsencode(target).decode(errors="replace")

    def _reread(self, paths: Iterable[str]) -> None:
        """Read written articles again: their lines have moved, and later edits and reports need the new places."""
        if (changed := list(paths)) and not self._dry_run:
            with self._catalogue.transaction():
                self._scanner.reread(changed, self._catalogue)

    def size_mismatches(self) -> list[Problem]:
        """Return a problem for every declared size that is not the true one. Call it after `write`: lines move."""
        found: dict[tuple[str, Severity, str], list[Place]] = {}
        for page in self._pages(None):
            for row in (row for _, _, rows in page for row in rows):
                severity = self._decide(row, may_clear=False).severity
                if severity is not None and row.true_size is not None:
                    message = plan.describe_mismatch(row.reference.declared, row.true_size)
                    found.setdefault((row.reference.url, severity, message), []).append(row.reference.place)
        return [
            Problem("dimensions", url, message, severity=severity, references=tuple(places))
            for (url, severity, message), places in found.items()
        ]

    def _pages(self, url: str | None) -> Iterator[list[tuple[str, str, list[ReferenceMismatch]]]]:
        """Yield path, digest and mismatches of articles that have any, some hundred articles at a time."""
        after = self._prefix
        while page := self._catalogue.references.mismatches(after, url):
            own = [row for row in page if row.path.startswith(self._prefix)]  # consecutive, in order
            wanted = [row for row in own if self._article in (None, row.path)]
            articles = groupby(wanted, key=lambda row: (row.path, row.digest))
            yield [(path, digest, list(rows)) for (path, digest), rows in articles]
            if len(own) < len(page):
                return
            after = page[-1].path

    def _decide(self, row: ReferenceMismatch, *, may_clear: bool) -> FlagDecision:
        return plan.decide_flag(
            row.reference, held=row.is_held, true=row.true_size, dimensions=self._dimensions, may_clear=may_clear
        )

    def _edits(self, rows: list[ReferenceMismatch], *, may_clear: bool) -> list[Edit]:
        decisions = (self._decide(row, may_clear=may_clear) for row in rows)
        return [decision.edit for decision in decisions if decision.edit]

    def _write(self, change: ArticleChange) -> ArticleError | None:
        """Write one article; runs in a thread, since it mostly waits for the disk. Returns the error, if any."""
        if not self._dry_run:
            try:
                path = change.path.removeprefix(self._prefix)
                with contain_article_errors(change.path):
                    self._manifest.write_article(path, scanned=change.digest, edits=change.edits)
            except ArticleError as error:
                return error
        return None


class FlagWriters:
    """The flag writers of several sites, as one."""

    def __init__(self, writers: Sequence[FlagWriter]) -> None:
        self._writers = writers

    def write(self, *, may_clear: bool, url: str | None = None) -> FlagCounts:
        """Write every article of every site that needs it. Arguments as for `FlagWriter.write`."""
        counts = FlagCounts()
        for writer in self._writers:
            more = writer.write(may_clear=may_clear, url=url)
            counts.set += more.set
            counts.cleared += more.cleared
            counts.sized += more.sized
            counts.problems += more.problems
        return counts

    def size_mismatches(self) -> list[Problem]:
        """Return the size mismatches of every site."""
        return [problem for writer in self._writers for problem in writer.size_mismatches()]


def _count(change: ArticleChange, error: ArticleError | None, counts: FlagCounts) -> bool:
    """Add the result of one article to the counts; returns whether it was written."""
    if error is not None:
        place = Place(change.path, error.line, error.column, "")
        counts.problems.append(Problem(error.code, None, error.message, retryable=True, references=(place,)))
        return False
    counts.set += sum(edit.flag is True for edit in change.edits)
    counts.cleared += sum(edit.flag is False for edit in change.edits)
    counts.sized += sum(edit.size is not None for edit in change.edits)
    return True
