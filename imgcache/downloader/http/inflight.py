"""Shares requests: simultaneous calls for one URL make one request, and each gets a copy of its result."""

from __future__ import annotations

import asyncio
import pathlib
import shutil
from collections.abc import Awaitable, Callable, Hashable

import msgspec

from imgcache.core import DiskFull, Fetched, ImageError, NotModified
from imgcache.downloader.http.body import new_part

FetchResult = Fetched | NotModified


class InFlight:
    """The running requests. The first caller for a key makes the request; if it is cancelled, the next one does."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[asyncio.Future[FetchResult]]] = {}

    async def share(self, key: Hashable, request: Callable[[], Awaitable[FetchResult]]) -> FetchResult:
        """Return the result of `request`, called once for all simultaneous callers with `key`.

        Each caller gets a temporary file of its own.
        """
        while key in self._waiting:
            waiter: asyncio.Future[FetchResult] = asyncio.get_running_loop().create_future()
            self._waiting[key].append(waiter)
            try:
                return await waiter
            except _LeaderCancelled:
                continue
            except asyncio.CancelledError:
                _discard(waiter)
                raise
        self._waiting[key] = []
        try:
            result = await request()
        except ImageError as error:
            self._release(key, error)
            raise
        except BaseException:
            self._release(key, _LeaderCancelled())
            raise
        for waiter in self._waiting.pop(key):
            if not waiter.done():
                _deliver(waiter, result)
        return result

    def _release(self, key: Hashable, error: Exception) -> None:
        for waiter in self._waiting.pop(key):
            if not waiter.done():
                waiter.set_exception(error)


class _LeaderCancelled(Exception):
    """The caller that made the request was cancelled; the others must try again."""


def _deliver(waiter: asyncio.Future[FetchResult], result: FetchResult) -> None:
    try:
        waiter.set_result(_copy(result) if isinstance(result, Fetched) else result)
    except OSError as error:
        failure = DiskFull(f"the cache cannot be written: {error.strerror}; free some space or change its permissions")
        failure.__cause__ = error
        waiter.set_exception(failure)


def _copy(fetched: Fetched) -> Fetched:
    source = pathlib.Path(fetched.path)
    with new_part(source.parent) as target:
        try:
            with source.open("rb") as original:
                shutil.copyfileobj(original, target)
        except OSError:
            pathlib.Path(target.name).unlink(missing_ok=True)
            raise
    return msgspec.structs.replace(fetched, path=target.name)


def _discard(waiter: asyncio.Future[FetchResult]) -> None:
    """Delete the copy that was made for a caller at the moment of its cancellation."""
    if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
        result = waiter.result()
        if isinstance(result, Fetched):
            pathlib.Path(result.path).unlink(missing_ok=True)
