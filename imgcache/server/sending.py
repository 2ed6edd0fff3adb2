"""Sends the body of a response from a file: piece by piece, as fast as the client reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from imgcache.server.bodies import BodySource
from imgcache.server.request_fields import RequestFields
from imgcache.server.responses import Answer, redirect, unavailable
from imgcache.server.upstream import Unavailable

_logger = logging.getLogger("imgcache.server")

Message = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]


async def read_first_piece(answer: Answer, file: BodySource, fields: RequestFields) -> Answer:
    """Returns the answer with the first piece of its file read, before a status is sent.

    It becomes a redirect where the client should download the file elsewhere, and 503 where it cannot be read now.
    """
    try:
        location = await file.location()
        if location is not None:
            return redirect(location)
        return answer._replace(body=await file.read(answer.start, min(file.piece, answer.length)))
    except OSError as error:
        _logger.warning("a file of the cache cannot be read: %s", error.strerror)
        return answer
    except Unavailable:
        return unavailable(fields)


async def send_file(answer: Answer, file: BodySource, receive: Receive, send: Send) -> int:
    """Sends the file and returns the number of bytes sent. Stops when the client has disconnected.

    uvicorn silently accepts data for a client that has gone; without the check the rest of the file would be read.
    """
    at, end = answer.start, answer.start + answer.length
    piece = answer.body
    gone = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        while piece:  # an early end of the file: the server closes the connection, so that the client notices
            at += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": at < end})
            piece = b"" if gone.done() else await _read_next(file, at, end)
    finally:
        gone.cancel()
    return at - answer.start


async def _read_next(file: BodySource, at: int, end: int) -> bytes:
    """Returns the next piece, empty at the end and where it cannot be read."""
    if at >= end:
        return b""
    try:
        return await file.read(at, min(file.piece, end - at))
    except OSError as error:
        _logger.warning("a file of the cache cannot be read: %s", error.strerror)
    except Unavailable:
        _logger.debug("a response was cut off, because the object store does not answer")
    return b""


async def _wait_for_disconnect(receive: Receive) -> None:
    """Returns when `receive` reports it, after the end of the request's body."""
    while (await receive())["type"] != "http.disconnect":
        pass
