"""What the kernel takes from a process for good, before the process touches bytes of strangers.

After `enter` the process keeps the memory, the open descriptors and the processor time that it has. It opens no file,
starts no process or thread, makes no socket, changes no attribute of a file, sends no signal but to itself, and looks
into no other process. None of this can be undone, and it needs no privilege.

Two mechanisms of Linux refuse the same things independently: a seccomp filter refuses the system calls, and Landlock
refuses the access. Where the kernel has only one of them, the other still holds; `Protections` says which do. On other
systems than Linux there is neither. Limit: what a process was given stays in its hands, its memory too.
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
    """Which protections hold in a process. `landlock` is the version of its interface (ABI); 0: the kernel has none."""

    no_new_privileges: bool = False
    undumpable: bool = False
    no_network: bool = False
    seccomp: bool = False
    landlock: int = 0

    def __str__(self) -> str:
        """For people: what holds, then what does not."""
        names = {
            "no new privileges": self.no_new_privileges,
            "memory closed to other processes": self.undumpable,
            "no network": self.no_network,
            "system calls filtered (seccomp)": self.seccomp,
            f"no file can be opened (Landlock, ABI {self.landlock})": self.landlock > 0,
        }
        missing = [name.partition(", ABI")[0].rstrip(")") for name, holds in names.items() if not holds]
        text = "; ".join(name for name, holds in names.items() if holds) or "none"
        return f"{text}. Not here: {'; '.join(missing)}" if missing else text


def enter(parent: int) -> Protections:
    """Give up everything that decoding does not need. To be called once, in a process with one thread.

    What has to be imported or opened is imported and opened before.

    Args:
        parent: process id of the process that forked this one; this one ends with it.

    Returns:
        What holds from now on. A protection that the kernel refuses is left out, not an error.
    """
    if sys.platform != "linux":
        return Protections()
    no_network = _leave_network()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(0)
    undumpable = libc.prctl(_PR_SET_DUMPABLE, 0)  # no ptrace, no /proc/PID/mem, by others of this user
    no_new_privileges = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)  # what the following two ask for
    abi = landlock.restrict() if no_new_privileges else 0
    filtered = no_new_privileges and seccomp.restrict(platform.machine(), os.getpid())
    return Protections(no_new_privileges, undumpable, no_network or filtered, filtered, abi)


def _leave_network() -> bool:
    """An empty network namespace: for root, or where user namespaces are open to all users."""
    return libc.unshare(_CLONE_NEWNET) or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
