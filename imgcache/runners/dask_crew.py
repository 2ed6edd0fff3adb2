"""A crew of Dask workers: at a scheduler that runs somewhere, or in processes of this machine for as long as it lasts.

The client lives in a thread of its own, so that a command which reads a million articles does not fall silent towards
its scheduler. Dask moves tasks by pickle between machines that trust each other; ours name a function of this package
and carry bytes, which each side decodes by type.

Needs the package `distributed`: imported where --dask is given and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import dask
import distributed
import msgspec
from distributed import KilledWorker
from distributed.client import FutureCancelledError

from imgcache.errors import ConfigError, ImgcacheError, WorkerLost
from imgcache.runners import station
from imgcache.runners.cluster import Done
from imgcache.runners.dask_worker import Closing, Unfit, greet, reason_against, versions_here, work
from imgcache.urls import clean

_dask: Any = distributed  # half of it has no types

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger(__name__)

_CONNECT = 5.0  # seconds to reach a scheduler
_FIRST = 30.0  # seconds until a first worker has come
_GREETING = 30.0
_TICK = 1.0  # seconds between two looks at who is there
_GATHERED = 32  # shards whose results are fetched at once: two thousand images
_DEATHS = 2  # Dask gives a task up when more workers than so many died of it

_ON_THIS_MACHINE = {
    "distributed.worker.daemon": False,  # a daemon could have no children, and the render pool are children
    "distributed.scheduler.allowed-failures": _DEATHS,
    "distributed.scheduler.http.routes": [],  # the server itself cannot be left out; it listens on 127.0.0.1 alone
    "distributed.worker.http.routes": [],
    "distributed.nanny.pre-spawn-environ.PYTHONSAFEPATH": "1",  # nothing of the working directory is imported
}


class Contract(msgspec.Struct, frozen=True):
    """What the workers of one run are told: which function opens the parts, and `spec`, which says what they are.

    `sign` is a file that a worker has to see, None where nothing but the network is shared.
    """

    open_parts: station.Open
    spec: bytes
    sign: Path | None = None


class DaskCrew(Generic[J, R]):
    """A `Crew` over a connected client. Made by `hired`."""

    def __init__(
        self, client: Any, where: str, contract: Contract, *, results: type[R], room: int, note: Callable[[R], None]
    ) -> None:
        self._client = client
        self._where = clean(where, 200)
        self._contract = contract
        self._each = room
        self._note = note
        self._decoder = msgspec.msgpack.Decoder(dict[int, results])  # type: ignore[valid-type]
        self._run = secrets.token_hex(4)
        self._number = 0
        self._reasons: dict[str, str | None] = {}  # by worker that is there: why it is of no use, None if it is
        self._gate = asyncio.Semaphore(_GATHERED)  # on the client's loop
        assert client.loop is not None  # noqa: S101 (it is connected)
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._watch: asyncio.Future[None] | None = None
        self._is_dismissed = True

    def start(self) -> None:
        """Ask all workers who they are.

        Raises:
            ConfigError: one of them is of no use, or there is none.
        """
        end = time.monotonic() + _FIRST
        while not self._are_there():
            if time.monotonic() > end:
                raise ConfigError(
                    f"no worker has answered at {self._where} within {_FIRST:g} s: start some with `dask worker`",
                    where="--dask",
                )
            time.sleep(0.1)
        for worker, reason in sorted(self._reasons.items()):
            if reason is not None:
                raise ConfigError(f"the worker {worker} {reason}", where="--dask")
        self._is_dismissed = False
        self._client.register_plugin(Closing(self._contract.spec), name=self._plugin)

    def stop(self) -> None:
        """Have the workers close what they opened for this run, if that is not done."""
        with contextlib.suppress(TimeoutError, OSError):
            self._wait(self._dismiss())

    async def __aenter__(self) -> Self:
        """From now on workers may come and go."""
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
        """As `Crew` has it."""
        self._check()
        return {worker: self._each for worker, reason in self._reasons.items() if reason is None}

    async def do(self, name: str, jobs: Sequence[tuple[str, J]], near: str, seconds: float | None) -> Done[R]:
        """As `Crew` has it.

        Raises:
            WorkerLost: several workers died of it.
            ImgcacheError: the scheduler is gone, or a worker cannot go on.
        """
        self._number += 1
        key = f"{name.replace('-', '_')}-{self._number}-{self._run}"  # Dask's pages show what stands before the dash
        order = msgspec.msgpack.encode((seconds, jobs))
        worker, reply = await self._there(self._do(key, order, near))
        results = self._decoder.decode(reply)
        for result in results.values():
            self._note(result)
        return Done(worker, results)

    async def cut_short(self) -> None:
        """As `Crew` has it."""
        with contextlib.suppress(TimeoutError, OSError):
            await self._there(self._dismiss())

    # -- on the client's loop ----------------------------------------------------------------------------------------

    async def _do(self, key: str, order: bytes, near: str) -> tuple[str, bytes]:
        given = (self._contract.open_parts, self._contract.spec, order, versions_here())
        future = self._client.submit(work, *given, key=key, workers=[near], allow_other_workers=True, pure=False)
        try:
            with self._client.as_current():
                await _dask.wait(future)  # its results stay where they are
            async with self._gate:
                found: tuple[str, bytes] = await future
                return found
        except (KilledWorker, Unfit, ImportError) as error:  # the last two: `near` died, and Dask took one left aside
            raise WorkerLost(clean(str(error))) from None
        except FutureCancelledError:
            raise self._gone() from None
        finally:
            future.release()

    async def _look_around(self) -> bool:
        """Who is there, and of what use; whether anybody is."""
        there = set(await self._client.nthreads())
        new = sorted(there - self._reasons.keys())
        if new:
            asking = self._client.run(greet, self._contract.sign, workers=new, on_error="return")
            answers = await asyncio.wait_for(asking, _GREETING)
            self._reasons |= {
                one: reason_against(answer) for one, answer in answers.items() if not isinstance(answer, OSError)
            }
        self._reasons = {worker: reason for worker, reason in self._reasons.items() if worker in there}
        return bool(self._reasons)

    async def _dismiss(self) -> None:
        if self._is_dismissed or self._client.status != "running":
            return
        self._is_dismissed = True
        await self._client.unregister_worker_plugin(self._plugin)

    # -- on the command's ----------------------------------------------------------------------------------------------

    async def _keep_watch(self) -> None:
        warned: set[str] = set()
        while True:
            await asyncio.sleep(_TICK)
            with contextlib.suppress(TimeoutError, OSError):
                await self._there(self._look_around())
            for worker in sorted(self._reasons.keys() - warned):
                if (reason := self._reasons[worker]) is not None:
                    warned.add(worker)
                    logger.warning("the worker %s %s; it is left aside", worker, reason)

    def _are_there(self) -> bool:
        try:
            return self._wait(self._look_around())
        except TimeoutError:
            return False

    @property
    def _plugin(self) -> str:
        return f"imgcache-{self._run}"

    def _check(self) -> None:
        if self._client.status != "running":
            raise self._gone()

    def _gone(self) -> ImgcacheError:
        return ImgcacheError("--dask: the scheduler is gone; what was finished is kept, run again to go on")

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextlib.contextmanager
def hired(
    where: str, contract: Contract, *, results: type[R], room: int, note: Callable[[R], None] = lambda _: None
) -> Iterator[DaskCrew[Any, R]]:
    """A crew at `where`: the address of a scheduler, or `local:N` for N processes here.

    `results` is what a job's result is decoded as, `room` how many jobs a worker can have under way; `note` is called
    with each result as it comes.

    Raises:
        ConfigError: no such place, or workers of no use there.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(_connected(stack, where))
        crew: DaskCrew[Any, R] = DaskCrew(client, where, contract, results=results, room=room, note=note)
        stack.callback(crew.stop)
        crew.start()
        yield crew


