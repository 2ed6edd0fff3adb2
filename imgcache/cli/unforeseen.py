"""Describes an unexpected exception to the user: what happened, and what to do about it."""

from __future__ import annotations

import errno
import resource
import sqlite3
import traceback

_NO_MEMORY = (
    "the system gives this process too little memory ({reason}): raise its limit (ulimit -v, the container's), or start"
    " fewer workers with --jobs"
)
# Messages of libraries for ENOMEM: the loader (dlopen), the threads of Python, SQLite.
_NO_MEMORY_MESSAGES = ("cannot allocate memory", "failed to map segment", "can't start new thread", "out of memory")


def describe(error: BaseException) -> str:
    """Returns one line about an exception that no part of the program expected."""
    error = _first(error)
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or _is_lack_of_memory(error):
        return _NO_MEMORY.format(reason=reason)
    if isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}; what was finished is kept (-v shows where it happened)"
    return (
        f"internal error: {type(error).__name__}: {reason} ({_place(error)}); what was finished is kept. This is a"
        " mistake in imgcache: run the command again with -v and report what it prints as an issue"
    )


def trace(error: BaseException) -> str:
    """Returns the traceback, for -v."""
    return "".join(traceback.format_exception(error)).rstrip("\n")


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, sqlite3.OperationalError) and "disk I/O error" in str(error):
        # SQLite says so when it cannot map the file of its log, which a limit of the address space prevents.
        return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    if isinstance(error, SystemError) and "without setting an exception" in str(error):
        return True  # the interpreter itself found no memory for an exception
    is_of_library = isinstance(error, ImportError | RuntimeError | OSError | sqlite3.Error)
    return is_of_library and any(text in str(error).lower() for text in _NO_MEMORY_MESSAGES)


def _place(error: BaseException) -> str:
    """Returns the innermost line of imgcache in the traceback; without any, the innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/imgcache/" in frame.filename.replace("\\", "/")] or frames
    if not ours:
        return "at an unknown place"
    return f"{ours[-1].filename.rpartition('/imgcache/')[2]}:{ours[-1].lineno}"
