"""Builds a rewrite, from the options of the command line or of the Python API."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from imgcache.core import MODERN_FORMATS, ConfigError, VariantFormat, display_path, raise_descriptor_limit
from imgcache.core.version import __version__
from imgcache.publisher.rewrite import BuiltFolder, FolderTask, Options, PagePool, structural
from imgcache.runners import Progress
from imgcache.wiring.ignoring import keep_out_of_git
from imgcache.wiring.open_cache import open_for_reading, open_for_writing
from imgcache.wiring.rewrite_job import RewriteJob, RewriteRequest
from imgcache.wiring.rewrite_site import require_inside
from imgcache.wiring.workspace import BuiltSite, Clock, Workspace


@contextmanager
def prepare_rewrite(
    built: Path, site: Workspace, request: RewriteRequest, progress: Progress, clock: Clock
) -> Iterator[RewriteJob]:
    """Open the cache of a site and build a rewrite of one of its built folders.

    Raises:
        CacheBusy: another run holds the cache.
        ConfigError: the built folder lies in the cache, or the folder of the images lies outside the built folder.
    """
    raise_descriptor_limit()
    require_inside(built, request.to)
    folder = BuiltFolder(built, left_out=[site.cache, site.own_cache, built / request.to])
    if folder.root.is_relative_to(os.path.realpath(site.cache)):
        raise ConfigError("lies in the cache; name the folder that a generator wrote", where=display_path(folder.root))
    task = FolderTask(str(folder.root), site.config.site_url, _options(site, request, folder))
    workspace = msgspec.structs.replace(site, root=folder.root)
    built_site = BuiltSite(site, _scope(task))
    opening = (
        open_for_reading(workspace, built=built_site)
        if request.only_reads
        else open_for_writing(workspace, "rewrite", clock, built=built_site)
    )
    with ExitStack() as stack:
        cache = stack.enter_context(opening)
        if not request.only_reads:
            keep_out_of_git(site)
        pool = stack.enter_context(PagePool(task, request.sync.jobs))
        yield RewriteJob(
            request=request,
            site=site,
            folder=folder,
            cache=cache,
            pool=pool,
            task=task,
            progress=progress,
            clock=clock,
        )


def _options(site: Workspace, request: RewriteRequest, folder: BuiltFolder) -> Options:
    address = site.config.site_url or ""
    policy = site.config.rewrite
    return Options(
        assets=request.to,
        assets_url=request.assets_url,
        site_url=address.rstrip("/") if "://" in address else "",
        links=policy.links,
        picture=policy.picture,
        styles=policy.styles,
        placeholder=policy.placeholder,
        structural=_structural(folder, address) if policy.picture and _has_several_formats(site) else (),
    )


def _has_several_formats(site: Workspace) -> bool:
    """Return whether images may be offered in several formats, so that a `<picture>` may stand around an `<img>`."""
    formats = {recipe.format for recipe in site.config.variants}
    return VariantFormat.BEST in formats or len(formats.intersection(MODERN_FORMATS)) > 1


def _structural(folder: BuiltFolder, site_url: str) -> tuple[str, ...]:
    return tuple(sorted({selector for sheet in folder.sheets() for selector in structural(sheet, site_url)}))


def _scope(task: FolderTask) -> str:
    """Return what changes whenever pages have to be read again although they are as they were."""
    return hashlib.sha256(msgspec.json.encode((__version__, task))).hexdigest()
