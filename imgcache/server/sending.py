"""How an answer goes out: at once from memory, or piece by piece, as fast as the client takes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from imgcache.server.bodies import BodySource
from imgcache.server.remote_file import RemoteFile
from imgcache.server.request_fields import RequestFields
from imgcache.server.responses import Answer, redirect, unavailable
from imgcache.server.upstream import Unavailable

_logger = logging.getLogger("imgcache.server")

Message = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]


async def begun(answer: Answer, file: BodySource, asked: RequestFields) -> Answer:
    """The answer with the first piece of its file read, so that its status is right.

    It becomes a redirect where the file is better fetched elsewhere, and 503 where it cannot be had now.
    """
    try:
        location = await file.location() if isinstance(file, RemoteFile) else None
        if location is not None:
            return redirect(location)
        return answer._replace(body=await file.read(answer.start, min(file.piece, answer.length)))
    except OSError as error:
        _logger.warning("a file of the cache cannot be read: %s", error.strerror)
        return answer
    except Unavailable:
        return unavailable(asked)


async def send_file(answer: Answer, file: BodySource, receive: Receive, send: Send) -> int:
    """The bytes that were handed over: a piece at a time, each when the one before it has gone and somebody is there.

    uvicorn takes what is sent to a client that has gone without a word, and the rest of the file would be read for it.
    """
    at, end = answer.start, answer.start + answer.length
    piece = answer.body
    gone = asyncio.ensure_future(_gone(receive))
    try:
        while piece:  # else it was cut off meanwhile: the server breaks the connection, so that the client knows
            at += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": at < end})
            piece = b"" if gone.done() else await _next(file, at, end)
    finally:
        gone.cancel()
    return at - answer.start


async def _next(file: BodySource, at: int, end: int) -> bytes:
    """The next piece; none at the end, and where it cannot be had."""
    if at >= end:
        return b""
    try:
        return await file.read(at, min(file.piece, end - at))
    except OSError as error:
        _logger.warning("a file of the cache cannot be read: %s", error.strerror)
    except Unavailable:
        _logger.debug("an answer was broken off, since the object store gives none")
    return b""


async def _gone(receive: Receive) -> None:
    """Until the client has left, which `receive` says after the end of the request's body."""
    while (await receive())["type"] != "http.disconnect":
        pass
