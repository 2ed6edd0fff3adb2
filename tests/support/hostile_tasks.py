"""Attacks of a worker that was taken over, for `tests.processor.test_render_sandbox`. Each returns its result."""

from __future__ import annotations

import ctypes
import functools
import inspect
import mmap
import os
import pickle
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from imgcache.core import Limits, Recipe, Rendered
from imgcache.processor import worker as render_worker
from imgcache.processor.channel import ANSWER, Done, packed

_CHANNEL = 3
_LIBC = ctypes.CDLL(None, use_errno=True)
_PTRACE_ATTACH, _PTRACE_SEIZE = 16, 0x4206


class _Evil:
    """Its pickle makes a file where it is opened."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


def _tried(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def trying(*args: Any) -> str:
        try:
            return function(*args)
        except (OSError, RuntimeError) as error:
            return f"{type(error).__name__} {error}"

    return trying


def _number() -> bytes:
    """The number of the task in hand, which is in the memory of the process."""
    frame = inspect.currentframe()
    while frame is not None and "number" not in frame.f_locals:
        frame = frame.f_back
    assert frame is not None
    return bytes(frame.f_locals["number"])


def _called(result: int) -> str:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "done"


@_tried
def read_file(path: str) -> str:
    if Path(path).is_dir():
        return str(list(Path(path).iterdir()))
    descriptor = os.open(path, os.O_RDONLY)
    return os.read(descriptor, 100).decode()


@_tried
def write_file(path: str) -> str:
    os.write(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), b"owned")
    return "written"


@_tried
def start_program() -> str:
    subprocess.run(["/bin/true"], check=True)
    return "started"


@_tried
def become_program() -> str:
    os.execv("/bin/echo", ["/bin/echo", "I am another program"])


@_tried
def fork() -> str:
    if os.fork() == 0:
        os._exit(0)
    return "forked"


@_tried
def thread() -> str:
    threading.Thread(target=print).start()
    return "started"


@_tried
def open_socket() -> str:
    socket.socket()
    return "opened"


@_tried
def executable_memory() -> str:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    return "mapped"


@_tried
def more_privileges() -> str:
    return _called(_LIBC.setuid(0))


@_tried
def parents_memory(process: int) -> str:
    return read_file(f"/proc/{process}/mem")


@_tried
def trace(process: int) -> str:
    return _called(_LIBC.ptrace(_PTRACE_SEIZE, process, None, None))


@_tried
def read_memory_of(process: int) -> str:
    class Part(ctypes.Structure):
        _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t))

    here = ctypes.create_string_buffer(8)
    part = Part(ctypes.addressof(here), 8)
    there = Part(ctypes.addressof(here), 8)
    return _called(_LIBC.process_vm_readv(process, ctypes.byref(part), 1, ctypes.byref(there), 1, 0))


@_tried
def signal_to(process: int) -> str:
    os.kill(process, signal.SIGCONT)  # which does no harm where it arrives
    return "sent"


def descriptors() -> list[int]:
    def is_open(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 0, os.SEEK_CUR)
        except OSError as error:
            return error.strerror != "Bad file descriptor"
        return True

    return [descriptor for descriptor in range(2000) if is_open(descriptor)]


def variables() -> dict[str, str]:
    return dict(os.environ)


def answer_with_pickle(path: str) -> int:
    body = pickle.dumps(_Evil(path))
    return answer_raw(len(body), body)


def return_pickle(path: str) -> int:
    return pickle.dumps(_Evil(path))  # type: ignore[return-value]  # the lie that is tested


def answer_raw(size: int, body: bytes) -> int:
    os.write(_CHANNEL, ANSWER.pack(_number(), size) + body)
    time.sleep(60)
    return 0


def answer_without_number() -> int:
    os.write(_CHANNEL, packed(bytes(8), Done(msgspec.Raw(msgspec.msgpack.encode(1)))))
    time.sleep(60)
    return 0


def answer_twice(value: int) -> int:
    os.write(_CHANNEL, packed(_number(), Done(msgspec.Raw(msgspec.msgpack.encode(value)))))
    return 99


def render_and_lie(files: Sequence[int], recipes: tuple[Recipe, ...], limits: Limits) -> Rendered:
    rendered = render_worker.render(files, recipes, limits)
    first = msgspec.structs.replace(rendered.variants[0], path="../../article.md")
    return msgspec.structs.replace(rendered, variants=(first,))


def divide() -> int:
    return 1 // 0
