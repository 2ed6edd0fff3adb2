"""What a Dask worker does for a crew: says who it is, does shards, and closes its parts when the run has ended.

Its functions go to workers by their names; another version of imgcache there may have others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import distributed
import msgspec
from distributed import WorkerPlugin, get_worker
from distributed.worker import Worker

from imgcache import __version__
from imgcache.runners import station
from imgcache.urls import clean

_dask: Any = distributed  # half of it has no types


class Unfit(Exception):
    """This worker has other versions than the command; it came after the others were asked."""


class Closing(WorkerPlugin):
    """Closes the parts of one run in a worker that goes, and in all of them when the run has ended."""

    def __init__(self, spec: bytes) -> None:
        self._spec = spec

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 (Dask's signature)
        """Shards under way end with what is finished of them."""
        await asyncio.to_thread(station.close, self._spec)


def work(open_parts: station.Open, spec: bytes, order: bytes, versions: Mapping[str, str]) -> tuple[str, bytes]:
    """One shard. Returns the worker's address with the results."""
    if versions != versions_here():
        raise Unfit
    worker = get_worker()
    _dask.secede()  # how much a worker has in hand is decided by who sends it
    return worker.address, station.do(open_parts, spec, order, worker.state.nthreads)


def greet(sign: Path | None) -> tuple[dict[str, str], bool]:
    """What a worker is, and whether it sees the command's cache."""
    return versions_here(), sign is None or sign.is_file()


def versions_here() -> dict[str, str]:
    """What makes the bytes of variants, and reads what a command says."""
    return {"imgcache": __version__, "pillow": version("pillow")}


def reason_against(answer: object) -> str | None:
    """Why a worker that answered so is of no use; None if it is."""
    here = versions_here()
    if isinstance(answer, BaseException):
        return f"cannot run imgcache {here['imgcache']}: {clean(f'{type(answer).__name__}: {answer}', 200)}"
    try:
        versions, sees = msgspec.convert(answer, tuple[dict[str, str], bool])
    except msgspec.ValidationError:
        versions, sees = {"imgcache": "of another kind"}, True
    if versions != here:
        return f"has {_named(versions)}, and here is {_named(here)}: install the same on both sides"
    if not sees:
        return (
            "does not see this cache: it has to be a folder that all machines share under one path, or an object store"
        )
    return None


def _named(versions: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {clean(value, 40)}" for name, value in versions.items())
