"""Which articles to look at after files of a site changed, as editors and writers change them."""

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

# One file as it was seen to change: how, and its absolute path.
Event = tuple[Change, str]


class WatchFilter(DefaultFilter):
    """Which events concern a site: none of the cache, of built sites, of other people's code, or of editors' own files.

    What editors leave beside a file while they save it is known to watchfiles: swap files, backups, locks.
    """

    ignore_dirs = ()  # watchfiles would look for these names above the site, too

    def __init__(self, root: Path, cache: Path) -> None:
        super().__init__(ignore_paths=[f"{cache}/"])
        self._root = root

    def __call__(self, change: Change, path: str) -> bool:
        """Whether to wake up."""
        return NEVER_ENTERED.isdisjoint(Path(path).relative_to(self._root).parts) and super().__call__(change, path)


class ArticleAudit(msgspec.Struct, frozen=True):
    """How one article is now; `audit` is None where it is gone."""

    article: str
    audit: AuditReport | None


class ArticleWatcher:
    """Turns bursts of events into glances at articles. Paths are relative to the site.

    What an event says of a file is not believed: editors save by truncating, by renaming and by removing, and all of it
    may come in one burst. What counts is what is there when the burst is over.
    """

    def __init__(
        self,
        root: Path,
        *,
        articles: Callable[[], Iterable[str]],
        is_article: Callable[[str], bool],
        audit: Callable[[str], AuditReport],
    ) -> None:
        """Take the ways to all articles, to tell one by its path, and to audit one."""
        self._root = root
        self._articles = articles
        self._is_article = is_article
        self._audit = audit
        self._unwell: dict[str, tuple[Finding, ...]] = {}
        self._known: set[str] = set()

    def after(self, burst: AbstractSet[Event]) -> Iterator[ArticleAudit]:
        """A glance at every article that was saved or is gone.

        Where something else changed, such as a picture, the articles that were not well are looked at once more; what
        is still as it was is not told again.
        """
        saved, gone, has_others = self._sort(burst)
        for article in gone:
            self._unwell.pop(article, None)
            self._known.discard(article)
            yield ArticleAudit(article, None)
        for article in saved:
            yield from self._glance(article)
        for article in [one for one in self._unwell if has_others and one not in saved]:
            before = self._unwell[article]
            yield from (seen for seen in self._glance(article) if seen.audit and seen.audit.findings != before)

    def _sort(self, burst: AbstractSet[Event]) -> tuple[list[str], list[str], bool]:
        """The articles that are there, those that are gone, and whether anything else changed."""
        saved, gone, has_others = set[str](), set[str](), False
        for change, path in burst:
            file = Path(path)
            name = file.relative_to(self._root).as_posix()
            if file.is_dir():
                if change is Change.added:  # moved here as a whole: what lies in it is not told apart
                    saved.update(article for article in self._articles() if article.startswith(f"{name}/"))
            elif not self._is_article(name):
                has_others = True
            elif file.exists():
                saved.add(name)
            elif name in self._known or (Change.added, path) not in burst:  # else it came and went
                gone.add(name)
        return sorted(saved), sorted(gone), has_others

    def _glance(self, article: str) -> Iterator[ArticleAudit]:
        try:
            audit = self._audit(article)
        except ImgcacheError as error:  # such as a full disk: the next save may find it better
            logger.error("%s", error)  # noqa: TRY400 - the message says it all
            return
        self._known.add(article)
        self._unwell.pop(article, None)
        if audit.findings:
            self._unwell[article] = audit.findings
        yield ArticleAudit(article, audit)
