"""Builds the parts that both a command and the workers of a cluster use: store, pipeline and prober."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from imgcache.cache import LocalStore, Store
from imgcache.config import Config
from imgcache.core import Asset
from imgcache.policy import SyncPolicy
from imgcache.wiring.workspace import Clock, Workspace

if TYPE_CHECKING:  # a run with nothing to fetch ends before these are loaded
    from imgcache.downloader import ConnectTo, Prober
    from imgcache.syncer import Pipeline


def open_store(workspace: Workspace, folder: Path) -> Store:
    """Open the store of a cache.

    Args:
        workspace: names the cache.
        folder: where the client of an object store keeps what it knows of the bucket.

    Raises:
        ConfigError: the object store cannot be used under this name, or its libraries are not installed.
    """
    if workspace.bucket_url is None:
        return LocalStore(workspace.cache)
    from imgcache.cache import ObjectStore, connect_bucket

    return ObjectStore(connect_bucket(workspace.bucket_url), folder)


def build_pipeline(
    store: Store,
    config: Config,
    connect_to: Iterable[ConnectTo],
    *,
    jobs: int | None,
    policy: SyncPolicy,
    clock: Clock,
    asset_of: Callable[[str], Asset | None],
    expects_images: bool,
) -> Pipeline:
    """Build the pipeline that brings one URL after the other up to date.

    Args:
        store: receives the images.
        config: the settings of the site.
        connect_to: other addresses to connect to, as curl has them.
        jobs: the number of render processes; None for one a core.
        policy: which variants are wanted, and when a copy is due.
        clock: dates what is fetched.
        asset_of: looks up the recorded asset of a digest.
        expects_images: whether to start the render processes at once.
    """
    from imgcache.processor import RenderPool

    pool = RenderPool(jobs, config.limits)
    if expects_images:
        pool.start_fork_server()  # while the modules below are imported

    from imgcache.core import sniff
    from imgcache.downloader import Downloader, Guard
    from imgcache.syncer import Pipeline

    downloader = Downloader(
        folder=store.scratch,
        sniff=sniff,
        limits=config.limits,
        policy=msgspec.structs.replace(config.fetch, user_agent=config.user_agent),
        guard=Guard(config.allow_networks),
        connect_to=connect_to,
        respect_robots=config.respect_robots,
        respect_robots_tag=config.respect_robots_tag,
        clock=clock,
    )
    return Pipeline(downloader=downloader, pool=pool, store=store, policy=policy, clock=clock, asset_of=asset_of)


def build_prober(config: Config, connect_to: Iterable[ConnectTo], clock: Clock) -> Prober:
    """Build the prober, which reads as much of a remote image as an audit needs."""
    from imgcache.downloader import Guard, Prober

    return Prober(
        limits=config.limits,
        policy=msgspec.structs.replace(config.fetch, user_agent=config.user_agent),
        guard=Guard(config.allow_networks),
        connect_to=connect_to,
        respect_robots=config.respect_robots,
        clock=clock,
    )
