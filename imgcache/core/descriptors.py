"""The limit of open files and connections: raises it, and divides it among requests."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pathlib
import resource

import msgspec

logger = logging.getLogger(__name__)

RESERVE = 32  # for databases, pipes to workers, articles and variants; measured: a sync has about 24 open
MAX_IDLE_CONNECTIONS = 256  # connections kept open for further requests
_PER_REQUEST = 3  # its connection, a second one while addresses race (RFC 8305), and a file or the resolver's
_MACOS_LIMIT = 10_240  # OPEN_MAX of its kernel, above which setrlimit(2) fails although the hard limit is "unlimited"
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})


class ConnectionLimits(msgspec.Struct, frozen=True):
    """How many requests may run at once, and how many idle connections may be kept beside them."""

    requests: int
    idle: int


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files as far as this user may, and return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MACOS_LIMIT):
        if soft == hard or (soft != resource.RLIM_INFINITY and soft >= wanted != resource.RLIM_INFINITY):
            break
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return soft


def connection_limits(wanted: int) -> ConnectionLimits:
    """Returns the numbers of connections for a run that wants `wanted` requests at once."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return ConnectionLimits(wanted, MAX_IDLE_CONNECTIONS)
    found = compute_limits(limit, _in_use(), wanted)
    if found.requests < wanted:
        logger.warning(
            "only %d requests at once instead of %d (fetch.concurrency): at most %d files may be open (ulimit -n)",
            *(found.requests, wanted, limit),
        )
    return found


def compute_limits(limit: int, in_use: int, wanted: int) -> ConnectionLimits:
    """Computes what `room` returns: at least one request.

    Args:
        limit: how many files may be open.
        in_use: how many are open.
        wanted: requests at once.
    """
    left = max(0, limit - in_use - RESERVE)
    at_once = max(1, min(wanted, left // _PER_REQUEST))
    return ConnectionLimits(at_once, max(0, min(MAX_IDLE_CONNECTIONS, left - _PER_REQUEST * at_once)))


def is_out_of_descriptors(error: BaseException) -> bool:
    """Whether an exception, or one of its causes, says that no more files can be opened."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, OSError) and link.errno in _TOO_MANY:
            return True
        link = link.__cause__ or link.__context__
    return False


def can_open_files() -> bool:
    """Whether one more file can be opened now. For system calls whose error hides it, such as getaddrinfo(3)."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return not is_out_of_descriptors(error)
    return True


def _in_use() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(list(pathlib.Path(folder).iterdir()))
    return RESERVE
