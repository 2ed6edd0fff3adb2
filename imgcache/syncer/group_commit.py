"""What was committed, made durable many images at a time, so that who waits for one waits for a shared barrier."""

from __future__ import annotations

import asyncio

from imgcache.cache import Store
from imgcache.core import ImageError


class GroupCommit:
    """The waiters of one store. While a barrier is on its way, those who come gather for the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[asyncio.Future[None]] = []
        self._leader: asyncio.Task[None] | None = None

    async def wait_durable(self) -> None:
        """Returns when all that was committed before the call is durable.

        Raises:
            DiskFull: the disk could not take it.
        """
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if self._leader is None:
            self._leader = asyncio.create_task(self._lead())
        await mine

    async def close(self) -> None:
        """Ends when the barrier under way has. Nobody waits any more."""
        if self._leader is not None:
            await self._leader

    async def _lead(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            error: ImageError | None = None
            try:
                await asyncio.to_thread(self._store.settle)
            except ImageError as raised:
                error = raised
            for one in group:
                if one.done():  # its caller was cancelled
                    continue
                if error is None:
                    one.set_result(None)
                else:
                    one.set_exception(error)
        self._leader = None
