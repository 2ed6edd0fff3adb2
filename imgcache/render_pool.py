"""The processor in worker processes: a decoder that crashes, hangs or swallows memory costs one image and nothing else.

Each worker has limits on memory, time, file size, open files and core dumps, takes no notice of Ctrl-C (its parent
does), and is replaced after some hundred images. Where the kernel lets us, it has no network. Nothing is started before
the first image is asked for. Limit: the file system is not hidden; a decoder that is taken over can read what the
user can.

Pebble's ProcessPool does the work over a fork server, which imports the processor once: a new worker costs
milliseconds. The server idles without workers, and ends with the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from importlib.machinery import ModuleSpec
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from pebble import CONSTS, ProcessExpired, ProcessFuture, ProcessPool

from imgcache import render_worker
from imgcache.errors import DecoderCrash, DecoderTimeout
from imgcache.models import Header, Limits, Rendered
from imgcache.recipes import Recipe
from imgcache.signals import ctrl_c_blocked

P = ParamSpec("P")
T = TypeVar("T")

# Images in hand for each worker: enough to keep it busy, few enough that a crash loses little of what was fetched.
_AHEAD = 4
_ATTEMPTS = 3  # for one image, on a fresh pool each: Pebble gives up a whole pool when a worker dies at a bad moment
_LOOK = 1.0  # seconds between looks at whether a pool still works on what it was given
_starting = threading.RLock()
# Of the fork server. The second and third (mallopt(3)) have glibc keep what one picture used for the next one: given
# back to the system it is faulted in anew, page by page. Dask's nanny asks for just that: a fifth of the time.
_ENVIRONMENT = {
    "PYTHONSAFEPATH": "1",  # nothing from the working directory
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
}
CONSTS.sleep_unit = 0.02  # seconds until Pebble sees that a worker died or the pool is to end: 0.1 is felt at the end


class RenderPool:
    """Worker processes for as long as the `async with` block lasts. Methods may be awaited many at a time.

    `limits.decode_memory` counts bytes above what an idle worker has, `limits.decode_time` seconds from the moment a
    worker takes the image up: waiting for a free worker does not count.
    """

    def __init__(self, workers: int | None = None, limits: Limits | None = None, *, max_tasks: int = 500) -> None:
        self._workers = workers or os.cpu_count() or 1
        self._limits = limits or Limits()
        self._max_tasks = max_tasks
        self._pool = self._new()
        self._start = asyncio.Lock()
        self._started = False
        self._warming: asyncio.Task[ProcessPool] | None = None
        self._under_way: set[ProcessFuture[object]] = set()
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for future in tuple(self._under_way):
            future.cancel()  # type: ignore[no-untyped-call]
        if self._warming is not None:
            await asyncio.wait([self._warming])
        await _close(self._pool)

    @staticmethod
    def preload() -> None:
        """Start the fork server alone: it imports the processor while this process goes on. For when images are sure.

        Later it would be waited for: it takes as long as all that the first download needs.
        """
        with _unnoticed():
            forkserver.ensure_running()

    def warm(self) -> None:
        """Start the workers, so that they are up when the first image is there; without it they start with that."""
        if self._warming is None:
            self._warming = asyncio.create_task(self._ready())

    async def room(self) -> None:
        """Returns when so few images wait for a worker that one more is worth fetching."""
        await self._has_room.wait()

    async def render(self, path: str | Path, folder: str | Path, recipes: Sequence[Recipe]) -> Rendered:
        """`processor.render` in a worker, which makes the folder.

        Raises:
            ImageError: as there, DecoderCrash, DecoderTimeout.
        """
        return await self.run(render_worker.render, path, folder, tuple(recipes), self._limits)

    async def probe(self, path: str | Path) -> Header:
        """`processor.probe` in a worker.

        Raises:
            ImageError: as there, DecoderCrash, DecoderTimeout.
        """
        return await self.run(render_worker.probe, path, self._limits)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Any importable function under the same limits. Cancelling the caller kills the worker that has it in hand.

        Raises:
            DecoderCrash: the worker died, or ran out of memory.
            DecoderTimeout: it took longer than `limits.decode_time`.
        """
        for _ in range(_ATTEMPTS):
            pool = await self._ready()
            try:
                return await self._once(pool, function, *args, **kwargs)
            except BrokenProcessPool:
                await self._replace(pool)
        raise DecoderCrash("the worker processes died again and again on this image")

    async def _once(self, pool: ProcessPool, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        seconds = self._limits.decode_time
        try:
            future = pool.schedule(render_worker.task, args=(seconds, function, args, kwargs), timeout=seconds)
        except RuntimeError as error:  # Pebble's word for a pool that broke since it was last looked at
            raise BrokenProcessPool(str(error)) from error
        self._under_way.add(future)
        if len(self._under_way) >= _AHEAD * self._workers:
            self._has_room.clear()
        try:
            return await _outcome(pool, future)
        except TimeoutError as error:
            raise DecoderTimeout(f"the decoder did not finish within {seconds:g} s (limits.decode_time)") from error
        except ProcessExpired as error:
            raise DecoderCrash(f"the decoder's process died: {_cause(error.exitcode)}") from error
        except MemoryError as error:
            raise DecoderCrash("the decoder ran out of its memory (limits.decode_memory)") from error
        finally:
            self._under_way.discard(future)
            if len(self._under_way) < _AHEAD * self._workers:
                self._has_room.set()

    async def _ready(self) -> ProcessPool:
        async with self._start:  # takes a blink, which the event loop does not wait for
            if not self._started:
                await asyncio.to_thread(_launch, self._pool)
                self._started = True
            return self._pool

    async def _replace(self, pool: ProcessPool) -> None:
        async with self._start:
            if self._pool is pool:
                self._pool, self._started = self._new(), False
                await _close(pool)

    def _new(self) -> ProcessPool:
        return ProcessPool(
            self._workers,
            self._max_tasks,
            render_worker.confine,
            (self._limits.decode_memory, _largest_file(self._limits)),
            _Context(),
        )


def _launch(pool: ProcessPool) -> None:
    with _starting, _environment():
        bool(pool.active)  # the property starts the workers of a new pool


async def _outcome(pool: ProcessPool, future: ProcessFuture[T]) -> T:
    """What came of a task. One that Pebble took in while its pool broke is never told of it: hence the looks.

    Raises:
        BrokenProcessPool: the pool is no more; besides what the task raises.
    """
    waiting = asyncio.wrap_future(future)
    try:
        while not (await asyncio.wait({waiting}, timeout=_LOOK))[0]:
            if not pool.active:
                raise BrokenProcessPool("the pool broke when this came")
        return waiting.result()
    finally:
        waiting.cancel()


async def _close(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    await asyncio.to_thread(pool.join)


def _cause(code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit status {code}"


def _largest_file(limits: Limits) -> int:
    return max(limits.bytes, 4 * limits.pixels)  # the worst a PNG comes to, about


class _Process(ForkServerProcess):
    """A worker that does not import the program's `__main__` again, nor anything from the working directory.

    The first would run an unguarded script once more in every worker; the second would let a `signal.py` in a site's
    folder run as us. Ctrl-C is blocked from the first instant on, and stays so in the server and its workers.
    """

    def start(self) -> None:
        with _unnoticed():
            super().start()


@contextlib.contextmanager
def _unnoticed() -> Iterator[None]:
    main = sys.modules["__main__"]
    with _starting, _environment(), ctrl_c_blocked():
        spec, main.__spec__ = main.__spec__, ModuleSpec("imgcache.__main__", None)  # this name is never imported
        try:
            yield
        finally:
            main.__spec__ = spec


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


class _Context(ForkServerContext):
    Process = _Process

    def __init__(self) -> None:
        super().__init__()
        self.set_forkserver_preload(["pebble", render_worker.__name__, "imgcache.processor", "imgcache.render_server"])
