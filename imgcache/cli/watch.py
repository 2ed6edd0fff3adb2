"""`imgcache watch`: audits each article whenever it is saved."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self

import click
import msgspec
import watchfiles

from imgcache.auditor import ArticleAudit, ArticleWatcher, Event, WatchFilter
from imgcache.auditor.reports import wording
from imgcache.cache import Catalogue
from imgcache.cli.options import common, examples, now, open_workspace, site_argument
from imgcache.cli.output import print_line, print_note
from imgcache.cli.progress import NoProgress
from imgcache.core import AuditReport, ConfigError, Finding, Severity, clean_text, plural
from imgcache.wiring import AuditRequest, OpenCache, Workspace, build_audit, open_for_reading

# Milliseconds: a burst of saves ends when nothing was saved for _QUIET, at the latest after _BURST. While nothing is
# saved, the site's folder is checked every _PAUSE.
_QUIET, _BURST, _PAUSE = 100, 2000, 500

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}


@click.command(short_help="Audit each article whenever it is saved.", epilog=examples("imgcache watch path/to/site"))
@site_argument
@common
def watch(site: Path, **options: Any) -> None:
    """Audit each article of SITE when it is saved: own files, flags and cache. Contacts no server, writes nothing.

    Ends with status 0 on Ctrl-C. Settings are read when it starts.
    """
    workspace = open_workspace(site, options)
    with _stop_event() as stop, _ArticleAuditor(workspace) as auditor:
        watcher = ArticleWatcher(
            workspace.root, articles=auditor.articles, is_article=auditor.is_article, audit=auditor.audit
        )
        is_quiet = options["quiet"]
        for burst in _bursts(workspace, stop):
            if not is_quiet:
                count = plural(sum(1 for _ in auditor.articles()), "article")
                print_note(f"watching {count}: own files, flags and cache; Ctrl-C ends")
                is_quiet = True
            for result in watcher.audit_changes(burst):
                _print(result)
                if stop.is_set():
                    return


@contextmanager
def _stop_event() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set: nothing else ends a watch."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _bursts(workspace: Workspace, stop: threading.Event) -> Iterator[set[Event]]:
    """Yield the changes, burst by burst. The first one comes, maybe empty, as soon as no change is missed any more."""
    root = workspace.root
    try:
        for burst in watchfiles.watch(
            root,
            watch_filter=WatchFilter(root, workspace.cache),
            debounce=_BURST,
            step=_QUIET,
            stop_event=stop,
            rust_timeout=_PAUSE,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            if not root.is_dir():
                raise ConfigError("the site's folder is gone", where=str(root))
            yield burst
    except OSError as error:
        advice = "raise fs.inotify.max_user_watches, or set WATCHFILES_FORCE_POLLING=1"
        raise ConfigError(f"the system cannot watch it: {error}; {advice}", where=str(root)) from None


class _ArticleAuditor:
    """Audits one article at a time, over a copy of the index that is renewed when the index has changed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._opened = ExitStack()
        self._copied = ExitStack()
        self._stamps: list[int] = []

    def __enter__(self) -> Self:
        folder = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="imgcache-")))
        self._catalogue = self._opened.enter_context(closing(Catalogue(folder / "watch.db", "")))
        self._opened.push(self._copied.__exit__)
        self._cache = self._copy()
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def articles(self) -> Iterable[str]:
        """Every article of the site."""
        return (file.path for file in self._cache.scanner.walk())

    def is_article(self, path: str) -> bool:
        """Whether a file at this path would be an article."""
        return self._cache.scanner.is_article(path)

    def audit(self, article: str) -> AuditReport:
        """Returns the offline audit of a site that has only this article."""
        if self._stamp() != self._stamps:
            self._copied.close()
            self._cache = self._copy()
        scanner = self._cache.scanner.only(article)
        cache = msgspec.structs.replace(self._cache, scanner=scanner, catalogue=self._catalogue)
        request = AuditRequest(offline=True)
        return build_audit(cache, self._workspace.config, request, NoProgress(), now).run_offline()

    def _copy(self) -> OpenCache:
        self._stamps = self._stamp()
        return self._copied.enter_context(open_for_reading(self._workspace))

    def _stamp(self) -> list[int]:
        files = (self._workspace.cache / "index" / name for name in ("cache.db", "cache.db-wal"))
        return [file.stat().st_mtime_ns if file.exists() else 0 for file in files]


def _print(result: ArticleAudit) -> None:
    article = clean_text(result.article, 300)
    if result.audit is None:
        print_line(f"{article}: gone", dim=True)
        return
    if not result.audit.findings:
        print_line(f"{article}: no findings, {plural(result.audit.summary.images, 'image')}", color="green")
        return
    print_line(f"{article}: {wording.verdict(result.audit)}", bold=True)
    for found in wording.most_important(result.audit.findings):
        _print_finding(found)


def _print_finding(found: Finding) -> None:
    places = ", ".join(wording.where(place) for place in wording.places(found)[:3])
    print_line(f"  {found.severity.value}: {found.rule} · {places}", color=_COLORS[found.severity])
    if found.url is not None:
        print_line(f"    {wording.shown_url(found)}")
    print_line(f"    {wording.message(found)}", dim=True)
    if remedy := wording.remedy(found):
        print_line(f"    → {remedy}")
