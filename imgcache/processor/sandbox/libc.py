"""prctl, unshare and syscall of the C library (manual, section 2), which Python does not offer. True is success."""

from __future__ import annotations

import ctypes
from functools import cache


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int, pointer: int = 0) -> bool:
    """Change a property of this process. Unused arguments are 0, as the kernel requires for some options."""
    words = (ctypes.c_ulong(one) for one in (value, pointer, 0, 0))
    return int(_library().prctl(ctypes.c_int(option), *words)) == 0


def unshare(flags: int) -> bool:
    """Leave namespaces for new ones."""
    return int(_library().unshare(ctypes.c_int(flags))) == 0


def syscall(number: int, *words: int) -> int:
    """Make a system call by its number and return the result, -1 for an error."""
    function = _library().syscall
    function.restype = ctypes.c_long
    return int(function(ctypes.c_long(number), *(ctypes.c_ulong(word) for word in words)))
