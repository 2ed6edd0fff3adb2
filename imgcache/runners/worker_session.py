"""In a worker of a cluster: parts that are opened once for a run, and do one shard after the other.

They live on an event loop in a thread of its own, so that the worker goes on talking to its scheduler. What comes in
and goes out is bytes: whoever opens the parts says what they mean, and nothing that came from a network is unpickled.
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

Open = Callable[[bytes, int], AbstractAsyncContextManager[ShardHandler]]
"""Opens the parts that some bytes tell of, for so many cores. Importable, for it goes to the worker by its name."""

_IDLE = 600.0  # seconds: a command that was killed closes nothing

_FAREWELL = 0.25  # seconds for hosts to answer the end of TLS: uvloop cannot close while one has not (EBUSY)

_stations: dict[bytes, WorkerSession] = {}
_over: set[bytes] = set()  # SHA-256 of what the runs that have ended here were told
_lock = threading.Lock()


class SessionClosed(Exception):
    """The parts were closed: the run has ended, or the worker ends."""


class WorkerSession:
    """Parts that are open, and the thread that they live in."""

    def __init__(self, opened: AbstractAsyncContextManager[ShardHandler], *, idle: float = _IDLE) -> None:
        """Open them. They close by themselves after so many seconds without work. Raises whatever opening raises."""
        self._opened = opened
        self._idle = idle
        self._guard = threading.Lock()
        self._in_hand = 0
        self._under_way: set[asyncio.Task[bytes]] = set()
        self._is_open = True
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._live, name="imgcache station", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def enter(self) -> bool:
        """Say that work is coming; False where the station has closed. `leave` must follow."""
        with self._guard:
            self._in_hand += self._is_open
            return self._is_open

    def leave(self) -> None:
        """Say that it is done."""
        with self._guard:
            self._in_hand -= 1

    def do(self, shard: bytes) -> bytes:
        """Have one shard done; many threads may call this at once.

        Raises:
            Over: the station closed before it was begun.
        """
        try:
            return asyncio.run_coroutine_threadsafe(self._do(shard), self._loop).result()
        except CancelledError:
            raise SessionClosed("the parts were closed") from None

    def close(self) -> None:
        """Cancel what is under way and close the parts; returns when that is done."""
        with self._guard:
            self._is_open = False
        with contextlib.suppress(RuntimeError):  # the loop has ended: nothing was asked of it for too long
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _live(self) -> None:
        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._ready.is_set():
                raise
            self._failed = error  # for whoever waits for it
        finally:
            with self._guard:
                self._is_open = False
            self._ready.set()

    async def _do(self, shard: bytes) -> bytes:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine that runs has one)
        self._under_way.add(task)
        try:
            return await self._shop(shard)
        finally:
            self._under_way.discard(task)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        async with self._opened as self._shop:
            self._ready.set()
            while not await self._ended() and self._is_wanted():
                pass
            cut_short = tuple(self._under_way)
            for task in cut_short:  # and no other: what the parts have begun, they end themselves
                task.cancel()
            await asyncio.gather(*cut_short, return_exceptions=True)
        if cut_short:
            await asyncio.sleep(_FAREWELL)

    async def _ended(self) -> bool:
        try:
            async with asyncio.timeout(self._idle):
                return await self._end.wait()
        except TimeoutError:
            return False

    def _is_wanted(self) -> bool:
        with self._guard:
            self._is_open = self._is_open and self._in_hand > 0
            return self._is_open


def do(open_parts: Open, spec: bytes, shard: bytes, cores: int) -> bytes:
    """Do one shard with the parts that `spec` tells of, which the first one opens. Many threads may call it.

    Raises:
        Over: they are closed, and are not opened again.
    """
    station = _enter(open_parts, spec, cores)
    try:
        return station.do(shard)
    finally:
        station.leave()


def open_early(open_parts: Open, spec: bytes, cores: int) -> None:
    """Open the parts that `spec` tells of before the first shard comes. Raises Over, and whatever opening raises."""
    _enter(open_parts, spec, cores).leave()


def close(spec: bytes) -> None:
    """Close the parts of one run, if they are open here; they are not opened again."""
    with _lock:
        _over.add(hashlib.sha256(spec).digest())
        station = _stations.pop(spec, None)
    if station is not None:
        station.close()


def _enter(open_parts: Open, spec: bytes, cores: int) -> WorkerSession:
    with _lock:  # also those who come next wait until the first has opened it
        if hashlib.sha256(spec).digest() in _over:
            raise SessionClosed("the run is over")
        station = _stations.get(spec)
        while station is None or not station.enter():
            station = _stations[spec] = WorkerSession(open_parts(spec, cores))
        return station
