"""The few calls into the C library that Python has no names for. True is success; errno is not needed by anybody."""

from __future__ import annotations

import ctypes
from functools import cache


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int, pointer: int = 0) -> bool:
    """Operate on this process (prctl, section 2 of the manual). Unused arguments are 0, as the kernel demands for some options."""
    words = (ctypes.c_ulong(one) for one in (value, pointer, 0, 0))
    return int(_library().prctl(ctypes.c_int(option), *words)) == 0


def unshare(flags: int) -> bool:
    """Leave namespaces for new ones (unshare, section 2 of the manual)."""
    return int(_library().unshare(ctypes.c_int(flags))) == 0


def syscall(number: int, *words: int) -> int:
    """What the kernel returns for a system call by its number (syscall, section 2 of the manual); -1 where it refuses."""
    function = _library().syscall
    function.restype = ctypes.c_long
    return int(function(ctypes.c_long(number), *(ctypes.c_ulong(word) for word in words)))
