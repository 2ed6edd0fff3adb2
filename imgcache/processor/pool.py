"""The processor in worker processes: a decoder that crashes, hangs or swallows memory costs one image and nothing else.

Each worker has limits on memory, time, file size and core dumps, takes no notice of Ctrl-C (its parent does), and is
replaced after some hundred images. A decoder that is taken over by an image can do nothing but answer wrongly: the
kernel refuses files, programs, processes and connections (`sandbox`), and its answers are checked (`render_channel`,
`render_files`). Nothing is started before the first image is asked for.

A fork server imports the processor once: a new worker costs milliseconds. The server idles without workers, and ends
with the program. Why not a ready-made pool: docs/decisions/0017-render-sandbox.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from imgcache.core import DecoderCrash, DecoderTimeout, Header, ImageError, Limits, Recipe, Rendered
from imgcache.processor import worker as render_worker
from imgcache.processor.channel import BadAnswer, Settings, WorkerError, outcome
from imgcache.processor.sandbox import Protections
from imgcache.processor.worker_files import checked, original, outputs, rewind
from imgcache.processor.worker_process import Worker, WorkerDied, WorkerLost, fork_server

P = ParamSpec("P")
T = TypeVar("T")

# Images in hand for each worker: enough to keep it busy, few enough that a crash loses little of what was fetched.
_AHEAD = 4
_ATTEMPTS = 3  # for one task, on a fresh worker each, where the one before had ended without taking it up


class RenderPool:
    """Worker processes for as long as the `async with` block lasts. Methods may be awaited many at a time.

    `limits.decode_memory` counts bytes above what an idle worker has, `limits.decode_time` seconds from the moment a
    worker takes the image up: waiting for a free worker does not count.
    """

    def __init__(
        self,
        workers: int | None = None,
        limits: Limits | None = None,
        *,
        max_tasks: int = 500,
        modules: Sequence[str] = (),
    ) -> None:
        """`modules` are imported by each worker as it starts: those of the functions that `run` is asked for."""
        self._workers = workers or os.cpu_count() or 1
        self._limits = limits or Limits()
        self._max_tasks = max_tasks
        self._settings = pickle.dumps(Settings(self._limits.decode_memory, _largest_file(self._limits), tuple(modules)))
        self._turns = asyncio.Semaphore(self._workers)
        self._idle: list[Worker] = []
        self._ending: set[asyncio.Task[object]] = set()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._warming: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        under_way = (*self._under_way, *self._warming)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for worker in self._idle:
            self._discard(worker)
        self._idle.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)

    @staticmethod
    def preload() -> None:
        """Start the fork server alone: it imports the processor while this process goes on. For when images are sure.

        Later it would be waited for: it takes as long as all that the first download needs.
        """
        fork_server()

    def warm(self) -> None:
        """Start the workers, so that they are up when the first image is there; without it they start with that."""
        if not self._warming:
            self._warming = tuple(self._begin(self._warm_one()) for _ in range(self._workers))

    async def room(self) -> None:
        """Returns when so few images wait for a worker that one more is worth fetching."""
        await self._has_room.wait()

    async def render(self, path: str | Path, folder: str | Path, recipes: Sequence[Recipe]) -> Rendered:
        """`processor.render` in a worker; the folder is made if it is not there.

        Raises:
            ImageError: as there, DecoderCrash, DecoderTimeout.
        """
        wanted = tuple(recipes)

        async def make() -> Rendered:
            with original(path) as source, outputs(Path(folder), wanted) as files:
                descriptors = (source, *files.descriptors)
                told = await self._do(render_worker.render, (wanted, self._limits), descriptors=descriptors)
                try:
                    rendered = checked(told, wanted, self._limits)
                    files.name(rendered.variants)
                except BadAnswer as error:
                    raise _broken(error) from error
                return rendered

        return await self._counted(make())

    async def probe(self, path: str | Path) -> Header:
        """`processor.probe` in a worker.

        Raises:
            ImageError: as there, DecoderCrash, DecoderTimeout.
        """
        header: Header = await self._counted(self._reading(path, render_worker.probe, self._limits))
        return header

    async def likeness(self, path: str | Path, limits: Limits) -> int:
        """`processor.likeness` in a worker, under `limits` of its own.

        Raises:
            ImageError: as there, DecoderCrash, DecoderTimeout.
        """
        bits: int = await self._counted(self._reading(path, render_worker.likeness, limits))
        return bits

    async def protections(self) -> Protections:
        """What a worker is under on this machine."""
        return await self.run(render_worker.protections)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Any importable function under the same limits. Cancelling the caller kills the worker that has it in hand.

        Args:
            function: annotated with what it returns, in types that msgspec knows; its answer is held against that.
            args: for the function, anything that can be pickled. It gets no file: paths cannot be opened there.
            kwargs: the same.

        Raises:
            DecoderCrash: the worker died, or ran out of memory.
            DecoderTimeout: it took longer than `limits.decode_time`.
            WorkerError: the function raised something that is no ImageError.
        """
        result: T = await self._counted(self._do(function, args, kwargs))
        return result

    async def _reading(self, path: str | Path, function: Callable[..., T], limits: Limits) -> T:
        with original(path) as source:
            return await self._do(function, (limits,), descriptors=(source,))

    async def _counted(self, work: Coroutine[object, object, T]) -> T:
        """`work` in its turn, counted among what is under way, cancelled when the pool closes."""
        task = self._begin(self._in_turn(work))
        self._under_way.add(task)
        if len(self._under_way) >= _AHEAD * self._workers:
            self._has_room.clear()
        try:
            return await task
        finally:
            self._under_way.discard(task)
            if len(self._under_way) < _AHEAD * self._workers:
                self._has_room.set()

    async def _in_turn(self, work: Coroutine[object, object, T]) -> T:
        try:
            async with self._turns:
                return await work
        finally:
            work.close()  # where it was cancelled before its turn

    async def _do(
        self,
        function: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object] | None = None,
        descriptors: Sequence[int] = (),
    ) -> T:
        task = pickle.dumps((self._limits.decode_time, function, args, kwargs or {}))
        reason, fresh = "", False
        for _ in range(_ATTEMPTS):
            worker = await (self._start() if fresh else self._worker())
            try:
                rewind(descriptors)
                return await self._on(worker, task, function, descriptors)
            except WorkerLost as error:
                reason = str(error) or reason
            except MemoryError as error:
                # What earlier images left in a worker counts against its limit: a fresh one has the last word, so that
                # the same image comes to the same end wherever it is decoded.
                if worker.tasks == 1:
                    raise DecoderCrash(
                        str(error) or "the decoder ran out of its memory (limits.decode_memory)"
                    ) from error
                fresh = True
        says = f": {reason}" if reason else "; is there enough memory (ulimit -v)?"
        raise DecoderCrash(f"no worker process stays alive to decode this image{says}")

    async def _on(self, worker: Worker, task: bytes, function: Callable[..., T], descriptors: Sequence[int]) -> T:
        seconds, keep = self._limits.decode_time, False
        try:
            result: T = outcome(await worker.do(task, descriptors, seconds), function)
            keep = True
        except (ImageError, WorkerError):
            keep = True
            raise
        except TimeoutError as error:
            raise DecoderTimeout(f"the decoder did not finish within {seconds:g} s (limits.decode_time)") from error
        except WorkerDied as error:
            raise DecoderCrash(f"the decoder's process died: {error}") from error
        except BadAnswer as error:
            raise _broken(error) from error
        finally:
            self._release(worker, keep=keep)
        return result

    async def _worker(self) -> Worker:
        """An idle worker, or a new one: there are never more tasks in their turn than there may be workers."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_idle():
                return worker
            self._discard(worker)
        return await self._start()

    async def _start(self) -> Worker:
        try:
            return await Worker.start(self._settings)
        except BadAnswer as error:
            raise WorkerLost(str(error)) from error

    async def _warm_one(self) -> None:
        async with self._turns:
            if len(self._idle) < self._workers:
                with contextlib.suppress(WorkerLost, DecoderCrash):  # the first image tells
                    self._idle.insert(0, await self._start())

    def _release(self, worker: Worker, *, keep: bool) -> None:
        if keep and worker.tasks < self._max_tasks:
            self._idle.append(worker)
        else:
            self._discard(worker)

    def _discard(self, worker: Worker) -> None:
        worker.kill()
        self._begin(worker.ended())

    def _begin(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Let something go on beside; the pool does not close before it has ended."""
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


def _broken(error: BadAnswer) -> DecoderCrash:
    return DecoderCrash(f"the worker process is not to be trusted after this image, and was ended: {error}")


def _largest_file(limits: Limits) -> int:
    return max(limits.bytes, 4 * limits.pixels)  # the worst a PNG comes to, about
