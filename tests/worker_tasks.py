"""What workers are given to do in `tests.test_render_pool`.

Apart from it, because each new worker imports the module of its task: pytest and all that the tests need would take
longer than what is tested.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from pathlib import Path

from imgcache.errors import HttpStatus


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


def unwell() -> None:
    raise HttpStatus("no", 418)


def connect(port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


def process_id() -> int:
    return os.getpid()


def blocked_signals() -> set[int]:
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, set())}


def write_much(path: str) -> None:
    Path(path).write_bytes(bytes(5_000_000))
