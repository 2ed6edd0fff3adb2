"""Defines what runs inside a Dask worker: describing the worker, running shards, and closing the session after the run.

Its functions are sent to workers by name; another version of imgcache there may have other functions.
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

from imgcache.core import ImgcacheError, clean_text
from imgcache.core.version import __version__
from imgcache.runners import worker_session

_dask: Any = distributed  # only partly typed


class RunSpec(msgspec.Struct, frozen=True):
    """Describes a run to its workers.

    Attributes:
        open_parts: opens the shard handler; importable, because only its name is sent.
        spec: the input of `open_parts` and `check`.
        check: returns what prevents a worker from doing the work; None if workers need only the network. Importable.
    """

    open_handler: worker_session.OpenHandler
    spec: bytes
    check: Callable[[bytes], str | None] | None = None


class WorkerUnavailable(Exception):
    """The worker that a shard was sent to is gone or shutting down; the shard does not run there."""


class ClosingPlugin(WorkerPlugin):
    """Closes the session of one run when a worker shuts down, and in all workers when the run has ended."""

    def __init__(self, spec: bytes) -> None:
        self._spec = spec

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 (Dask's signature)
        """Close the session; results of running shards are lost if the worker shuts down."""
        await asyncio.to_thread(worker_session.close, self._spec)


async def describe_worker(
    check: Callable[[bytes], str | None] | None, spec: bytes, dask_worker: Worker
) -> tuple[dict[str, str], str, str | None]:
    """Return the versions of a worker, the identity of its process, and what prevents it from working, if anything."""
    obstacle = None if check is None else await asyncio.to_thread(check, spec)
    return versions_here(), dask_worker.id, obstacle


async def open_session(contract: RunSpec, dask_worker: Worker) -> str | None:
    """Open the session before the first shard comes; returns the error message, if any."""
    try:
        await asyncio.to_thread(
            worker_session.open_early, contract.open_handler, contract.spec, dask_worker.state.nthreads
        )
    except (ImgcacheError, ImportError, OSError, worker_session.SessionClosed) as error:
        return str(error)
    return None


def run_shard(contract: RunSpec, shard: bytes, identity: str) -> bytes:
    """Run one shard in the process with this identity, and return the encoded results.

    Raises:
        WorkerUnavailable: this is another process, or the run is over here.
    """
    worker = get_worker()
    if worker.id != identity:
        raise WorkerUnavailable
    _dask.secede()  # the sender decides how many shards run here at once
    try:
        return worker_session.run_shard(contract.open_handler, contract.spec, shard, worker.state.nthreads)
    except worker_session.SessionClosed:
        raise WorkerUnavailable from None


def versions_here() -> dict[str, str]:
    """Return the versions that must be equal everywhere, so that all machines make the same variants."""
    return {"imgcache": __version__, "pillow": version("pillow")}


def usable_worker(answer: object) -> tuple[str, str | None]:
    """Return, from an answer of `describe_worker`, the identity of the process and why it cannot be used, if so."""
    here = versions_here()
    ours = _list_versions(here)
    if isinstance(answer, BaseException):
        return "", f"cannot run imgcache {here['imgcache']}: {clean_text(f'{type(answer).__name__}: {answer}', 200)}"
    try:
        versions, identity, obstacle = msgspec.convert(answer, tuple[dict[str, str], str, str | None])
    except msgspec.ValidationError:
        return "", f"runs an incompatible imgcache, and here is {ours}: install the same version on both sides"
    if versions != here:
        theirs = _list_versions(versions)
        return identity, f"has {theirs}, and here is {ours}: install the same versions on both sides"
    return identity, clean_text(obstacle, 400) if obstacle else None


def _list_versions(versions: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {clean_text(value, 40)}" for name, value in versions.items())
