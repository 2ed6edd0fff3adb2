"""Runs Python source in a process of its own, which works for this one and ends with it.

Messages are bytes. The helper's standard input is a socket to this process, in both directions; it is closed when this
process ends, however that happens, and the helper ends then. It imports only what it needs, so it starts faster than a
worker of `multiprocessing`. A terminal's Ctrl-C does not reach it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Self


class HelperProcess:
    """One helper, used in a `with` block.

    Attributes:
        connection: for `multiprocessing.connection.wait`; use `send` and `receive` for messages.
    """

    def __init__(self, program: str) -> None:
        """Start it.

        Args:
            program: the Python source that it runs, with the same modules to import.

        Raises:
            OSError: no memory, or no more processes.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(  # noqa: S603 - the running Python
                [sys.executable, "-P", "-c", f"import sys; sys.path[:] = sys.argv[1:]; {program}", *sys.path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            self.connection = Connection(ours.detach())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self._process.kill()
        self._process.wait()

    def send(self, message: bytes) -> None:
        """Send a message. If the helper has ended, nothing happens: `receive` reports it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(message)

    def receive(self) -> bytes | None:
        """Wait for a message; None if the helper has ended."""
        try:
            return self.connection.recv_bytes()
        except (EOFError, ConnectionResetError):
            return None


def connection_to_parent() -> Connection:
    """Return, inside a helper, its connection to the process that started it."""
    return Connection(os.dup(sys.stdin.fileno()))