def _connected(stack: contextlib.ExitStack, where: str) -> Any:
    kind, _, count = where.partition(":")
    if kind == "local":
        if not count.isascii() or not count.isdecimal() or not 1 <= int(count) <= 256:
            raise ConfigError(f"{clean(where, 80)} is not local:N with N from 1 to 256", where="--dask")
        return _dask.Client(stack.enter_context(_cluster(stack, int(count))), set_as_default=False)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it has to say, we say in one line
    try:
        return _dask.Client(where, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"no scheduler answers at {clean(where, 200)} ({clean(str(error), 200) or 'it takes too long'}): start one"
            " with `dask scheduler`, or work here with --dask local:N",
            where="--dask",
        ) from error


def _cluster(stack: contextlib.ExitStack, count: int) -> Any:
    stack.enter_context(dask.config.set(_ON_THIS_MACHINE))
    # The thread that starts workers, and they with it, take no notice of Ctrl-C: this process does. The tracker comes
    # first, for starting it unblocks the signal again (CPython, multiprocessing/resource_tracker.py).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return _dask.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            security=True,  # certificates for this run alone: else everybody on this machine could send tasks
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )
    except ImportError as error:  # the package that makes certificates
        raise ConfigError(f"{clean(str(error), 200)}: pip install 'imgcache[scale]'", where="--dask") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
