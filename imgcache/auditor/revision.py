"""Compares findings with a git revision: was a finding there, at this place, before the change?

The rules, for each place of a finding:

- In an unchanged article, the place is old.
- In a changed article, it is old if the article had the same URL in the same field before, on any line. Rules about
  sizes also compare the declared size, and rules about flags also compare the flag. A renamed article is compared with
  the file that git considers its origin. A finding about a whole article (a budget) is old if all that it names is.
- In a new article, or one that could not be read then or cannot be read now, it is new.
- For an own image of the site, it is new if the file itself was added, changed or deleted, whatever the article says.

So an image that died on its server is old if nobody touched its place. Changed settings make no finding new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from imgcache.auditor.git import Changes, Repository, Tree
from imgcache.core import ArticleError, Finding, Kind, Place, Reference
from imgcache.scanner import Site, extract_references

_SIZE_RULES = frozenset({"dimensions", "scaled"})
_FLAG_RULES = frozenset({"flag-without-copy", "copy-without-flag"})


class _Versions(NamedTuple):
    """The references of one article at the revision and now; None if the article does not exist or cannot be read."""

    then: tuple[Reference, ...] | None
    now: tuple[Reference, ...] | None


class Revision(msgspec.Struct, frozen=True):
    """One revision compared with the files on disk. `versions` has the changed articles."""

    site: Site
    tree: Tree
    changes: Changes
    versions: Mapping[str, _Versions] = {}

    def contains(self, found: Finding, place: Place) -> bool:
        """Whether the finding was there, at this place, at the revision."""
        if found.url is not None and self._own_file_changed(found.url, place.article):
            return False
        return self._is_unchanged(place.article) or self._has_same_reference(found.rule, place)

    def changed(self, articles: Iterable[str]) -> list[str]:
        """Returns those of the articles whose text must be compared: changed ones and renamed ones."""
        return [article for article in articles if self.blob(article) and not self._is_unchanged(article)]

    def blob(self, article: str) -> str | None:
        """Returns the object name of the article at the revision, under the path that it had then."""
        return self.tree.blobs.get(self.changes.renamed.get(article, article))

    def _is_unchanged(self, article: str) -> bool:
        if article in self.tree.blobs:
            return article not in self.changes.touched
        folders = (article[:end] for end, letter in enumerate(article) if letter == "/")
        return any(folder in self.tree.modules and folder not in self.changes.touched for folder in folders)

    def _own_file_changed(self, url: str, article: str) -> bool:
        """Whether the file that an own URL resolves to was added, changed or deleted."""
        if self.site.kind(url) is not Kind.OWN:
            return False
        candidates = self.site.candidates(url, article)
        if candidates != self.site.candidates(url, self.changes.renamed.get(article, article)):
            return True
        file = self.site.own_file(url, article)
        path = file.relative_to(self.site.root).as_posix() if file else None
        tried = candidates[: candidates.index(path) + 1] if path in candidates else candidates
        return not self.changes.touched.isdisjoint(tried)

    def _has_same_reference(self, rule: str, place: Place) -> bool:
        then, now = self.versions.get(place.article, _Versions(None, None))
        if then is None or now is None:
            return False
        at_place = [reference for reference in now if reference.place == place]
        before = {_identity(rule, reference) for reference in then}
        return all(_identity(rule, reference) in before for reference in at_place or now)


def _identity(rule: str, reference: Reference) -> tuple[object, ...]:
    """The parts of a reference that a rule depends on."""
    declared = reference.declared if rule in _SIZE_RULES else None
    flag = reference.is_cached is True if rule in _FLAG_RULES else None
    return (reference.url, reference.field, declared, flag)


def open_revision(site: Site, repository: Repository, tree: str, articles: Iterable[str]) -> Revision:
    """Read what is needed to compare places in the given articles with a revision.

    Args:
        site: the site on disk.
        repository: the repository that contains it.
        tree: the object name of the tree of the revision.
        articles: paths relative to the site.

    Raises:
        ConfigError: git cannot read the revision.
    """
    files = repository.files(tree)
    revision = Revision(site, files, repository.changes(tree, files.modules))
    wanted = {article: blob for article in sorted(set(articles)) if (blob := revision.blob(article))}
    changed = revision.changed(wanted)
    contents = repository.contents([wanted[article] for article in changed])
    versions = {}
    for article, data in zip(changed, contents, strict=True):
        then = _references(site, data, revision.changes.renamed.get(article, article))
        versions[article] = _Versions(then, _current_references(site, article))
    return msgspec.structs.replace(revision, versions=versions)


def _current_references(site: Site, article: str) -> tuple[Reference, ...] | None:
    try:
        return _references(site, (site.root / article).read_bytes(), article)
    except OSError:
        return None


def _references(site: Site, data: bytes, article: str) -> tuple[Reference, ...] | None:
    try:
        return extract_references(data, article, site.rules)
    except ArticleError:
        return None
