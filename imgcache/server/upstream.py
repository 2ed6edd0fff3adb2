"""The object store behind the endpoint: asked in threads, so many at once, and waited for so long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from imgcache.cache import ReadableStore, connect_bucket
from imgcache.core import StoreError

PATIENCE = 5.0  # seconds that one request may take, its body with it
_WAIT = 10.0  # seconds until an answer is given up: the wait for a free hand, a request, and another try
_HANDS = 32  # requests at once
_SAY_EVERY = 10.0  # seconds between two lines of the log about answers that did not come
_logger = logging.getLogger("imgcache.server")

_T = TypeVar("_T")


class Unavailable(Exception):
    """The object store gives no answer now. The message is for the log."""


def reach(place: str) -> ReadableStore:
    """The object store at a URL, for a server, which cannot wait long. Nothing is asked yet. Raises ConfigError."""
    return connect_bucket(place, patience=PATIENCE)


class Upstream:
    """Asks an object store for one event loop. Limit: what is given up on runs on in its thread until `PATIENCE`."""

    def __init__(self, store: ReadableStore, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that only go forward."""
        self.store = store
        self._hands = ThreadPoolExecutor(_HANDS, thread_name_prefix="upstream")
        self._clock = clock
        self._said_at = float("-inf")

    async def ask(self, call: Callable[..., _T], *args: object) -> _T:
        """What a function that waits for the store gives.

        Raises:
            Unavailable: the store gives no answer, or none in time.
        """
        try:
            async with asyncio.timeout(_WAIT):
                return await asyncio.get_running_loop().run_in_executor(self._hands, call, *args)
        except StoreError as error:
            raise self._unavailable(str(error)) from None
        except TimeoutError:
            raise self._unavailable(f"the object store gives no answer within {_WAIT:.0f} s") from None

    def close(self) -> None:
        """Nothing is asked any more; what waits for a hand is dropped."""
        self._hands.shutdown(wait=False, cancel_futures=True)

    def _unavailable(self, message: str) -> Unavailable:
        now = self._clock()
        if now - self._said_at >= _SAY_EVERY:
            self._said_at = now
            _logger.warning("%s", message)
        return Unavailable(message)
