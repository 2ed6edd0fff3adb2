"""The scheduler that --dask names, as a client: one that runs somewhere, or one here for as long as the command lasts.

The client lives in a thread of its own, so that a command which reads a million articles does not fall silent towards
its scheduler.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import dask
import distributed

from imgcache.core import ConfigError, clean_text, ctrl_c_blocked

_dask: Any = distributed  # half of it has no types

_CONNECT = 5.0  # seconds to reach a scheduler
_HERE = "local:"

_ON_THIS_MACHINE = {
    "distributed.worker.daemon": False,  # a daemon could have no children, and the render pool are children
    "distributed.scheduler.http.routes": [],  # the server itself cannot be left out; it listens on 127.0.0.1 alone
    "distributed.worker.http.routes": [],
    "distributed.nanny.pre-spawn-environ.PYTHONSAFEPATH": "1",  # nothing of the working directory is imported
}


def is_here(where: str) -> bool:
    """Whether that names processes of this machine."""
    return where.startswith(_HERE)


@contextlib.contextmanager
def client_at(where: str) -> Iterator[Any]:
    """A `distributed.Client` that is connected, for as long as the block lasts.

    Args:
        where: the address of a scheduler, or `local:N` for N processes here.

    Raises:
        ConfigError: there is no such place, or it does not answer.
    """
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(_connected(stack, where))


def _connected(stack: contextlib.ExitStack, where: str) -> Any:
    if is_here(where):
        count = where.removeprefix(_HERE)
        if not count.isascii() or not count.isdecimal() or not 1 <= int(count) <= 256:
            raise ConfigError(f"{clean_text(where, 80)} is not local:N with N from 1 to 256", where="--dask")
        return _dask.Client(stack.enter_context(_cluster(stack, int(count))), set_as_default=False)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it has to say, we say in one line
    try:
        return _dask.Client(where, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = clean_text(str(error), 200) or "it takes too long"
        raise ConfigError(
            f"no scheduler answers at {clean_text(where, 200)} ({reason}): start one with `dask scheduler`, or work"
            " here with --dask local:N",
            where="--dask",
        ) from error


def _cluster(stack: contextlib.ExitStack, count: int) -> Any:
    stack.enter_context(dask.config.set(_ON_THIS_MACHINE))
    try:
        with ctrl_c_blocked():
            return _dask.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                security=True,  # certificates for this run alone: else everybody on this machine could send tasks
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
            )
    except ImportError as error:  # the package that makes certificates
        raise ConfigError(f"{clean_text(str(error), 200)}: pip install 'imgcache[scale]'", where="--dask") from error
