"""An audit, built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from imgcache import plan
from imgcache.audit.auditor import Auditor, Terms
from imgcache.audit.looking import Looking
from imgcache.audit.memory import Memory
from imgcache.config import Config
from imgcache.net.connect_to import ConnectTo
from imgcache.net.guard import Guard
from imgcache.prober import Prober
from imgcache.runners.progress import Progress
from imgcache.wiring.ground import Clock, Ground
from imgcache.wiring.parts import House, reader, writer


class AuditRequest(msgspec.Struct, frozen=True):
    """What the flags of `imgcache audit` ask for."""

    offline: bool = False
    fix: bool = False
    connect_to: tuple[ConnectTo, ...] = ()


@contextmanager
def audit(ground: Ground, request: AuditRequest, progress: Progress, clock: Clock) -> Iterator[tuple[House, Auditor]]:
    """An audit, ready to run, with its parts. Offline it touches nothing, unless it is to fix. Raises CacheBusy."""
    reads = request.offline and not request.fix
    opened = reader(ground) if reads else writer(ground, "audit", clock, stores=request.fix)
    with opened as house:
        yield house, build_audit(house, ground.config, request, progress, clock)


def build_audit(house: House, config: Config, request: AuditRequest, progress: Progress, clock: Clock) -> Auditor:
    """An audit over parts that are open."""
    memory = Memory(house.index)
    return Auditor(
        site=house.site,
        scanner=house.scanner,
        catalogue=house.catalogue,
        index=house.index,
        store=house.store,
        memory=memory,
        looking=None
        if request.offline
        else _looking(house, config, request, memory=memory, progress=progress, clock=clock),
        terms=Terms(plan.fingerprints(config.variants), config.dimensions, config.limits, config.budget),
        progress=progress,
        clock=clock,
    )


def _looking(
    house: House, config: Config, request: AuditRequest, *, memory: Memory, progress: Progress, clock: Clock
) -> Looking:
    prober = Prober(
        limits=config.limits,
        policy=msgspec.structs.replace(config.fetch, user_agent=config.user_agent),
        guard=Guard(config.allow_networks),
        connect_to=request.connect_to,
        respect_robots=config.respect_robots,
        clock=clock,
    )
    return Looking(
        prober=prober,
        catalogue=house.catalogue,
        memory=memory,
        progress=progress,
        per_host=config.fetch.per_host,
        at_once=config.fetch.concurrency,
        clock=clock,
    )
