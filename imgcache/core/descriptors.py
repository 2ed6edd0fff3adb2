"""How many files and connections this process may have open: the limit raised, and shared out."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pathlib
import resource

import msgspec

logger = logging.getLogger(__name__)

RESERVE = 32  # for databases, pipes to workers, articles and variants: a sync has about 24 open, measured
MOST_IDLE = 256  # connections kept for a next request: a host that has no more images has no use for them
_EACH = 3  # of one request: its connection, a second one while addresses race (RFC 8305), a file or the resolver's
_MACOS_MOST = 10_240  # OPEN_MAX of its kernel, above which setrlimit(2) fails although the hard limit is "unlimited"
_LACK = frozenset({errno.EMFILE, errno.ENFILE})


class Room(msgspec.Struct, frozen=True):
    """How many requests may be under way at once, and how many connections may wait for a next request beside them."""

    at_once: int
    idle: int


def raise_limit() -> int:
    """Raise the soft limit of open files as far as this user may; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MACOS_MOST):
        if soft == hard or (soft != resource.RLIM_INFINITY and soft >= wanted != resource.RLIM_INFINITY):
            break
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return soft


def room(wanted: int) -> Room:
    """The share of connections, for a run that would have `wanted` requests under way at once."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return Room(wanted, MOST_IDLE)
    found = share(limit, _in_use(), wanted)
    if found.at_once < wanted:
        logger.warning(
            "only %d requests at once in place of %d (fetch.concurrency): at most %d files may be open (ulimit -n)",
            *(found.at_once, wanted, limit),
        )
    return found


def share(limit: int, in_use: int, wanted: int) -> Room:
    """What `room` says, where so many files may be open and so many are. Pure. At least one request."""
    left = max(0, limit - in_use - RESERVE)
    at_once = max(1, min(wanted, left // _EACH))
    return Room(at_once, max(0, min(MOST_IDLE, left - _EACH * at_once)))


def is_lack(error: BaseException) -> bool:
    """Whether an exception, or one that it came of, says that no more files can be opened."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, OSError) and link.errno in _LACK:
            return True
        link = link.__cause__ or link.__context__
    return False


def are_left() -> bool:
    """Whether one more file can be opened now. For where a system's answer hides that: getaddrinfo(3) is one."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return not is_lack(error)
    return True


def _in_use() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(list(pathlib.Path(folder).iterdir()))
    return RESERVE
