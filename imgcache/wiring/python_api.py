"""The functions that Python programs call: `imgcache.sync`, `audit`, `rewrite` and `scan`.

They print nothing, never exit, and leave logging as it is. Everything else is imported when a function is called.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from imgcache.core import ImgcacheError

if TYPE_CHECKING:
    from imgcache.core import AuditReport, Outcome
    from imgcache.publisher.rewrite import RewriteReport
    from imgcache.scanner import ScanReport
    from imgcache.syncer import SyncReport
    from imgcache.wiring.running import LoopRunner

Error = ImgcacheError
"""The root of all exceptions that imgcache raises on purpose."""

StrPath = str | os.PathLike[str]

# Without a handler, Python prints warnings of the library itself (logging, "Configuring Logging for a Library").
logging.getLogger("imgcache").addHandler(logging.NullHandler())


class ProgressUpdate(NamedTuple):
    """How far a run is: what the `progress` callback receives.

    Attributes:
        articles: how many articles were read.
        images: how many distinct remote images they name; 0 until all articles are read.
        waiting: how many of these need work in this run.
        done: how many of those are done.
        url: the image that was done last.
    """

    articles: int = 0
    images: int = 0
    waiting: int = 0
    done: int = 0
    url: str | None = None


def sync(
    site: StrPath | Iterable[StrPath] = ".",
    *,
    dry_run: bool = False,
    refresh: bool = False,
    only_failed: bool = False,
    offline: bool = False,
    dimensions: Literal["check", "fix", "ignore"] | None = None,
    jobs: int | None = None,
    max_time: float | str | None = None,
    max_bytes: int | str | None = None,
    connect_to: str | Iterable[str] = (),
    dask: str | None = None,
    config: StrPath | None = None,
    cache: StrPath | None = None,
    progress: Callable[[ProgressUpdate], object] | None = None,
) -> SyncReport:
    """Find every remote image of a site, fetch what is missing, make the variants, and set the isCached flags.

    The function returns when all is done, also within a running event loop, which waits meanwhile; to go on with other
    work there, `await asyncio.to_thread(imgcache.sync, site)`. Ctrl-C ends a run early and keeps what was finished.

    Args:
        site: the folder of the site, or of several sites that share `cache`.
        dry_run: report what would be done, and change nothing.
        refresh: ask every server whether its image is still the same.
        only_failed: try only the images that failed before.
        offline: use no network; render and flag what is held.
        dimensions: what to do where an image has another size than its article declares; by default the setting.
        jobs: the number of render processes; by default one for each core.
        max_time: start nothing after this time, in seconds or as text such as "10m".
        max_bytes: start nothing after so many bytes were fetched, as a number or as text such as "1GB".
        connect_to: `HOST:PORT:HOST2:PORT2` as curl has it; one or several.
        dask: a Dask scheduler whose workers fetch and render, or "local:N" for N processes on this machine.
        config: the file with the settings; by default `imgcache.yml` of the site.
        cache: the cache folder, or the URL of an object store; by default `cache` of the site.
        progress: is called whenever an article was read or an image is done, from the thread that does the work. An
            exception that it raises ends the run, and what was finished is kept.

    Returns:
        The report that `imgcache sync --json` prints.

    Raises:
        Error: the run could not start: a setting is wrong (ConfigError), or another run holds the cache (CacheBusy).
            Images and articles that fail are problems of the report.
    """
    from imgcache.wiring.loading import as_given, load_workspaces
    from imgcache.wiring.option_values import parse_choice
    from imgcache.wiring.running import call_with_loop
    from imgcache.wiring.sync import SyncRequest, prepare_sync

    sites = [Path(site)] if isinstance(site, str | os.PathLike) else [Path(one) for one in site]
    request = SyncRequest.from_options(
        refresh=refresh,
        only_failed=only_failed,
        offline=offline,
        dry_run=dry_run,
        jobs=jobs,
        max_time=max_time,
        max_bytes=max_bytes,
        connect_to=connect_to,
        dask=dask,
    )
    flags = {"dimensions": parse_choice(dimensions, ("check", "fix", "ignore"), where="dimensions")}
    workspaces = load_workspaces(sites, config=_path(config), cache=_text(cache), flags=flags)

    def run(runner: LoopRunner) -> SyncReport:
        with prepare_sync(workspaces, request, _CallbackProgress(progress), time.time) as job:
            runner.run(job.run)
            return job.report

    report = call_with_loop(run)
    if len(sites) > 1:
        report = as_given(report, sites)
    return report


def audit(
    site: StrPath = ".",
    *,
    offline: bool = False,
    since: str | None = None,
    baseline: StrPath | None = None,
    fix: bool = False,
    connect_to: str | Iterable[str] = (),
    dask: str | None = None,
    built: StrPath | None = None,
    config: StrPath | None = None,
    cache: StrPath | None = None,
    progress: Callable[[ProgressUpdate], object] | None = None,
) -> AuditReport:
    """Check every image reference of a site, remote and own, and store no image.

    Args:
        site: the folder of the site.
        offline: check own files, flags and the cache only.
        since: a git revision; findings that it already had are marked with `is_old`.
        baseline: an earlier JSON report; findings that it already had are marked with `is_old`.
        fix: write certain corrections into the articles; the report has what is left.
        connect_to: `HOST:PORT:HOST2:PORT2` as curl has it; one or several.
        dask: a Dask scheduler whose workers contact the servers, or "local:N" for N processes on this machine.
        built: a folder with built pages, by which exposure and alternative texts are judged.
        config: the file with the settings; by default `imgcache.yml` of the site.
        cache: the cache folder, or the URL of an object store; by default `cache` of the site.
        progress: is called as for `sync`.

    Returns:
        The report that `imgcache audit --json` prints.

    Raises:
        Error: the audit could not start, as for `sync`.
    """
    from imgcache.auditor import Baseline
    from imgcache.wiring.audit import AuditRequest, fix_articles, prepare_audit
    from imgcache.wiring.loading import load_workspace
    from imgcache.wiring.running import call_with_loop

    request = AuditRequest.from_options(offline=offline, fix=fix, connect_to=connect_to, dask=dask, built=_path(built))
    workspace = load_workspace(Path(site), config=_path(config), cache=_text(cache))
    before = Baseline(workspace.site, since=since, baseline=_path(baseline))

    def run(runner: LoopRunner) -> AuditReport:
        with prepare_audit(workspace, request, _CallbackProgress(progress), time.time) as (opened, auditor):
            runner.run(auditor.run)
            assert auditor.audit is not None  # noqa: S101 (it has run)
            report = before.mark(auditor.audit)
            return fix_articles(report, opened)[0] if fix else report

    return call_with_loop(run)


def rewrite(
    built: StrPath,
    site: StrPath | None = None,
    *,
    check: bool = False,
    dry_run: bool = False,
    offline: bool = False,
    refresh: bool = False,
    to: str = "assets/imgcache",
    assets_url: str = "",
    jobs: int | None = None,
    max_time: float | str | None = None,
    max_bytes: int | str | None = None,
    connect_to: str | Iterable[str] = (),
    config: StrPath | None = None,
    cache: StrPath | None = None,
    progress: Callable[[ProgressUpdate], object] | None = None,
) -> RewriteReport:
    """Make the pages, style sheets and feeds of a built folder load local, responsive images.

    Args:
        built: the folder that a generator wrote.
        site: the site whose settings and cache count; by default the nearest folder at or above `built` that has them.
        check: change nothing; each page that loads a remote image which could be local is a problem.
        dry_run: report what would be done, and change nothing.
        offline: use no network; rewrite with what is held.
        refresh: ask every server whether its image is still the same.
        to: where the images are put, relative to `built`.
        assets_url: where that folder is published, if not in `built`.
        jobs: the number of processes; by default one for each core.
        max_time: start nothing after this time, in seconds or as text such as "10m".
        max_bytes: start nothing after so many bytes were fetched, as a number or as text such as "1GB".
        connect_to: `HOST:PORT:HOST2:PORT2` as curl has it; one or several.
        config: the file with the settings; by default `imgcache.yml` of the site.
        cache: the cache folder, or the URL of an object store; by default `cache` of the site.
        progress: is called as for `sync`.

    Returns:
        The report that `imgcache rewrite --json` prints.

    Raises:
        Error: the run could not start, as for `sync`, or the folder has no page.
    """
    from imgcache.publisher.picture_data import check_assets_url
    from imgcache.wiring.loading import load_workspace
    from imgcache.wiring.rewrite import prepare_rewrite
    from imgcache.wiring.rewrite_job import RewriteRequest
    from imgcache.wiring.rewrite_site import check_target, site_of
    from imgcache.wiring.running import call_with_loop
    from imgcache.wiring.sync import SyncRequest

    request = RewriteRequest(
        to=check_target(to),
        assets_url=check_assets_url(assets_url) if assets_url else "",
        check=check,
        sync=SyncRequest.from_options(
            dry_run=dry_run,
            offline=offline,
            refresh=refresh,
            jobs=jobs,
            max_time=max_time,
            max_bytes=max_bytes,
            connect_to=connect_to,
        ),
    )
    folder = Path(built)
    workspace = load_workspace(Path(site) if site else site_of(folder), config=_path(config), cache=_text(cache))

    def run(runner: LoopRunner) -> RewriteReport:
        with prepare_rewrite(folder, workspace, request, _CallbackProgress(progress), time.time) as job:
            runner.run(job.run)
            return job.report

    return call_with_loop(run)


def scan(site: StrPath = ".", *, config: StrPath | None = None, cache: StrPath | None = None) -> ScanReport:
    """List every image reference of a site, and the addresses that look like images and are not read.

    Args:
        site: the folder of the site.
        config: the file with the settings; by default `imgcache.yml` of the site.
        cache: the cache folder, which is not searched for articles; by default `cache` of the site.

    Returns:
        The report that `imgcache scan --json` prints.

    Raises:
        Error: a setting is wrong, or the site has no article.
    """
    from imgcache.wiring.loading import load_workspace
    from imgcache.wiring.site_parts import scan_site

    return scan_site(load_workspace(Path(site), config=_path(config), cache=_text(cache)))


class _CallbackProgress:
    """Passes the progress of a run on to a callback, if there is one."""

    def __init__(self, callback: Callable[[ProgressUpdate], object] | None) -> None:
        self._callback = callback
        self._state = ProgressUpdate()

    def scanned(self) -> None:
        self._report(self._state._replace(articles=self._state.articles + 1))

    def planned(self, images: int, waiting: int) -> None:
        self._report(self._state._replace(images=images, waiting=waiting))

    def started(self, host: str) -> None:
        pass

    def ended(self, host: str, outcome: Outcome) -> None:  # noqa: ARG002 (as the protocol has it)
        from imgcache.core import without_credentials

        self._report(self._state._replace(done=self._state.done + 1, url=without_credentials(outcome.url)))

    def _report(self, state: ProgressUpdate) -> None:
        self._state = state
        if self._callback is not None:
            self._callback(state)


def _path(value: StrPath | None) -> Path | None:
    return None if value is None else Path(value)


def _text(value: StrPath | None) -> str | None:
    return None if value is None else os.fspath(value)
