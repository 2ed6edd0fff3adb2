"""An audit, built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec

from imgcache.auditor import AuditHistory, Auditor, AuditPolicy, ProbeResult, RemoteChecks
from imgcache.config import Config
from imgcache.core import raise_limit
from imgcache.downloader import ConnectTo, Guard, Prober
from imgcache.policy import SyncPolicy
from imgcache.runners import Progress, WorkerGroup
from imgcache.wiring.open_cache import OpenCache, open_for_reading, open_for_writing
from imgcache.wiring.workspace import Clock, Workspace


class AuditRequest(msgspec.Struct, frozen=True):
    """What the flags of `imgcache audit` ask for."""

    offline: bool = False
    fix: bool = False
    connect_to: tuple[ConnectTo, ...] = ()
    dask: str | None = None


@contextmanager
def prepare_audit(
    ground: Workspace, request: AuditRequest, progress: Progress, clock: Clock
) -> Iterator[tuple[OpenCache, Auditor]]:
    """An audit, ready to run, with its parts. Offline it touches nothing, unless it is to fix. Raises CacheBusy."""
    raise_limit()
    reads = request.offline and not request.fix
    opened = open_for_reading(ground) if reads else open_for_writing(ground, "audit", clock, stores=request.fix)
    with opened as house, _hands(ground.config, request) as crew:
        yield house, build_audit(house, ground.config, request, progress, clock, crew=crew)


@contextmanager
def _hands(config: Config, request: AuditRequest) -> Iterator[WorkerGroup[str, ProbeResult] | None]:
    """The workers that --dask names; none for an audit that asks nobody."""
    if request.dask is None or request.offline:
        yield None
        return
    from imgcache.wiring.cluster import AuditSpec, audit_crew, run_name

    with audit_crew(request.dask, AuditSpec(run_name(), config, request.connect_to)) as crew:
        yield crew


def build_audit(
    house: OpenCache,
    config: Config,
    request: AuditRequest,
    progress: Progress,
    clock: Clock,
    *,
    crew: WorkerGroup[str, ProbeResult] | None = None,
) -> Auditor:
    """An audit over parts that are open; with a crew, its workers ask the servers."""
    memory = AuditHistory(house.index)
    looking = None
    if not request.offline:
        looking = RemoteChecks(
            prober=crew or build_prober(config, request.connect_to, clock),
            catalogue=house.catalogue,
            memory=memory,
            progress=progress,
            per_host=config.fetch.per_host,
            at_once=config.fetch.concurrency,
            clock=clock,
        )
    return Auditor(
        site=house.site,
        scanner=house.scanner,
        catalogue=house.catalogue,
        index=house.index,
        store=house.store,
        memory=memory,
        looking=looking,
        terms=AuditPolicy(
            SyncPolicy.for_variants(config.variants),
            config.dimensions,
            config.limits,
            config.budget,
            has_cache=_has_cache(house),
        ),
        progress=progress,
        clock=clock,
    )


def _has_cache(house: OpenCache) -> bool:
    """Whether anything was ever held here: an index that an audit began says nothing of images."""
    is_told = bool(house.manifest.mark())
    return is_told or any(True for _ in house.index.copies()) or any(True for _ in house.store.digests())


def build_prober(config: Config, connect_to: Iterable[ConnectTo], clock: Clock) -> Prober:
    """What looks at one URL: here, and in every worker of a cluster."""
    return Prober(
        limits=config.limits,
        policy=msgspec.structs.replace(config.fetch, user_agent=config.user_agent),
        guard=Guard(config.allow_networks),
        connect_to=connect_to,
        respect_robots=config.respect_robots,
        clock=clock,
    )
