"""Brings the articles in line with what is held: flags set and cleared, declared sizes told or mended."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from imgcache import plan
from imgcache.catalogue import Catalogue, Disagreement
from imgcache.errors import ArticleError
from imgcache.manifest import Manifest
from imgcache.models import Edit, Place, Problem, Severity
from imgcache.plan import Verdict
from imgcache.scanner import Scanner


class Flagged(msgspec.Struct):
    """What one pass over the articles did."""

    set: int = 0
    cleared: int = 0
    problems: list[Problem] = []


class FlagWriter:
    """Goes through the references that disagree with the truth, one article at a time."""

    def __init__(
        self, *, catalogue: Catalogue, manifest: Manifest, scanner: Scanner, dimensions: str, dry_run: bool = False
    ) -> None:
        self._catalogue = catalogue
        self._manifest = manifest
        self._scanner = scanner
        self._dimensions = dimensions
        self._dry_run = dry_run

    def write(self, *, may_clear: bool, url: str | None = None) -> Flagged:
        """Write every article that needs it, once. With `url`, only the flags of that image are looked at."""
        done = Flagged()
        for path, digest, rows in self._articles(url):
            verdicts = (self._judge(row, may_clear=may_clear) for row in rows)
            if edits := [verdict.edit for verdict in verdicts if verdict.edit]:
                self._edit(path, digest, edits, done)
        return done

    def lies(self) -> list[Problem]:
        """Every declared size that is not the true one; asked for after `write`, which moves lines."""
        found: dict[tuple[str, Severity, str], list[Place]] = {}
        for _, _, rows in self._articles(None):
            for row in rows:
                severity = self._judge(row, may_clear=False).severity
                if severity is not None and row.true is not None:
                    message = plan.tell(row.reference.declared, row.true)
                    found.setdefault((row.reference.url, severity, message), []).append(row.reference.place)
        return [
            Problem("dimensions", url, message, severity=severity, references=tuple(places))
            for (url, severity, message), places in found.items()
        ]

    def _articles(self, url: str | None) -> Iterator[tuple[str, str, list[Disagreement]]]:
        """Path, digest and disagreements of each article that has any."""
        after = ""
        while page := self._catalogue.disagreements(after, url):
            for (path, digest), rows in groupby(page, key=lambda row: (row.path, row.digest)):
                yield path, digest, list(rows)
            after = page[-1].path

    def _judge(self, row: Disagreement, *, may_clear: bool) -> Verdict:
        return plan.judge(row.reference, held=row.held, true=row.true, dimensions=self._dimensions, may_clear=may_clear)

    def _edit(self, path: str, digest: str, edits: list[Edit], done: Flagged) -> None:
        if not self._dry_run:
            try:
                self._manifest.write_article(path, scanned=digest, edits=edits)
            except ArticleError as error:
                place = Place(path, error.line, error.column, "")
                done.problems.append(Problem(error.code, None, error.message, retryable=True, references=(place,)))
                return
            with self._catalogue.transaction():
                self._scanner.reread(path, self._catalogue)
        done.set += sum(edit.flag is True for edit in edits)
        done.cleared += sum(edit.flag is False for edit in edits)
