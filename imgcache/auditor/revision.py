"""What a git revision already had: whether a finding's place is older than the change that is looked at.

The rules, each for one place of a finding:

- In an article that is as it was, the place is old.
- In an article that changed, it is old if the article had the same URL in the same field before, on any line; of the
  rules about sizes also with the same declared size, of those about flags also with the same flag. A renamed article is
  held against the one that git takes it for. What speaks of a whole article (a budget) is old if all that it names is.
- In an article that is new, or whose text could not be read then or cannot be now, it is new.
- Of the site's own images, it is new where the file itself came, changed or went, whatever the article says.

So an image that died on its server, in a place that nobody touched, is old. Changed settings make nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from imgcache.auditor.git import Changes, Repository, Tree
from imgcache.core import ArticleError, Finding, Kind, Place, Reference
from imgcache.scanner import Site
from imgcache.scanner import extract as reader

_OF_SIZES = frozenset({"dimensions", "scaled"})
_OF_FLAGS = frozenset({"flag-without-copy", "copy-without-flag"})


class _Versions(NamedTuple):
    """The references of one article, at the revision and now; None where there was none or it cannot be read."""

    then: tuple[Reference, ...] | None
    now: tuple[Reference, ...] | None


class Revision(msgspec.Struct, frozen=True):
    """One revision against the files on disk. `versions` are of the articles that changed."""

    site: Site
    tree: Tree
    changes: Changes
    versions: Mapping[str, _Versions] = {}

    def had(self, found: Finding, place: Place) -> bool:
        """Whether the finding was there, at this place, before the change."""
        if found.url is not None and self._has_another_file(found.url, place.article):
            return False
        return self._is_as_it_was(place.article) or self._named(found.rule, place)

    def changed(self, articles: Iterable[str]) -> list[str]:
        """Those of the articles whose text has to be read to answer: changed ones, and renamed ones."""
        return [article for article in articles if self.blob(article) and not self._is_as_it_was(article)]

    def blob(self, article: str) -> str | None:
        """The object that held the article at the revision, under the name that it had then."""
        return self.tree.blobs.get(self.changes.renamed.get(article, article))

    def _is_as_it_was(self, article: str) -> bool:
        if article in self.tree.blobs:
            return article not in self.changes.touched
        folders = (article[:end] for end, letter in enumerate(article) if letter == "/")
        return any(folder in self.tree.modules and folder not in self.changes.touched for folder in folders)

    def _has_another_file(self, url: str, article: str) -> bool:
        """Whether the file that an own URL names, at the first place where it can lie, came, changed or went."""
        if self.site.kind(url) is not Kind.OWN:
            return False
        candidates = self.site.candidates(url, article)
        if candidates != self.site.candidates(url, self.changes.renamed.get(article, article)):
            return True
        file = self.site.own_file(url, article)
        here = file.relative_to(self.site.root).as_posix() if file else None
        reach = candidates[: candidates.index(here) + 1] if here in candidates else candidates
        return not self.changes.touched.isdisjoint(reach)

    def _named(self, rule: str, place: Place) -> bool:
        then, now = self.versions.get(place.article, _Versions(None, None))
        if then is None or now is None:
            return False
        spot = (place.line, place.column, place.field)
        here = [one for one in now if (one.line, one.column, one.field) == spot]
        before = {_fact(rule, one) for one in then}
        return all(_fact(rule, one) in before for one in here or now)


def _fact(rule: str, reference: Reference) -> tuple[object, ...]:
    """What of a reference makes it the same one to a rule."""
    declared = reference.declared if rule in _OF_SIZES else None
    flag = reference.is_cached is True if rule in _OF_FLAGS else None
    return (reference.url, reference.field, declared, flag)


def open_revision(site: Site, repository: Repository, tree: str, articles: Iterable[str]) -> Revision:
    """The revision, with all that is needed to answer for places in the given articles. Raises ConfigError."""
    files = repository.files(tree)
    bare = Revision(site, files, repository.changes(tree, files.modules))
    wanted = {article: blob for article in sorted(set(articles)) if (blob := bare.blob(article))}
    changed = bare.changed(wanted)
    contents = repository.contents([wanted[article] for article in changed])
    versions = {
        article: _Versions(_references(data, bare.changes.renamed.get(article, article)), _now(site, article))
        for article, data in zip(changed, contents, strict=True)
    }
    return msgspec.structs.replace(bare, versions=versions)


def _now(site: Site, article: str) -> tuple[Reference, ...] | None:
    try:
        return _references((site.root / article).read_bytes(), article)
    except OSError:
        return None


def _references(data: bytes, article: str) -> tuple[Reference, ...] | None:
    try:
        return reader.extract_references(data, article)
    except ArticleError:
        return None
