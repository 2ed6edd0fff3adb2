"""Landlock without rules: no path can be opened, no TCP port used, no other process signalled.

Source: linux/landlock.h and Documentation/userspace-api/landlock.rst. The system call numbers are the same on every
machine. Descriptors that are open or arrive over a socket still work: that is how a worker gets its files.
"""

from __future__ import annotations

import ctypes
import os

from imgcache.processor.sandbox import libc

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_ASK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
# Access rights to files that each version of the interface knows: bits 0 to n - 1.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # 5: and all later
_TCP = 0b11  # bind, connect: from version 4
_SCOPES = 0b11  # abstract UNIX sockets, signals: from version 6


class _Attributes(ctypes.Structure):  # struct landlock_ruleset_attr
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def version() -> int:
    """Returns the version of the interface (ABI) of this kernel; 0 where it has none or it is disabled."""
    return max(0, libc.syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION))


def attributes(abi: int) -> tuple[int, int, int]:
    """Returns all rights that a version can restrict: bits of files, TCP and scopes."""
    return (1 << _FILE_RIGHTS[min(abi, 5)]) - 1, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0


def restrict() -> int:
    """Restrict this process and its children permanently as far as Landlock can.

    Returns:
        The version that holds, or 0.
    """
    abi = version()
    if abi < 1:
        return 0
    wanted = _Attributes(*attributes(abi))
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8  # of the structure, in the version that the kernel knows
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.addressof(wanted), size, 0)
    if ruleset < 0:
        return 0
    try:
        return abi if libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)
