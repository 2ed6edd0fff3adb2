"""`imgcache watch`: how an article is, whenever it is saved."""

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
from imgcache.auditor.reports import wording as words
from imgcache.cache import Catalogue
from imgcache.cli.options import common, now, open_workspace, site_argument
from imgcache.cli.output import print_line, say_aside
from imgcache.cli.progress import NoProgress
from imgcache.core import AuditReport, ConfigError, Finding, Severity, clean_text, plural
from imgcache.wiring import Workspace
from imgcache.wiring import audit as auditing
from imgcache.wiring import open_cache as parts

# Milliseconds: without a save for _QUIET a burst of them is over, and looked at, as it is after _BURST; without any for
# _PAUSE it is asked whether the site is still there.
_QUIET, _BURST, _PAUSE = 100, 2000, 500

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}


@click.command(short_help="Say how an article is whenever it is saved.")
@site_argument
@common
def watch(site: Path, **options: Any) -> None:
    """Audit each article of SITE as it is saved: own files, flags and cache. Asks no server, writes nothing.

    Ends with 0 on Ctrl-C. Settings are read when it starts.
    """
    ground = open_workspace(site, options)
    with _stop_asked() as stop, _Desk(ground) as desk:
        watching = ArticleWatcher(ground.root, articles=desk.articles, is_article=desk.is_article, audit=desk.audit)
        is_quiet = options["quiet"]
        for burst in _bursts(ground, stop):
            if not is_quiet:
                told = plural(sum(1 for _ in desk.articles()), "article")
                say_aside(f"watching {told}: own files, flags and cache; Ctrl-C ends")
                is_quiet = True
            for glance in watching.after(burst):
                _tell(glance)
                if stop.is_set():
                    return


@contextmanager
def _stop_asked() -> Iterator[threading.Event]:
    """Set on Ctrl-C and on SIGTERM: a watch has no other end than to be told to."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _bursts(ground: Workspace, stop: threading.Event) -> Iterator[set[Event]]:
    """What changed, burst by burst. The first comes, empty or not, when nothing is missed any more."""
    root = ground.root
    try:
        for burst in watchfiles.watch(
            root,
            watch_filter=WatchFilter(root, ground.cache),
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


class _Desk:
    """Audits one article at a time, over a copy of the index that is made anew when the index has changed."""

    def __init__(self, ground: Workspace) -> None:
        self._ground = ground
        self._opened = ExitStack()
        self._copied = ExitStack()
        self._stamps: list[int] = []

    def __enter__(self) -> Self:
        folder = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="imgcache-")))
        self._catalogue = self._opened.enter_context(closing(Catalogue(folder / "desk.db", "")))
        self._opened.push(self._copied.__exit__)
        self._house = self._copy()
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def articles(self) -> Iterable[str]:
        """Every article of the site."""
        return (file.path for file in self._house.scanner.walk())

    def is_article(self, path: str) -> bool:
        """Whether there could be an article at this path."""
        return self._house.scanner.is_article(path)

    def audit(self, article: str) -> AuditReport:
        """The offline audit of a site that has this one article."""
        if self._stamp() != self._stamps:
            self._copied.close()
            self._house = self._copy()
        scanner = self._house.scanner.only(article)
        house = msgspec.structs.replace(self._house, scanner=scanner, catalogue=self._catalogue)
        request = auditing.AuditRequest(offline=True)
        return auditing.build_audit(house, self._ground.config, request, NoProgress(), now).offline()

    def _copy(self) -> parts.OpenCache:
        self._stamps = self._stamp()
        return self._copied.enter_context(parts.open_for_reading(self._ground))

    def _stamp(self) -> list[int]:
        files = (self._ground.cache / "index" / name for name in ("cache.db", "cache.db-wal"))
        return [file.stat().st_mtime_ns if file.exists() else 0 for file in files]


def _tell(glance: ArticleAudit) -> None:
    article = clean_text(glance.article, 300)
    if glance.audit is None:
        print_line(f"{article}: gone", dim=True)
        return
    if not glance.audit.findings:
        print_line(f"{article}: well, {plural(glance.audit.summary.images, 'image')}", color="green")
        return
    print_line(f"{article}: {words.verdict(glance.audit)}", bold=True)
    for found in words.most_used(glance.audit.findings):
        _tell_finding(found)


def _tell_finding(found: Finding) -> None:
    places = ", ".join(words.where(place) for place in words.places(found)[:3])
    print_line(f"  {found.severity.value}: {found.rule} · {places}", color=_COLORS[found.severity])
    if found.url is not None:
        print_line(f"    {words.shown_url(found)}")
    print_line(f"    {words.message(found)}", dim=True)
    if remedy := words.remedy(found):
        print_line(f"    → {remedy}")
