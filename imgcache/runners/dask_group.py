"""A crew of Dask workers: at a scheduler that runs somewhere, or in processes of this machine for as long as it lasts.

Dask moves tasks by pickle between machines that trust each other; ours name a function of this package and carry bytes,
which each side decodes by type. A shard is for one process: where that one goes, it is done by nobody, and whoever sent
it hears of it. So Dask runs no shard a second time by itself, and the hosts of one are never asked from two places.

Needs the package `distributed`: imported where --dask is given and nowhere else.
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
from imgcache.runners.dask_client import client_at, is_here
from imgcache.runners.dask_worker import ClosingPlugin, RunSpec, WorkerUnavailable, work
from imgcache.runners.dask_workers import WorkerInfo, WorkerList

_dask: Any = distributed  # half of it has no types

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger(__name__)

_TICK = 1.0  # seconds between two looks at who is there
_ALONE = 5  # such looks at nobody, until that is worth a word
_DESERTED = 300  # and until that is the end: machines that are begun for the work take some minutes
_KEPT = "what was finished is kept, run again to go on"
_GATHERED = 16  # shards whose results are fetched at once: some thousand images
# Seconds for a worker that left its scheduler to let go, if it still lives: it closes when it sees that its connection
# broke, or at its next heartbeat, which is due after half a second to two (distributed, worker.py, `heartbeat`).
_GRACE = 3.0


class DaskWorkerGroup(Generic[J, R]):
    """A `Crew` over a connected client. Made by `hired`."""

    def __init__(
        self, client: Any, where: str, contract: RunSpec, *, results: type[R], room: int, note: Callable[[R], None]
    ) -> None:
        self._client = client
        self._contract = contract
        self._each = room
        self._note = note
        self._decoder = msgspec.msgpack.Decoder(dict[int, results])  # type: ignore[valid-type]
        self._run = secrets.token_hex(4)
        self._number = 0
        self._roster = WorkerList(client, clean_text(where, 200), contract, 0.0 if is_here(where) else _GRACE)
        self._gate = asyncio.Semaphore(_GATHERED)  # on the client's loop
        assert client.loop is not None  # noqa: S101 (it is connected)
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._watch: asyncio.Future[None] | None = None
        self._is_dismissed = True
        self._alone = 0  # looks at nobody, one after the other

    def start(self) -> None:
        """Ask all workers who they are, and have them open their parts, which goes on afterwards.

        Raises:
            ConfigError: one of them is of no use, or there is none.
        """
        self._wait(self._roster.assemble())
        self._is_dismissed = False
        self._client.register_plugin(ClosingPlugin(self._contract.spec), name=self._plugin)
        self._wait(self._roster.begin())

    def stop(self) -> None:
        """Have the workers close what they opened for this run, if that is not done."""
        with contextlib.suppress(TimeoutError, OSError):
            self._wait(self._roster.close())
            self._wait(self._dismiss())

    async def __aenter__(self) -> Self:
        """From now on workers may come and go. Raises ConfigError where none could open its parts."""
        await self._there(self._roster.ready())
        self._watch = asyncio.ensure_future(self._keep_watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.cut_short()

    def room(self) -> Mapping[str, int]:
        """As `Crew` has it.

        Raises:
            ImgcacheError: the scheduler is gone, or no worker of use has been there for minutes.
        """
        if self._client.status != "running":
            raise self._gone()
        if self._alone >= _DESERTED:
            seconds = f"{_DESERTED * _TICK:g} s"
            raise ImgcacheError(f"--dask: no worker of use has been there for {seconds}; {_KEPT}")
        return dict.fromkeys(self._roster.of_use(), self._each)

    async def do(self, name: str, jobs: Sequence[tuple[str, J]], worker: str, seconds: float | None) -> Mapping[int, R]:
        """As `Crew` has it.

        Raises:
            WorkerLost: the worker has gone.
            ImgcacheError: the scheduler is gone, or the worker cannot go on.
        """
        self._number += 1
        key = f"{name.replace('-', '_')}-{self._number}-{self._run}"  # Dask's pages show what stands before the dash
        order = msgspec.msgpack.encode((seconds, jobs))
        reply = await self._there(self._do(key, order, worker))
        results: dict[int, R] = self._decoder.decode(reply)
        for result in results.values():
            self._note(result)
        return results

    async def cut_short(self) -> None:
        """As `Crew` has it."""
        with contextlib.suppress(TimeoutError, OSError):
            await self._there(self._dismiss())

    # -- on the client's loop ----------------------------------------------------------------------------------------

    async def _do(self, key: str, order: bytes, worker: str) -> bytes:
        member = self._roster.member(worker)
        if member is None:
            raise WorkerLost("the worker had gone")
        given = (self._contract, order, member.identity)
        future = self._client.submit(work, *given, key=key, workers=[worker], pure=False)
        try:
            return await self._unless_gone(member, self._result(future))
        except KilledWorker:  # Dask lets it fail where others would wait; it may live on a little
            await member.gone.wait()
            raise WorkerLost("the worker died") from None
        except WorkerUnavailable:
            self._roster.miss(worker)
            raise WorkerLost("another worker is in its place") from None
        except FutureCancelledError:
            raise self._gone() from None
        finally:
            future.release()

    async def _result(self, future: Any) -> bytes:
        with self._client.as_current():
            await _dask.wait(future)  # its results stay where they are
        async with self._gate:
            found: bytes = await future
            return found

    async def _unless_gone(self, member: WorkerInfo, doing: Coroutine[Any, Any, T]) -> T:
        """What it comes to. Raises WorkerLost when the worker has gone, and no longer asks anybody."""
        working, leaving = asyncio.ensure_future(doing), asyncio.ensure_future(member.gone.wait())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise WorkerLost("the worker has gone")
        finally:
            working.cancel()
            leaving.cancel()

    async def _dismiss(self) -> None:
        if self._is_dismissed or self._client.status != "running":
            return
        self._is_dismissed = True
        await self._client.unregister_worker_plugin(self._plugin)

    # -- on the command's ----------------------------------------------------------------------------------------------

    async def _keep_watch(self) -> None:
        warned: set[str] = set()
        while True:
            for worker, reason in self._roster.reasons().items():
                if worker not in warned:
                    warned.add(worker)
                    logger.warning("the worker %s %s; it is left aside", worker, reason)
            self._alone = 0 if self._roster.of_use() else self._alone + 1
            if self._alone == _ALONE:
                logger.warning("--dask: no worker is there; waiting for one")
            await asyncio.sleep(_TICK)
            with contextlib.suppress(TimeoutError, OSError):
                await self._there(self._roster.look_around())

    @property
    def _plugin(self) -> str:
        return f"imgcache-{self._run}"

    def _gone(self) -> ImgcacheError:
        return ImgcacheError(f"--dask: the scheduler is gone; {_KEPT}")

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextlib.contextmanager
def connect_workers(
    where: str, contract: RunSpec, *, results: type[R], room: int, note: Callable[[R], None] = lambda _: None
) -> Iterator[DaskWorkerGroup[Any, R]]:
    """A crew at `where`: the address of a scheduler, or `local:N` for N processes here.

    `results` is what a job's result is decoded as, `room` how many jobs a worker can have under way; `note` is called
    with each result as it comes.

    Raises:
        ConfigError: no such place, or workers of no use there.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(client_at(where))
        crew: DaskWorkerGroup[Any, R] = DaskWorkerGroup(client, where, contract, results=results, room=room, note=note)
        stack.callback(crew.stop)
        crew.start()
        yield crew
