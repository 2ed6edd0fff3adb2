"""A seccomp filter that allows the system calls of decoding. All others fail with EPERM.

Source: Documentation/userspace-api/seccomp_filter.rst, linux/seccomp.h, linux/bpf_common.h; the numbers are those of
asm/unistd_64.h and asm-generic/unistd.h. The list also has what other versions of glibc and musl call for the
same purposes. Tests render every file of the hard cases under the filter. Limit: x86-64 and 64-bit ARM; on other
machines there is no filter, because it was not tested there.
"""

from __future__ import annotations

import ctypes
import errno
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from imgcache.processor.sandbox import libc


class _Machine(NamedTuple):
    """`arch` is AUDIT_ARCH_… of linux/audit.h, `column` the place of its numbers in the tables below."""

    arch: int
    column: int


_MACHINES = {"x86_64": _Machine(0xC000003E, 0), "aarch64": _Machine(0xC00000B7, 1)}

# System call numbers on x86-64 and on 64-bit ARM; None where a machine has no such call.
_Numbers = tuple[int | None, int | None]
_ALLOWED: dict[str, _Numbers] = {
    # Open descriptors: the channel, the original, the output files.
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),  # musl writes with it
    "close": (3, 57),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "recvmsg": (47, 212),  # for the descriptors that come with a task; answers are written
    # Memory, never executable: mmap and mprotect are below.
    "brk": (12, 214),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    # Locks, own signals, time, random numbers: used by the C library and Python.
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "setitimer": (38, 103),  # the alarm around each task
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "getrandom": (318, 278),  # Python's dictionaries, malloc
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),  # Pillow counts processors when it decodes an AVIF
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_SIGNALS: dict[str, _Numbers] = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}  # abort() is one
_MAPPING: dict[str, _Numbers] = {"mmap": (9, 222), "mprotect": (10, 226)}
_PROT_EXEC = 4

# linux/bpf_common.h: load a word, jump if equal, jump if any bit is set, return.
_LOAD, _IF_EQUAL, _IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000  # SECCOMP_RET_…
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]  # struct sock_filter: code, jump if true, jump if false, operand


def program(machine: str, process: int) -> bytes | None:
    """Returns the filter program for a process id; None for an unknown machine."""
    if machine not in _MACHINES or sys.byteorder != "little":
        return None
    return b"".join(struct.pack("=HBBI", *one) for one in _instructions(_MACHINES[machine], process))


def _instructions(machine: _Machine, process: int) -> Iterator[Instruction]:
    yield from ((_LOAD, 0, 0, _ARCH), (_IF_EQUAL, 1, 0, machine.arch), (_RETURN, 0, 0, _KILL))
    yield _LOAD, 0, 0, _NUMBER
    for number in _numbers(_ALLOWED.values(), machine):
        yield from ((_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW))
    for number in _numbers(_MAPPING.values(), machine):
        yield from _by_argument(number, 2, (_IF_SET, 1, 0, _PROT_EXEC))
    for number in _numbers(_SIGNALS.values(), machine):
        yield from _by_argument(number, 0, (_IF_EQUAL, 0, 1, process))
    yield _RETURN, 0, 0, _REFUSE


def _by_argument(number: int, argument: int, test: Instruction) -> Iterator[Instruction]:
    """Allow a call by the lower half of one argument. `test` skips one instruction to refuse."""
    yield _IF_EQUAL, 0, 4, number
    yield _LOAD, 0, 0, _FIRST_ARGUMENT + 8 * argument
    yield test
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _REFUSE


def _numbers(calls: Iterable[_Numbers], machine: _Machine) -> list[int]:
    return [number for call in calls if (number := call[machine.column]) is not None]


class _Program(ctypes.Structure):  # struct sock_fprog
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def restrict(machine: str, process: int) -> bool:
    """Install the filter in this process permanently. Returns whether it holds."""
    instructions = program(machine, process)
    if instructions is None:
        return False
    memory = ctypes.create_string_buffer(instructions, len(instructions))
    wanted = _Program(len(instructions) // 8, ctypes.addressof(memory))
    return libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(wanted))
