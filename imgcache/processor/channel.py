"""What goes between this program and a worker process: frames of a length and so many bytes, over a socket.

Tasks go to the worker as pickles, with the descriptors of the files that they are about: the worker trusts its parent.
Answers come back as msgspec (MessagePack), checked against the type that the task's function is annotated with, and
limited in size: a worker may have been taken over by an image, and nothing that it sends is run or believed.
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

NUMBER = 8  # bytes of the random number that a task has, and its answer repeats: none can be sent ahead
TASK = struct.Struct(f">{NUMBER}sIH")  # the number, bytes of the pickle that follows, descriptors that come before it
ANSWER = struct.Struct(f">{NUMBER}sI")  # the number, bytes of the answer that follows
DESCRIPTORS = 200  # with one message: Linux takes 253 (SCM_MAX_FD of net/scm.h)
LARGEST_ANSWER = 1 << 20  # bytes: a few hundred for each variant, and one traceback at the most
LARGEST_TEXT = 16_384  # characters

# What a decoder may say of an image. All other codes are for other parts of the program to say.
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
    """The first that a worker is sent: bytes of memory above what it has, of its largest file; modules to import."""

    memory: int
    file_size: int
    modules: tuple[str, ...] = ()


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The first that a worker sends, before it has seen an image."""

    protections: Protections


class Done(msgspec.Struct, frozen=True, tag="done"):
    """What the function returned."""

    result: msgspec.Raw


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The function raised an ImageError."""

    code: _Text
    message: _Text


class OutOfMemory(msgspec.Struct, frozen=True, tag="memory"):
    """The function raised MemoryError."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The function raised anything else: a mistake in this program. `trace` is the traceback."""

    kind: _Text
    message: _Text
    trace: _Text


Answer = Ready | Done | Refused | OutOfMemory | Failed
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


class WorkerError(RuntimeError):
    """A function failed in a worker in a way that nobody foresaw. Its traceback is a note of the exception."""


class BadAnswer(Exception):
    """A worker's answer is not what its task can give: the worker is broken, or taken over, and has to go."""


def packed(number: bytes, answer: Answer) -> bytes:
    """An answer as it is sent, to the task of that number."""
    body = msgspec.msgpack.encode(answer)
    return ANSWER.pack(number, len(body)) + body


def unpacked(body: bytes) -> Answer:
    """An answer as it was sent.

    Raises:
        BadAnswer: it is no answer.
    """
    try:
        return _ANSWERS.decode(body)
    except msgspec.MsgspecError as error:
        raise BadAnswer(f"the worker sent no answer: {clean_text(str(error))}") from error


def outcome(body: bytes, function: Callable[..., Any]) -> Any:
    """What `function` returned in the worker, of the type that it is annotated with.

    Raises:
        BadAnswer: the bytes are no answer to that function.
        ImageError: what the function raised.
        MemoryError: the function ran out of memory.
        WorkerError: the function raised anything else.
    """
    match unpacked(body):
        case Done(result):
            try:
                return _decoder(function).decode(result)
            except msgspec.MsgspecError as error:
                raise BadAnswer(f"the worker answered with something else: {clean_text(str(error))}") from error
        case Refused(DecoderCrash.code, message):  # which a worker says when memory runs out
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
            raise BadAnswer("the worker sent an answer that does not belong here")


@cache
def _decoder(function: Callable[..., Any]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(typing.get_type_hints(function)["return"])
