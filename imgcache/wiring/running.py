"""Runs asynchronous work to its end for a caller that is not asynchronous, in scripts and in notebooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

R = TypeVar("R")


class LoopRunner:
    """Runs one coroutine on an event loop of its own. Another thread may cancel it."""

    def __init__(self) -> None:
        self._is_cancelled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None

    def run(self, work: Callable[[], Coroutine[object, object, object]]) -> None:
        """Run the work to its end. Raises asyncio.CancelledError if it was cancelled."""
        import uvloop

        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            if self._is_cancelled:
                raise asyncio.CancelledError
            await work()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    def cancel(self) -> None:
        """Cancel the work, from another thread; before it has begun, it does not begin."""
        self._is_cancelled = True
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop is closed: the work has ended
                self._loop.call_soon_threadsafe(self._task.cancel)


def call_with_loop(function: Callable[[LoopRunner], R]) -> R:
    """Call a function that runs a coroutine.

    Where an event loop runs in this thread already, as in a notebook, the function is called in a thread of its own,
    and this thread waits for it.
    """
    runner = LoopRunner()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(runner)
    with ThreadPoolExecutor(1, thread_name_prefix="imgcache") as pool:
        called = pool.submit(function, runner)
        try:
            return called.result()
        except KeyboardInterrupt:
            runner.cancel()
            raise
