"""Brings the articles in line with what is held: flags set and cleared, declared sizes told or mended."""

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

# Articles written at once: each waits for the disk, and the disk takes many waits together for one.
_WRITERS = 16


class ArticleChange(NamedTuple):
    """One article to be written: its path, the digest of the bytes that were scanned, and the edits."""

    path: str
    digest: str
    edits: list[Edit]


class FlagCounts(msgspec.Struct):
    """What one pass over the articles did: flags set and cleared, declared sizes mended."""

    set: int = 0
    cleared: int = 0
    sized: int = 0
    problems: list[Problem] = []


class _Links(NamedTuple):
    """The files that links led to and that were written by them, and the links whose files are written otherwise."""

    written: set[str]
    passed_over: list[str]


class FlagWriter:
    """Goes through the references that disagree with the truth, one article at a time."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        manifest: Manifest,
        scanner: Scanner,
        dimensions: Dimensions,
        dry_run: bool = False,
        prefix: str = "",
    ) -> None:
        """In a catalogue of several sites, the articles of this one are those whose paths begin with `prefix`."""
        self._prefix = prefix
        self._catalogue = catalogue
        self._manifest = manifest
        self._scanner = scanner
        self._dimensions = dimensions
        self._dry_run = dry_run

    def write(self, *, may_clear: bool, url: str | None = None) -> FlagCounts:
        """Write every article that needs it, once. With `url`, only the flags of that image are looked at."""
        done, links = FlagCounts(), _Links(set(), [])
        with ThreadPoolExecutor(_WRITERS) as writers:
            for page in self._pages(url):
                changes = [
                    ArticleChange(path, digest, self._edits(rows, may_clear=may_clear)) for path, digest, rows in page
                ]
                wanted = [change for change in changes if change.edits and not self._stands_elsewhere(change, links)]
                errors = writers.map(self._write, wanted)
                written = [change for change, error in zip(wanted, errors, strict=True) if _count(change, error, done)]
                self._reread(change.path for change in written)
        self._reread(path for path in links.passed_over if self._leads_to(path) is not None)
        return done

    def _stands_elsewhere(self, change: ArticleChange, links: _Links) -> bool:
        """Whether an article is a link to a file that this run writes under another name."""
        target = self._leads_to(change.path)
        if target is None:
            return False
        if target in links.written or self._catalogue.article_digest(target) is not None:
            links.passed_over.append(change.path)
            return True
        links.written.add(target)
        return False

    def _leads_to(self, path: str) -> str | None:
        """What an article that is a link leads to. Both are paths of the catalogue."""
        target = self._manifest.leads_to(path.removeprefix(self._prefix))
        return None if target is None else self._prefix + os.fsencode(target).decode(errors="replace")

    def _reread(self, paths: Iterable[str]) -> None:
        """Read what was written, for the places of what is written next, or told."""
        if (changed := list(paths)) and not self._dry_run:
            with self._catalogue.transaction():
                self._scanner.reread(changed, self._catalogue)

    def size_mismatches(self) -> list[Problem]:
        """Every declared size that is not the true one; asked for after `write`, which moves lines."""
        found: dict[tuple[str, Severity, str], list[Place]] = {}
        for page in self._pages(None):
            for row in (row for _, _, rows in page for row in rows):
                severity = self._judge(row, may_clear=False).severity
                if severity is not None and row.true is not None:
                    message = plan.describe_mismatch(row.reference.declared, row.true)
                    found.setdefault((row.reference.url, severity, message), []).append(row.reference.place)
        return [
            Problem("dimensions", url, message, severity=severity, references=tuple(places))
            for (url, severity, message), places in found.items()
        ]

    def _pages(self, url: str | None) -> Iterator[list[tuple[str, str, list[ReferenceMismatch]]]]:
        """Path, digest and disagreements of the articles that have any, some hundred articles at a time."""
        after = self._prefix
        while page := self._catalogue.disagreements(after, url):
            own = [row for row in page if row.path.startswith(self._prefix)]  # they lie together, in order
            articles = groupby(own, key=lambda row: (row.path, row.digest))
            yield [(path, digest, list(rows)) for (path, digest), rows in articles]
            if len(own) < len(page):
                return
            after = page[-1].path

    def _judge(self, row: ReferenceMismatch, *, may_clear: bool) -> FlagDecision:
        return plan.decide_flag(
            row.reference, held=row.held, true=row.true, dimensions=self._dimensions, may_clear=may_clear
        )

    def _edits(self, rows: list[ReferenceMismatch], *, may_clear: bool) -> list[Edit]:
        verdicts = (self._judge(row, may_clear=may_clear) for row in rows)
        return [verdict.edit for verdict in verdicts if verdict.edit]

    def _write(self, change: ArticleChange) -> ArticleError | None:
        """In a thread: most of it is waiting for the disk."""
        if not self._dry_run:
            try:
                path = change.path.removeprefix(self._prefix)
                with contain_article_errors(change.path):
                    self._manifest.write_article(path, scanned=change.digest, edits=change.edits)
            except ArticleError as error:
                return error
        return None


class FlagWriters:
    """Those of several sites, as one."""

    def __init__(self, writers: Sequence[FlagWriter]) -> None:
        self._writers = writers

    def write(self, *, may_clear: bool, url: str | None = None) -> FlagCounts:
        """Write every article of every site that needs it."""
        done = FlagCounts()
        for writer in self._writers:
            more = writer.write(may_clear=may_clear, url=url)
            done.set += more.set
            done.cleared += more.cleared
            done.sized += more.sized
            done.problems += more.problems
        return done

    def size_mismatches(self) -> list[Problem]:
        """Every declared size that is not the true one, site by site."""
        return [problem for writer in self._writers for problem in writer.size_mismatches()]


def _count(change: ArticleChange, error: ArticleError | None, done: FlagCounts) -> bool:
    """Add what became of one article; whether it was written."""
    if error is not None:
        place = Place(change.path, error.line, error.column, "")
        done.problems.append(Problem(error.code, None, error.message, retryable=True, references=(place,)))
        return False
    done.set += sum(edit.flag is True for edit in change.edits)
    done.cleared += sum(edit.flag is False for edit in change.edits)
    done.sized += sum(edit.size is not None for edit in change.edits)
    return True
