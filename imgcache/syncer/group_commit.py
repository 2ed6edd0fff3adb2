"""Group commit: makes the committed images of many callers durable by one shared barrier."""

from __future__ import annotations

import asyncio

from imgcache.cache import Store
from imgcache.core import ImageError


class GroupCommit:
    """Collects the callers that wait for one store. Those who come during a barrier share the next one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[asyncio.Future[None]] = []
        self._leader: asyncio.Task[None] | None = None

    async def wait_durable(self) -> None:
        """Wait until everything that was committed before the call is durable.

        Raises:
            DiskFull: the disk could not be written.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if self._leader is None:
            self._leader = asyncio.create_task(self._lead())
        await waiter

    async def close(self) -> None:
        """Wait for the barrier under way. No caller may be waiting any more."""
        if self._leader is not None:
            await self._leader

    async def _lead(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            error: ImageError | None = None
            try:
                await asyncio.to_thread(self._store.make_durable)
            except ImageError as raised:
                error = raised
            for waiter in group:
                if waiter.done():  # its caller was cancelled
                    continue
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)
        self._leader = None
