"""Runs the processor in worker processes, so that a decoder that crashes or hangs costs one image only.

Each worker has limits on memory, time, file size and core dumps, ignores Ctrl-C (its parent handles it), and is
replaced after some hundred images. A decoder that an image has taken over can only give wrong answers: the kernel
refuses files, programs, processes and connections (`sandbox`), and answers are checked (`channel`, `worker_files`).
Nothing is started before the first image.

A fork server imports the processor once, so a new worker takes milliseconds. The server idles without workers, and ends
with the program. Why not an existing pool: docs/decisions/0017-render-sandbox.md.
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
from imgcache.processor.worker_files import checked, original, rewind, task_files
from imgcache.processor.worker_process import Worker, WorkerDied, WorkerLost, fork_server

P = ParamSpec("P")
T = TypeVar("T")

# Images per worker, rendered or waiting: enough to keep it busy, few enough that a crash loses little.
_QUEUED_PER_WORKER = 4
_PREPARED_PER_WORKER = 2  # images whose files are open, so that no worker waits for the file system
_ATTEMPTS = 3  # for one task, each on a new worker, if workers end before they begin it


class RenderPool:
    """A pool of worker processes, used in an `async with` block. Many calls may wait at the same time.

    `limits.decode_memory` counts bytes above the memory of an idle worker. `limits.decode_time` counts seconds from the
    moment a worker begins the image, without waiting for a free worker.
    """

    def __init__(
        self,
        workers: int | None = None,
        limits: Limits | None = None,
        *,
        max_tasks: int = 500,
        modules: Sequence[str] = (),
    ) -> None:
        """`modules` are imported by each worker at its start: those of the functions for `run`."""
        self._workers = workers or os.cpu_count() or 1
        self._limits = limits or Limits()
        self._max_tasks = max_tasks
        self._settings = pickle.dumps(Settings(self._limits.decode_memory, _largest_file(self._limits), tuple(modules)))
        self._turns = asyncio.Semaphore(self._workers)
        self._prepared = asyncio.Semaphore(_PREPARED_PER_WORKER * self._workers)
        self._idle: list[Worker] = []
        self._ending: set[asyncio.Task[object]] = set()
        self._running: set[asyncio.Task[Any]] = set()
        self._has_capacity = asyncio.Event()
        self._has_capacity.set()
        self._warming: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        running = (*self._running, *self._warming)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for worker in self._idle:
            self._discard(worker)
        self._idle.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)

    @staticmethod
    def start_fork_server() -> None:
        """Start the fork server, which imports the processor while this process continues.

        Call it as soon as images are certain: the import takes about as long as the first download.
        """
        fork_server()

    def start_workers(self) -> None:
        """Start the workers in advance; otherwise they start with the first images."""
        if not self._warming:
            self._warming = tuple(self._begin(self._warm_one()) for _ in range(self._workers))

    async def wait_for_capacity(self) -> None:
        """Wait until so few images wait for a worker that another one is worth fetching."""
        await self._has_capacity.wait()

    async def render(self, path: str | Path, folder: str | Path, recipes: Sequence[Recipe]) -> Rendered:
        """Run `processor.render` in a worker. The folder is created if it is missing.

        Raises:
            ImageError: as `processor.render`; DecoderCrash, DecoderTimeout.
        """
        wanted = tuple(recipes)

        async def make() -> Rendered:
            async with self._prepared, task_files(path, Path(folder), wanted) as files:
                answer = await self._do(render_worker.render, (wanted, self._limits), descriptors=files.descriptors)
                try:
                    rendered = checked(answer, wanted, self._limits)
                    files.name(rendered.variants)
                except BadAnswer as error:
                    raise _untrusted(error) from error
                return rendered

        return await self._tracked(make())

    async def probe(self, path: str | Path) -> Header:
        """Run `processor.probe` in a worker.

        Raises:
            ImageError: as `processor.probe`; DecoderCrash, DecoderTimeout.
        """
        header: Header = await self._tracked(self._reading(path, render_worker.probe, self._limits))
        return header

    async def perceptual_hash(self, path: str | Path, limits: Limits) -> int:
        """Compute the perceptual hash of an image in a worker, under the given limits.

        Raises:
            ImageError: as `processor.probe`; DecoderCrash, DecoderTimeout.
        """
        bits: int = await self._tracked(self._reading(path, render_worker.perceptual_hash, limits))
        return bits

    async def protections(self) -> Protections:
        """Returns the protections of a worker on this machine."""
        return await self.run(render_worker.protections)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run any importable function in a worker. Cancelling the caller kills its worker.

        Args:
            function: annotated with its return type, a type that msgspec can decode.
            args: picklable arguments. The function cannot open paths.
            kwargs: picklable keyword arguments.

        Raises:
            DecoderCrash: the worker died, or ran out of memory.
            DecoderTimeout: it took longer than `limits.decode_time`.
            WorkerError: the function raised anything but an ImageError.
        """
        result: T = await self._tracked(self._do(function, args, kwargs))
        return result

    async def run_on_files(self, function: Callable[..., T], descriptors: Sequence[int], *args: object) -> T:
        """Run a function as `run` does, with descriptors of open files as its first argument."""
        result: T = await self._tracked(self._do(function, args, descriptors=descriptors))
        return result

    async def _reading(self, path: str | Path, function: Callable[..., T], limits: Limits) -> T:
        with original(path) as source:
            return await self._do(function, (limits,), descriptors=(source,))

    async def _tracked(self, work: Coroutine[object, object, T]) -> T:
        """Run `work` as a task that is cancelled when the pool closes."""
        task = self._begin(work)
        self._running.add(task)
        if len(self._running) >= _QUEUED_PER_WORKER * self._workers:
            self._has_capacity.clear()
        try:
            return await task
        finally:
            self._running.discard(task)
            if len(self._running) < _QUEUED_PER_WORKER * self._workers:
                self._has_capacity.set()

    async def _do(
        self,
        function: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object] | None = None,
        descriptors: Sequence[int] = (),
    ) -> T:
        """Do a task when a worker is free."""
        task = pickle.dumps((self._limits.decode_time, function, args, kwargs or {}))
        async with self._turns:
            return await self._attempt(task, function, descriptors)

    async def _attempt(self, task: bytes, function: Callable[..., T], descriptors: Sequence[int]) -> T:
        reason, fresh = "", False
        for _ in range(_ATTEMPTS):
            worker = await (self._start() if fresh else self._worker())
            try:
                rewind(descriptors)
                return await self._on(worker, task, function, descriptors)
            except WorkerLost as error:
                reason = str(error) or reason
            except MemoryError as error:
                # Memory that earlier images left in a worker counts against its limit. A new worker decides, so that
                # an image has the same result in any worker.
                if worker.tasks == 1:
                    raise DecoderCrash(str(error) or "the decoder ran out of memory (limits.decode_memory)") from error
                fresh = True
        cause = f": {reason}" if reason else "; check that there is enough memory (ulimit -v)"
        raise DecoderCrash(f"worker processes end before they can decode this image{cause}")

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
            raise _untrusted(error) from error
        finally:
            self._release(worker, keep=keep)
        return result

    async def _worker(self) -> Worker:
        """Returns an idle worker or a new one; `_turns` limits their number."""
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
                with contextlib.suppress(WorkerLost, DecoderCrash):  # the first image reports it
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
        """Start a background task. The pool waits for it when it closes."""
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


def _untrusted(error: BadAnswer) -> DecoderCrash:
    return DecoderCrash(f"the worker process cannot be trusted after this image and was ended: {error}")


def _largest_file(limits: Limits) -> int:
    return max(limits.bytes, 4 * limits.pixels)  # about the largest PNG
