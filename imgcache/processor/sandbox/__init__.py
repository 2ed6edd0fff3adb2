"""Confines a process before it reads untrusted images.

After `enter` the process still has its memory, its open descriptors and processor time. It cannot open files, start
processes or threads, create sockets, change attributes of files, send signals except to itself, or inspect other
processes. This cannot be undone, and needs no privilege.

Two mechanisms of Linux work independently: a seccomp filter refuses system calls, and Landlock refuses access. Where
the kernel has only one of them, that one still holds; `Protections` tells which hold. Other systems have neither.
Limit: the process keeps what it was given, and everything in its memory.
"""

from __future__ import annotations

import os
import platform
import signal
import sys

import msgspec

from imgcache.processor.sandbox import landlock, libc, seccomp

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
# linux/sched.h
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


class Protections(msgspec.Struct, frozen=True):
    """The protections of a process. `landlock` is the version of its interface (ABI), 0 where the kernel has none."""

    no_new_privileges: bool = False
    undumpable: bool = False
    no_network: bool = False
    seccomp: bool = False
    landlock: int = 0

    def __str__(self) -> str:
        """Describes for people what holds and what does not."""
        names = {
            "no new privileges": self.no_new_privileges,
            "memory closed to other processes": self.undumpable,
            "no network": self.no_network,
            "system calls filtered (seccomp)": self.seccomp,
            f"no file can be opened (Landlock, ABI {self.landlock})": self.landlock > 0,
        }
        missing = [name.partition(", ABI")[0].rstrip(")") for name, holds in names.items() if not holds]
        text = "; ".join(name for name, holds in names.items() if holds) or "none"
        return f"{text}. Not available: {'; '.join(missing)}" if missing else text


def enter(parent: int) -> Protections:
    """Give up everything that decoding does not need. Call it once, in a process with one thread.

    Everything needed must be imported and opened before.

    Args:
        parent: process id of the parent, with which this process ends.

    Returns:
        The protections that hold. It is no error if the kernel refuses one.
    """
    if sys.platform != "linux":
        return Protections()
    no_network = _leave_network()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the line above
        os._exit(0)
    undumpable = libc.prctl(_PR_SET_DUMPABLE, 0)  # no ptrace, no /proc/PID/mem, by others of this user
    no_new_privileges = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)  # required by the following two
    abi = landlock.restrict() if no_new_privileges else 0
    filtered = no_new_privileges and seccomp.restrict(platform.machine(), os.getpid())
    return Protections(no_new_privileges, undumpable, no_network or filtered, filtered, abi)


def _leave_network() -> bool:
    """Enter an empty network namespace, which works for root or where users may create user namespaces."""
    return libc.unshare(_CLONE_NEWNET) or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
