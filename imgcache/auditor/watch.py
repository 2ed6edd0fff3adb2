"""Decides which articles to audit again when files of a site change, as editors save them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec
from watchfiles import Change, DefaultFilter

from imgcache.core import AuditReport, Finding, ImgcacheError
from imgcache.scanner import NEVER_ENTERED

logger = logging.getLogger(__name__)

# One change of a file, with its absolute path.
Event = tuple[Change, str]


class WatchFilter(DefaultFilter):
    """Selects the events that concern a site: not those of the cache, of built pages, of dependencies or of editors.

    `DefaultFilter` of watchfiles knows the files that editors write while they save: swap files, backups, locks.
    """

    ignore_dirs = ()  # watchfiles would also apply these names to folders above the site

    def __init__(self, root: Path, cache: Path) -> None:
        super().__init__(ignore_paths=[f"{cache}/"])
        self._root = root

    def __call__(self, change: Change, path: str) -> bool:
        """Return whether this event concerns the site."""
        return NEVER_ENTERED.isdisjoint(Path(path).relative_to(self._root).parts) and super().__call__(change, path)


class ArticleAudit(msgspec.Struct, frozen=True):
    """The audit of one article after a change; `audit` is None if the article was deleted."""

    article: str
    audit: AuditReport | None


class ArticleWatcher:
    """Turns bursts of file events into audits of articles. Paths are relative to the site.

    The kind of an event is not trusted: editors save by truncating, renaming and removing, often all in one burst. Only
    the state on disk after the burst counts.
    """

    def __init__(
        self,
        root: Path,
        *,
        articles: Callable[[], Iterable[str]],
        is_article: Callable[[str], bool],
        audit: Callable[[str], AuditReport],
    ) -> None:
        """Take the site and the functions to use.

        Args:
            root: the folder of the site.
            articles: returns the paths of all articles.
            is_article: returns whether a path is that of an article.
            audit: audits one article.
        """
        self._root = root
        self._articles = articles
        self._is_article = is_article
        self._audit = audit
        self._with_findings: dict[str, tuple[Finding, ...]] = {}
        self._known: set[str] = set()

    def audit_changes(self, burst: AbstractSet[Event]) -> Iterator[ArticleAudit]:
        """Yields the audit of every article that was saved or deleted.

        If another file changed, such as an image, the articles with findings are audited again; those whose findings
        are the same as before are not reported again.
        """
        saved, deleted, has_others = self._classify(burst)
        for article in deleted:
            self._with_findings.pop(article, None)
            self._known.discard(article)
            yield ArticleAudit(article, None)
        for article in saved:
            yield from self._audit_article(article)
        for article, before in list(self._with_findings.items()) if has_others else ():
            if article not in saved:
                yield from (new for new in self._audit_article(article) if new.audit and new.audit.findings != before)

    def _classify(self, burst: AbstractSet[Event]) -> tuple[list[str], list[str], bool]:
        """The articles that exist, those that were deleted, and whether any other file changed."""
        saved, deleted, has_others = set[str](), set[str](), False
        for change, path in burst:
            file = Path(path)
            name = file.relative_to(self._root).as_posix()
            if file.is_dir():
                if change is Change.added:  # moved here as a whole: there are no events for its files
                    saved.update(article for article in self._articles() if article.startswith(f"{name}/"))
            elif not self._is_article(name):
                has_others = True
            elif file.exists():
                saved.add(name)
            elif name in self._known or (Change.added, path) not in burst:  # else it was created and deleted
                deleted.add(name)
        return sorted(saved), sorted(deleted), has_others

    def _audit_article(self, article: str) -> Iterator[ArticleAudit]:
        try:
            audit = self._audit(article)
        except ImgcacheError as error:  # such as a full disk; the next save may succeed
            logger.error("%s", error)  # noqa: TRY400 - the message is enough
            return
        self._known.add(article)
        self._with_findings.pop(article, None)
        if audit.findings:
            self._with_findings[article] = audit.findings
        yield ArticleAudit(article, audit)
