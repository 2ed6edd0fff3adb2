"""Keeps Ctrl-C from child processes: a terminal sends it to all processes of a command."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Block SIGINT, so that threads and processes that are started within ignore Ctrl-C."""
    resource_tracker.ensure_running()  # first: starting it unblocks the signal (multiprocessing/resource_tracker.py)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
