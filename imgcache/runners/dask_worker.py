"""What a Dask worker does for a crew: says who it is, does shards, and closes its parts when the run has ended.

Its functions go to workers by their names; another version of imgcache there may have others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import distributed
import msgspec
from distributed import WorkerPlugin, get_worker
from distributed.worker import Worker

from imgcache import __version__
from imgcache.core import ImgcacheError, clean_text
from imgcache.runners import worker_session as station

_dask: Any = distributed  # half of it has no types


class RunSpec(msgspec.Struct, frozen=True):
    """What the workers of one run are told: which function opens the parts, and `spec`, which says what they are.

    `check` says in a worker what stands in its way, given the same `spec`; None where nothing but the network is
    shared. Both are importable, for they go there by their names.
    """

    open_parts: station.Open
    spec: bytes
    check: Callable[[bytes], str | None] | None = None


class WorkerUnavailable(Exception):
    """The worker that a shard was meant for has gone, or goes: its shard is not under way there."""


class ClosingPlugin(WorkerPlugin):
    """Closes the parts of one run in a worker that goes, and in all of them when the run has ended."""

    def __init__(self, spec: bytes) -> None:
        self._spec = spec

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 (Dask's signature)
        """Shards under way end with what is finished of them, which a worker that goes tells nobody any more."""
        await asyncio.to_thread(station.close, self._spec)


async def describe_worker(
    check: Callable[[bytes], str | None] | None, spec: bytes, dask_worker: Worker
) -> tuple[dict[str, str], str, str | None]:
    """What a worker runs, the name of its process, and what stands in its way."""
    obstacle = None if check is None else await asyncio.to_thread(check, spec)
    return versions_here(), dask_worker.id, obstacle


async def open_parts(contract: RunSpec, dask_worker: Worker) -> str | None:
    """Open the parts before the first shard wants them. Returns what went wrong."""
    try:
        await asyncio.to_thread(station.open_early, contract.open_parts, contract.spec, dask_worker.state.nthreads)
    except (ImgcacheError, ImportError, OSError, station.SessionClosed) as error:
        return str(error)
    return None


def work(contract: RunSpec, order: bytes, identity: str) -> bytes:
    """One shard, in the process of this name and in no other. Returns the results.

    Raises:
        Unfit: here is another process than that, or the run is over in it.
    """
    worker = get_worker()
    if worker.id != identity:
        raise WorkerUnavailable
    _dask.secede()  # how much a worker has in hand is decided by who sends it
    try:
        return station.do(contract.open_parts, contract.spec, order, worker.state.nthreads)
    except station.SessionClosed:
        raise WorkerUnavailable from None


def versions_here() -> dict[str, str]:
    """What makes the bytes of variants, and reads what a command says."""
    return {"imgcache": __version__, "pillow": version("pillow")}


def usable_worker(answer: object) -> tuple[str, str | None]:
    """Of what `greet` gave: the name of the worker's process, and why it is of no use; None if it is."""
    here = versions_here()
    if isinstance(answer, BaseException):
        return "", f"cannot run imgcache {here['imgcache']}: {clean_text(f'{type(answer).__name__}: {answer}', 200)}"
    try:
        versions, identity, obstacle = msgspec.convert(answer, tuple[dict[str, str], str, str | None])
    except msgspec.ValidationError:
        return "", f"runs an imgcache of another kind, and here is {_named(here)}: install the same on both sides"
    if versions != here:
        return identity, f"has {_named(versions)}, and here is {_named(here)}: install the same on both sides"
    return identity, clean_text(obstacle, 400) if obstacle else None


def _named(versions: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {clean_text(value, 40)}" for name, value in versions.items())
