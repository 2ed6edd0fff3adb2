"""Ctrl-C, which a terminal sends to every process of a command: this one decides what becomes of the others."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Threads and processes that are started in the block, and those that they start, take no notice of Ctrl-C."""
    resource_tracker.ensure_running()  # first: starting it unblocks the signal (multiprocessing/resource_tracker.py)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
