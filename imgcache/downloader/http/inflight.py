"""One request at a time for one URL: who comes second gets a copy of what the first one fetched."""

from __future__ import annotations

import asyncio
import pathlib
import shutil
from collections.abc import Awaitable, Callable, Hashable

import msgspec

from imgcache.core import DiskFull, Fetched, ImageError, NotModified
from imgcache.downloader.http.body import new_part

Answer = Fetched | NotModified


class InFlight:
    """The requests under way. The first caller of a key leads; if it is cancelled, the next in line leads instead."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[asyncio.Future[Answer]]] = {}

    async def share(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of `ask`, called once for all who want `key` now. Each gets a temporary file of its own."""
        while key in self._waiting:
            turn: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._waiting[key].append(turn)
            try:
                return await turn
            except _LeaderLeft:
                continue
            except asyncio.CancelledError:
                _discard(turn)
                raise
        self._waiting[key] = []
        try:
            answer = await ask()
        except ImageError as error:
            self._release(key, error)
            raise
        except BaseException:
            self._release(key, _LeaderLeft())
            raise
        for turn in self._waiting.pop(key):
            if not turn.done():
                _hand_over(turn, answer)
        return answer

    def _release(self, key: Hashable, error: Exception) -> None:
        for turn in self._waiting.pop(key):
            if not turn.done():
                turn.set_exception(error)


class _LeaderLeft(Exception):
    """Whoever asked was cancelled, which says nothing about the URL."""


def _hand_over(turn: asyncio.Future[Answer], answer: Answer) -> None:
    try:
        turn.set_result(_copy(answer) if isinstance(answer, Fetched) else answer)
    except OSError as error:
        failure = DiskFull(f"the cache cannot be written: {error.strerror}; make room or change its rights")
        failure.__cause__ = error
        turn.set_exception(failure)


def _copy(answer: Fetched) -> Fetched:
    source = pathlib.Path(answer.path)
    with new_part(source.parent) as target:
        try:
            with source.open("rb") as original:
                shutil.copyfileobj(original, target)
        except OSError:
            pathlib.Path(target.name).unlink(missing_ok=True)
            raise
    return msgspec.structs.replace(answer, path=target.name)


def _discard(turn: asyncio.Future[Answer]) -> None:
    """The copy that was made for a caller who was cancelled at that very moment."""
    if turn.done() and not turn.cancelled() and turn.exception() is None:
        answer = turn.result()
        if isinstance(answer, Fetched):
            pathlib.Path(answer.path).unlink(missing_ok=True)
