"""The protocol between the pool and a worker process: frames with a length, over a socket.

Tasks are pickles, with the descriptors of their files: the worker trusts its parent. Answers are MessagePack of limited
size, decoded into the return type of the task's function. An image may have taken the worker over, so nothing that it
sends is executed or trusted.
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

import msgspec

from imgcache.core import (
    DecoderCrash,
    DiskFull,
    ImageError,
    MissingFile,
    NotAnImage,
    TooManyFrames,
    TooManyPixels,
    Undecodable,
    UnsupportedFormat,
    clean_text,
)
from imgcache.processor.sandbox import Protections

NUMBER = 8  # bytes of the random number of a task, which its answer repeats: answers cannot be sent in advance
TASK = struct.Struct(f">{NUMBER}sIH")  # the number, the size of the pickle that follows, the number of descriptors
ANSWER = struct.Struct(f">{NUMBER}sI")  # the number, the size of the answer that follows
DESCRIPTORS = 200  # of one message; the limit of Linux is 253 (SCM_MAX_FD of net/scm.h)
LARGEST_ANSWER = 1 << 20  # bytes: a few hundred for each variant, or one traceback
LARGEST_TEXT = 16_384  # characters

# The errors that a worker may answer with. All others are raised by other parts of the program.
_REFUSALS: Mapping[str, type[ImageError]] = {
    kind.code: kind
    for kind in (
        DiskFull,
        MissingFile,
        NotAnImage,
        TooManyFrames,
        TooManyPixels,
        Undecodable,
        UnsupportedFormat,
    )
}
_Text = Annotated[str, msgspec.Meta(max_length=LARGEST_TEXT)]


class Settings(msgspec.Struct, frozen=True):
    """The first message to a worker: the limits of memory (above its current use) and of files, modules to import."""

    memory: int
    file_size: int
    modules: tuple[str, ...] = ()


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The first message of a worker, before its first task."""

    protections: Protections


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The function returned."""

    result: msgspec.Raw


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The function raised an ImageError."""

    code: _Text
    message: _Text


class OutOfMemory(msgspec.Struct, frozen=True, tag="memory"):
    """The function raised MemoryError."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The function raised anything else: a bug. `trace` is the traceback."""

    kind: _Text
    message: _Text
    trace: _Text


Answer = Ready | Done | Refused | OutOfMemory | Failed
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


class WorkerError(RuntimeError):
    """A function raised an unexpected exception in a worker. Its traceback is a note of this one."""


class BadAnswer(Exception):
    """The answer of a worker is invalid: the worker is broken or taken over, and must be ended."""


def packed(number: bytes, answer: Answer) -> bytes:
    """Encode an answer to the task of a number."""
    body = msgspec.msgpack.encode(answer)
    return ANSWER.pack(number, len(body)) + body


def unpacked(body: bytes) -> Answer:
    """Decode an answer.

    Raises:
        BadAnswer: the bytes are not an answer.
    """
    try:
        return _ANSWERS.decode(body)
    except msgspec.MsgspecError as error:
        raise BadAnswer(f"the worker sent an invalid answer: {clean_text(str(error))}") from error


def outcome(body: bytes, function: Callable[..., Any]) -> Any:
    """Returns what `function` returned in the worker, as its annotated type.

    Raises:
        BadAnswer: the bytes are not an answer to that function.
        ImageError: what the function raised.
        MemoryError: the function ran out of memory.
        WorkerError: the function raised anything else.
    """
    match unpacked(body):
        case Done(result):
            try:
                return _decoder(function).decode(result)
            except msgspec.MsgspecError as error:
                raise BadAnswer(f"the worker sent a result of another type: {clean_text(str(error))}") from error
        case Refused(DecoderCrash.code, message):  # memory ran out
            raise MemoryError(clean_text(message, 1000))
        case Refused(code, message) if code in _REFUSALS:
            raise _REFUSALS[code](clean_text(message, 1000))
        case OutOfMemory():
            raise MemoryError
        case Failed(kind, message, trace):
            failure = WorkerError(f"{clean_text(kind)}: {clean_text(message, 1000)}")
            failure.add_note("\n".join(clean_text(line, 1000) for line in trace.splitlines()))
            raise failure
        case _:
            raise BadAnswer("the worker sent an unexpected kind of answer")


@cache
def _decoder(function: Callable[..., Any]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(typing.get_type_hints(function)["return"])
