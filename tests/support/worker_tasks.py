"""What workers are given to do in `tests.test_render_pool` and `tests.test_render_sandbox`.

Apart from them, because each new worker imports this module: pytest and all that the tests need would take longer than
what is tested.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import time
from collections.abc import Sequence

from imgcache.core import TooManyFrames


def echo(value: int) -> int:
    time.sleep(0.01)
    return value


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def null_pointer() -> None:
    ctypes.string_at(0)


def hang() -> None:
    while True:  # as a decoder in C would: no Python signal handler gets a turn that helps
        time.sleep(60)


def swallow() -> int:
    return len(bytearray(2_000_000_000))


_lost: list[mmap.mmap] = []


def lose_memory(size: int) -> None:
    _lost.append(mmap.mmap(-1, size))


def use_memory(size: int) -> int:
    try:
        with mmap.mmap(-1, size) as memory:
            return len(memory)
    except OSError as error:
        raise MemoryError from error


def unwell() -> None:
    raise TooManyFrames("all \x1b[31mof\nthem")


def connect(port: int) -> str:
    try:
        with socket.socket() as client:
            client.settimeout(2)
            client.connect(("127.0.0.1", port))
    except OSError as error:
        return type(error).__name__
    return "connected"


def process_id() -> int:
    return os.getpid()


def blocked_signals() -> set[int]:
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, set())}


def write_much(files: Sequence[int]) -> None:
    written = os.write(files[0], bytes(5_000_000))
    raise OSError(f"shorter: {written}")


def parent_id() -> int:
    return os.getppid()
