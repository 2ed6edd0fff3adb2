"""Runs shards on Dask workers, at an existing scheduler or in processes on this machine.

Dask moves tasks by pickle between machines that trust each other. Our tasks name a function of this package and carry
bytes, which each side decodes by type. A shard is for one process: if that process is lost, no other runs it, and the
sender is informed. So Dask never repeats a shard by itself, and no host is contacted from two places.

Needs the package `distributed`; imported only when --dask is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import distributed
import msgspec
from distributed import KilledWorker
from distributed.client import FutureCancelledError

from imgcache.core import ImgcacheError, WorkerLost, clean_text
from imgcache.runners.dask_client import connect_client, is_local
from imgcache.runners.dask_worker import ClosingPlugin, RunSpec, WorkerUnavailable, run_shard
from imgcache.runners.dask_workers import WorkerInfo, WorkerList

_dask: Any = distributed  # only partly typed

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between two updates of the worker list
WARN_AFTER = 5  # updates without workers until a warning
FAIL_AFTER = 300  # updates without workers until the run ends; new machines take some minutes to start
_KEPT = "what was finished is kept, run again to continue"
_GATHERED = 16  # shards whose results are fetched at once: some thousand images
# Seconds until a worker that left its scheduler, and may still live, has closed: it does so when it notices that its
# connection broke, or at its next heartbeat, due after 0.5 to 2 seconds (distributed, worker.py, `heartbeat`).
GRACE = 3.0


class DaskWorkerGroup(Generic[J, R]):
    """A `WorkerGroup` over a connected Dask client; made by `connect_workers`."""

    def __init__(
        self, client: Any, where: str, run_spec: RunSpec, *, results: type[R], capacity: int, note: Callable[[R], None]
    ) -> None:
        self._client = client
        self._contract = run_spec
        self._capacity = capacity
        self._note = note
        self._decoder = msgspec.msgpack.Decoder(dict[int, results])  # type: ignore[valid-type]
        self._run = secrets.token_hex(4)
        self._number = 0
        self.workers = WorkerList(client, clean_text(where, 200), run_spec, 0.0 if is_local(where) else GRACE)
        self._gate = asyncio.Semaphore(_GATHERED)  # on the client's loop
        assert client.loop is not None  # noqa: S101 (it is connected)
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._watch: asyncio.Future[None] | None = None
        self._is_stopped = True
        self._updates_alone = 0  # consecutive updates without workers

    def start(self) -> None:
        """Check all workers, and let them begin to open their sessions.

        Raises:
            ConfigError: one of them cannot be used, or there is none.
        """
        self._wait(self.workers.check_workers())
        self._is_stopped = False
        self._client.register_plugin(ClosingPlugin(self._contract.spec), name=self._plugin)
        self._wait(self.workers.start_sessions())

    def close_sessions(self) -> None:
        """Close the sessions of this run in all workers, if they are open."""
        with contextlib.suppress(TimeoutError, OSError):
            self._wait(self.workers.close())
            self._wait(self._close_sessions())

    async def __aenter__(self) -> Self:
        """Wait for the workers; from now on they may join and leave.

        Raises:
            ConfigError: no worker could open its session.
        """
        await self._on_client(self.workers.wait_until_ready())
        self._watch = asyncio.ensure_future(self._update_workers())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.stop()

    def capacity(self) -> Mapping[str, int]:
        """See `WorkerGroup`.

        Raises:
            ImgcacheError: the scheduler is gone, or there has been no usable worker for minutes.
        """
        if self._client.status != "running":
            raise self._scheduler_gone()
        if self._updates_alone >= FAIL_AFTER:
            seconds = f"{FAIL_AFTER * TICK:g} s"
            raise ImgcacheError(f"--dask: there has been no usable worker for {seconds}; {_KEPT}")
        return dict.fromkeys(self.workers.usable(), self._capacity)

    async def run_shard(
        self, name: str, jobs: Sequence[tuple[str, J]], worker: str, seconds: float | None
    ) -> Mapping[int, R]:
        """See `WorkerGroup`.

        Raises:
            WorkerLost: the worker is gone.
            ImgcacheError: the scheduler is gone, or the worker cannot continue.
        """
        self._number += 1
        key = f"{name.replace('-', '_')}-{self._number}-{self._run}"  # the dashboard shows the first part
        shard = msgspec.msgpack.encode((seconds, jobs))
        reply = await self._on_client(self._do(key, shard, worker))
        results: dict[int, R] = self._decoder.decode(reply)
        for result in results.values():
            self._note(result)
        return results

    async def stop(self) -> None:
        """See `WorkerGroup`."""
        with contextlib.suppress(TimeoutError, OSError):
            await self._on_client(self._close_sessions())

    # -- on the loop of the client -----------------------------------------------------------------------------------

    async def _do(self, key: str, shard: bytes, worker: str) -> bytes:
        member = self.workers.get(worker)
        if member is None:
            raise WorkerLost("the worker is gone")
        arguments = (self._contract, shard, member.identity)
        future = self._client.submit(run_shard, *arguments, key=key, workers=[worker], pure=False)
        try:
            return await self._until_gone(member, self._result(future))
        except KilledWorker:  # Dask gives up the task; the worker may still live for a moment
            await member.gone.wait()
            raise WorkerLost("the worker died") from None
        except WorkerUnavailable:
            self.workers.remove(worker)
            raise WorkerLost("another worker has its address") from None
        except FutureCancelledError:
            raise self._scheduler_gone() from None
        finally:
            future.release()

    async def _result(self, future: Any) -> bytes:
        with self._client.as_current():
            await _dask.wait(future)  # this does not fetch the result
        async with self._gate:
            found: bytes = await future
            return found

    async def _until_gone(self, member: WorkerInfo, doing: Coroutine[Any, Any, T]) -> T:
        """Wait for the result; raises WorkerLost once the worker is gone and contacts no host any more."""
        working, leaving = asyncio.ensure_future(doing), asyncio.ensure_future(member.gone.wait())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise WorkerLost("the worker is gone")
        finally:
            working.cancel()
            leaving.cancel()

    async def _close_sessions(self) -> None:
        if self._is_stopped or self._client.status != "running":
            return
        self._is_stopped = True
        await self._client.unregister_worker_plugin(self._plugin)

    # -- on the loop of the command ------------------------------------------------------------------------------------

    async def _update_workers(self) -> None:
        warned: set[str] = set()
        while True:
            for worker, reason in self.workers.reasons().items():
                if worker not in warned:
                    warned.add(worker)
                    logger.warning("the worker %s %s; it is not used", worker, reason)
            self._updates_alone = 0 if self.workers.usable() else self._updates_alone + 1
            if self._updates_alone == WARN_AFTER:
                logger.warning("--dask: there is no worker; waiting for one")
            await asyncio.sleep(TICK)
            with contextlib.suppress(TimeoutError, OSError):
                await self._on_client(self.workers.update())

    @property
    def _plugin(self) -> str:
        return f"imgcache-{self._run}"

    def _scheduler_gone(self) -> ImgcacheError:
        return ImgcacheError(f"--dask: the scheduler is gone; {_KEPT}")

    async def _on_client(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextlib.contextmanager
def connect_workers(
    where: str, run_spec: RunSpec, *, results: type[R], capacity: int, on_result: Callable[[R], None] = lambda _: None
) -> Iterator[DaskWorkerGroup[Any, R]]:
    """Yield a group of Dask workers.

    Args:
        where: the address of a scheduler, or `local:N` for N processes on this machine.
        run_spec: the run.
        results: the type that results are decoded as.
        capacity: how many jobs a worker runs at once.
        on_result: is called with each result as it arrives.

    Raises:
        ConfigError: no scheduler answers there, or its workers cannot be used.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connect_client(where))
        group: DaskWorkerGroup[Any, R] = DaskWorkerGroup(
            client, where, run_spec, results=results, capacity=capacity, note=on_result
        )
        stack.callback(group.close_sessions)
        group.start()
        yield group
