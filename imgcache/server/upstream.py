"""The object store behind the endpoint: requests run in a bounded number of threads, for a bounded time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from imgcache.cache import ReadableStore, connect_bucket
from imgcache.core import StoreError

PATIENCE = 5.0  # seconds for one request with its body
_THREADS = 32  # requests at once
_LOG_INTERVAL = 10.0  # seconds between two warnings about requests that failed
_logger = logging.getLogger("imgcache.server")

_T = TypeVar("_T")


class Unavailable(Exception):
    """The object store does not answer now. The message is for the log."""


def reach(place: str) -> ReadableStore:
    """Returns the object store at a URL, with timeouts for a server. Sends no request. Raises ConfigError."""
    return connect_bucket(place, patience=PATIENCE)


class Upstream:
    """Asks an object store for one event loop. Limit: a call that timed out runs on in its thread until `PATIENCE`."""

    def __init__(self, store: ReadableStore, clock: Callable[[], float], wait: float) -> None:
        """`clock`: monotonic, in seconds; `wait`: seconds until a call is given up."""
        self.store = store
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="upstream")
        self._clock = clock
        self._wait = wait
        self._logged_at = float("-inf")

    async def ask(self, call: Callable[..., _T], *args: object) -> _T:
        """Returns what `call(*args)` returns, which waits for the store.

        Raises:
            Unavailable: the store answers with an error, or not in time.
        """
        try:
            async with asyncio.timeout(self._wait):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
        except StoreError as error:
            raise self._unavailable(str(error)) from None
        except TimeoutError:
            raise self._unavailable(f"the object store gives no answer within {self._wait:.0f} s") from None

    def close(self) -> None:
        """Sends no further request; calls that wait for a thread are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _unavailable(self, message: str) -> Unavailable:
        now = self._clock()
        if now - self._logged_at >= _LOG_INTERVAL:
            self._logged_at = now
            _logger.warning("%s", message)
        return Unavailable(message)
