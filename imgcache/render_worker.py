"""What runs in a worker process of `render_pool`: the task in hand, and the limits that the process is put under.

The parent imports it too, to name these functions; the processor is loaded by the fork server, once, before any worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from imgcache.atomic import writing
from imgcache.models import Header, Limits, Rendered
from imgcache.recipes import Recipe

T = TypeVar("T")

_OPEN_FILES = 64
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h


def render(path: str | Path, folder: str | Path, recipes: tuple[Recipe, ...], limits: Limits) -> Rendered:
    """`processor.render` into a folder that it makes."""
    from imgcache import processor  # in the worker alone: the parent, which imports this file, never needs Pillow

    with writing(Path(folder)):
        Path(folder).mkdir(mode=0o755, exist_ok=True)
    return processor.render(path, folder, recipes, limits)


def probe(path: str | Path, limits: Limits) -> Header:
    """`processor.probe`."""
    from imgcache import processor

    return processor.probe(path, limits)


def task(seconds: float, function: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
    """One task. The alarm ends a decoder that hangs after its parent was killed, when nobody else counts."""
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds + 1)
    try:
        return function(*args, **kwargs)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def confine(memory: int, file_size: int) -> None:
    """Before the first task: bytes of memory above what it has now, bytes of the largest file."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Pebble's handler would wait for a C decoder to come back
    for what, limit in (
        (resource.RLIMIT_AS, _address_space() + memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(what, limit)
    _leave_network()


def _lower(what: int, limit: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS has the names, but not all of the limits
        resource.setrlimit(what, (limit, limit))


def _address_space() -> int:
    """Bytes mapped now; without /proc a generous guess."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 2_000_000_000
    return pages * resource.getpagesize()


def _leave_network() -> None:
    """Best effort: a network namespace of our own, empty (Linux; root, or where user namespaces are open to all)."""
    if sys.platform != "linux":
        return
    unshare = ctypes.CDLL(None).unshare
    if unshare(_CLONE_NEWNET) != 0:
        unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
