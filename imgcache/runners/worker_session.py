"""Runs shards inside a worker of a cluster, with a shard handler that is opened once for a run.

The handler runs on an event loop in a thread of its own, so that the worker still answers its scheduler. Input and
output are bytes, whose meaning only the function that opens the handler knows; nothing from a network is unpickled.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager

ShardHandler = Callable[[bytes], Coroutine[None, None, bytes]]
"""Does one shard: bytes in, bytes out."""

OpenHandler = Callable[[bytes, int], AbstractAsyncContextManager[ShardHandler]]
"""Opens the handler that the bytes describe, for a number of cores. Importable, because only its name is sent."""

_IDLE = 600.0  # seconds until an unused session closes, because a killed command does not close it

_TLS_SHUTDOWN = 0.25  # seconds for hosts to confirm the end of TLS; before that uvloop cannot close (EBUSY)

_sessions: dict[bytes, WorkerSession] = {}
_ended_runs: set[bytes] = set()  # SHA-256 of the specs of runs that have ended here
_lock = threading.Lock()


class SessionClosed(Exception):
    """The session was closed: the run has ended, or the worker is shutting down."""


class WorkerSession:
    """An open shard handler, and the thread with its event loop."""

    def __init__(self, opened: AbstractAsyncContextManager[ShardHandler], *, idle: float = _IDLE) -> None:
        """Open the handler, and wait until it is open.

        Args:
            opened: opens and closes the handler.
            idle: seconds without work after which the session closes by itself.

        Raises:
            Exception: whatever opening raises.
        """
        self._opened = opened
        self._idle = idle
        self._guard = threading.Lock()
        self._users = 0
        self._running: set[asyncio.Task[bytes]] = set()
        self._is_open = True
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run_thread, name="imgcache worker session", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def enter(self) -> bool:
        """Keep the session open for coming work; False if it has closed. `leave` must follow."""
        with self._guard:
            self._users += self._is_open
            return self._is_open

    def leave(self) -> None:
        """Release the session after the work."""
        with self._guard:
            self._users -= 1

    def run_shard(self, shard: bytes) -> bytes:
        """Run one shard; many threads may call this at once.

        Raises:
            SessionClosed: the session closed first.
        """
        try:
            return asyncio.run_coroutine_threadsafe(self._do(shard), self._loop).result()
        except CancelledError:
            raise SessionClosed("the worker session was closed") from None

    def close(self) -> None:
        """Cancel running shards and close the handler; returns when that is done."""
        with self._guard:
            self._is_open = False
        with contextlib.suppress(RuntimeError):  # the loop has ended, because the session was idle for too long
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run_thread(self) -> None:
        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._ready.is_set():
                raise
            self._failed = error  # raised by __init__
        finally:
            with self._guard:
                self._is_open = False
            self._ready.set()

    async def _do(self, shard: bytes) -> bytes:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine that runs has one)
        self._running.add(task)
        try:
            return await self._handler(shard)
        finally:
            self._running.discard(task)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        async with self._opened as self._handler:
            self._ready.set()
            while not await self._wait_for_end() and self._is_in_use():
                pass
            cancelled = tuple(self._running)
            for task in cancelled:  # only these: the handler ends the tasks that it began
                task.cancel()
            await asyncio.gather(*cancelled, return_exceptions=True)
        if cancelled:
            await asyncio.sleep(_TLS_SHUTDOWN)

    async def _wait_for_end(self) -> bool:
        try:
            async with asyncio.timeout(self._idle):
                return await self._end.wait()
        except TimeoutError:
            return False

    def _is_in_use(self) -> bool:
        with self._guard:
            self._is_open = self._is_open and self._users > 0
            return self._is_open


def run_shard(open_parts: OpenHandler, spec: bytes, shard: bytes, cores: int) -> bytes:
    """Run one shard in the session of its run, which the first call opens. Many threads may call this at once.

    Args:
        open_parts: opens the handler.
        spec: describes the handler, and identifies the run.
        shard: the encoded jobs.
        cores: how many cores the handler may use.

    Returns:
        The encoded results.

    Raises:
        SessionClosed: the run has ended here; its session is not opened again.
    """
    session = _enter(open_parts, spec, cores)
    try:
        return session.run_shard(shard)
    finally:
        session.leave()


def open_early(open_parts: OpenHandler, spec: bytes, cores: int) -> None:
    """Open the session of a run before its first shard comes.

    Raises:
        SessionClosed: the run has ended here.
        Exception: whatever opening raises.
    """
    _enter(open_parts, spec, cores).leave()


def close(spec: bytes) -> None:
    """Close the session of a run if it is open here; it is not opened again."""
    with _lock:
        _ended_runs.add(hashlib.sha256(spec).digest())
        session = _sessions.pop(spec, None)
    if session is not None:
        session.close()


def _enter(open_parts: OpenHandler, spec: bytes, cores: int) -> WorkerSession:
    with _lock:  # later callers wait until the first has opened the session
        if hashlib.sha256(spec).digest() in _ended_runs:
            raise SessionClosed("the run is over")
        session = _sessions.get(spec)
        while session is None or not session.enter():
            session = _sessions[spec] = WorkerSession(open_parts(spec, cores))
        return session
