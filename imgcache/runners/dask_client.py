"""Connects to the Dask scheduler that --dask names: an existing one, or one here for the duration of the command.

The client runs in a thread of its own, so that a command that reads a million articles still answers its scheduler.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import dask
import distributed

from imgcache.core import ConfigError, clean_text, ctrl_c_blocked

_dask: Any = distributed  # only partly typed

CONNECT_TIMEOUT = 5.0  # seconds to reach a scheduler
_NO_DASK = "what answers there does not speak the protocol of Dask"
_LOCAL = "local:"

_LOCAL_SETTINGS = {
    "distributed.worker.daemon": False,  # a daemon cannot have child processes, and the render pool needs them
    "distributed.scheduler.http.routes": [],  # the server cannot be disabled; it listens on 127.0.0.1 only
    "distributed.worker.http.routes": [],
    "distributed.nanny.pre-spawn-environ.PYTHONSAFEPATH": "1",  # import nothing from the working directory
}


def is_local(where: str) -> bool:
    """Return whether `where` names processes on this machine."""
    return where.startswith(_LOCAL)


@contextlib.contextmanager
def connect_client(where: str) -> Iterator[Any]:
    """Yield a connected `distributed.Client`.

    Args:
        where: the address of a scheduler, or `local:N` for N processes on this machine.

    Raises:
        ConfigError: the address is invalid, or no scheduler answers there.
    """
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(_connected(stack, where))


def _connected(stack: contextlib.ExitStack, where: str) -> Any:
    if is_local(where):
        count = where.removeprefix(_LOCAL)
        if not count.isascii() or not count.isdecimal() or not 1 <= int(count) <= 256:
            raise ConfigError(f"{clean_text(where, 80)} is not local:N with N from 1 to 256", where="--dask")
        return _dask.Client(stack.enter_context(_cluster(stack, int(count))), set_as_default=False)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the error below says it in one line
    try:
        asyncio.run(_shake_hands(where))
        return _dask.Client(where, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except Exception as error:  # the answer may be any bytes, and Dask raises whatever they lead to
        reason = str(error) or f"no answer in {CONNECT_TIMEOUT:g} s"
        reason = reason if isinstance(error, OSError | ValueError) else _NO_DASK
        raise ConfigError(
            f"no scheduler answers at {clean_text(where, 200)} ({clean_text(reason, 200)}): start one with"
            " `dask scheduler`, or use this machine with --dask local:N",
            where="--dask",
        ) from error


async def _shake_hands(where: str) -> None:
    """Connects once and leaves, because a `Client` that cannot connect takes 10 s and a traceback to go away."""
    comm = await asyncio.wait_for(_dask.comm.connect(where, timeout=CONNECT_TIMEOUT), CONNECT_TIMEOUT + 1)
    await comm.close()


def _cluster(stack: contextlib.ExitStack, count: int) -> Any:
    stack.enter_context(dask.config.set(_LOCAL_SETTINGS))
    try:
        with ctrl_c_blocked():
            return _dask.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                security=True,  # certificates for this run only: otherwise any user of this machine could send tasks
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
            )
    except ImportError as error:  # the package that makes certificates
        raise ConfigError(f"{clean_text(str(error), 200)}: pip install 'imgcache[scale]'", where="--dask") from error
