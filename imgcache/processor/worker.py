"""The main loop of a worker process: it sets limits, enters the sandbox, and does one task after the other.

The process is forked by the fork server, which has imported the processor. It gives up everything that decoding does
not need (`sandbox`) before the first image. Images and output files arrive as open descriptors.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import resource
import signal
import socket
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from imgcache.core import DiskFull, Header, ImageError, Limits, MissingFile, Recipe, Rendered
from imgcache.processor import sandbox
from imgcache.processor.channel import (
    DESCRIPTORS,
    LARGEST_TEXT,
    TASK,
    Answer,
    Done,
    Failed,
    OutOfMemory,
    Ready,
    Refused,
    Settings,
    packed,
)

_OPEN_FILES = 1024  # mostly the files of one task, one for each recipe
_CHUNK = 1 << 20  # bytes


def render(files: Sequence[int], recipes: tuple[Recipe, ...], limits: Limits) -> Rendered:
    """Run `processor.render` from the first of `files` into the others, which are in the order of `recipes`."""
    from imgcache.processor import variants  # the parent imports this module too, and needs no Pillow

    places = dict(zip((recipe.fingerprint for recipe in recipes), files[1:], strict=True))

    def write(recipe: Recipe, _: str, data: bytes) -> None:
        try:
            _write(places[recipe.fingerprint], data)
        except OSError as error:
            raise DiskFull(f"a variant cannot be written ({error.strerror})") from error

    return variants.make(_original(files), recipes, limits, write)


def probe(files: Sequence[int], limits: Limits) -> Header:
    """Run `processor.probe` on the first of `files`."""
    from imgcache.processor import header

    return header.probe_bytes(_original(files), limits)


def perceptual_hash(files: Sequence[int], limits: Limits) -> int:
    """Compute the perceptual hash of the first of `files`."""
    from imgcache.processor.image_hash import perceptual_hash_of

    return perceptual_hash_of(_original(files), limits)


def protections() -> sandbox.Protections:
    """Returns the protections of this process."""
    return _protections[0]


_protections = [sandbox.Protections()]


def serve(channel: socket.socket, parent: int) -> None:
    """Do tasks until the channel closes.

    Args:
        channel: to the pool; the only open descriptor besides standard input, output and error.
        parent: process id of the fork server.
    """
    number, size, _ = TASK.unpack(_exactly(channel.fileno(), TASK.size))
    settings: Settings = pickle.loads(_exactly(channel.fileno(), size))  # noqa: S301 (from the parent)
    for module in settings.modules:
        importlib.import_module(module)
    _limit(settings)
    os.environ.clear()
    _protections[0] = sandbox.enter(parent)
    _write(channel.fileno(), packed(number, Ready(_protections[0])))
    with contextlib.suppress(EOFError):
        while True:
            _write(channel.fileno(), packed(*_task(channel)))


def _task(channel: socket.socket) -> tuple[bytes, Answer]:
    """Receive and do the next task.

    Returns:
        Its number and the answer.

    Raises:
        EOFError: the channel was closed.
    """
    head, files, _, _ = socket.recv_fds(channel, TASK.size, DESCRIPTORS)
    try:
        number, size, count = TASK.unpack(head + _exactly(channel.fileno(), TASK.size - len(head)))
        task = _exactly(channel.fileno(), size)
        while len(files) < count:
            files += socket.recv_fds(channel, 1, DESCRIPTORS)[1]
        return number, _answer(task, files)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for descriptor in files:
            os.close(descriptor)


def _answer(task: bytes, files: Sequence[int]) -> Answer:
    try:
        seconds, function, args, kwargs = pickle.loads(task)  # noqa: S301 (from the parent)
        # The alarm ends a decoder that hangs after its parent, which measures the time, was killed.
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds + 1)
        if files:
            args = (files, *args)
        return Done(msgspec.Raw(msgspec.msgpack.encode(function(*args, **kwargs))))
    except ImageError as error:
        return Refused(error.code, error.message[:LARGEST_TEXT])
    except MemoryError:
        return OutOfMemory()
    except Exception as error:  # noqa: BLE001 (the parent raises it again)
        trace = "".join(traceback.format_exception(error))
        return Failed(type(error).__name__, str(error)[:LARGEST_TEXT], trace[-LARGEST_TEXT:])


def _original(files: Sequence[int]) -> bytes:
    """Read a whole file.

    Raises:
        MissingFile: it cannot be read.
    """
    chunks = []
    try:
        while chunk := os.read(files[0], _CHUNK):
            chunks.append(chunk)
    except OSError as error:
        raise MissingFile(f"the image cannot be read ({error.strerror})") from error
    return b"".join(chunks)


def _exactly(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = os.read(descriptor, size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _limit(settings: Settings) -> None:
    for what, limit in (
        (resource.RLIMIT_AS, _address_space() + settings.memory),
        (resource.RLIMIT_FSIZE, settings.file_size),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(what, limit)


def _lower(what: int, limit: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS does not support all of them
        resource.setrlimit(what, (limit, limit))


def _address_space() -> int:
    """Returns the bytes mapped now; without /proc a high estimate."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 2_000_000_000
    return pages * resource.getpagesize()
