"""Tracks which workers of a scheduler a run can use, as they join and leave.

Coroutines run on the event loop of the client; what they record may be read from another thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from imgcache.core import ConfigError, clean_text
from imgcache.runners.dask_worker import RunSpec, describe_worker, open_session, usable_worker

_FIRST = 30.0  # seconds to wait for a first worker
_ANSWER = 30.0  # seconds for a worker to describe itself, and as many to open its session


class WorkerInfo:
    """A worker that has described itself."""

    def __init__(self, identity: str, reason: str | None) -> None:
        self.identity = identity  # of its process; another one may have the same address later
        self.reason = reason  # why it cannot be used
        self.is_ready = False
        self.gone = asyncio.Event()  # set when it certainly does nothing for the run any more


class WorkerList:
    """The present workers of a scheduler."""

    def __init__(self, client: Any, where: str, contract: RunSpec, grace: float) -> None:
        """Take the connection.

        Args:
            client: a connected `distributed.Client`.
            where: names the scheduler in messages.
            contract: the run.
            grace: seconds until a worker that left, and may still live, has certainly stopped.
        """
        self._client = client
        self._where = where
        self._contract = contract
        self._grace = grace
        self._members: dict[str, WorkerInfo] = {}  # replaced and never modified, because other threads read it
        self._joining: dict[str, asyncio.Task[None]] = {}

    # -- from any thread -----------------------------------------------------------------------------------------------

    def usable(self) -> list[str]:
        """Return the addresses of the workers that are ready."""
        return [worker for worker, member in self._members.items() if member.is_ready]

    def reasons(self) -> dict[str, str]:
        """Return the addresses of the workers that cannot be used, and why."""
        return {worker: member.reason for worker, member in sorted(self._members.items()) if member.reason is not None}

    # -- on the client's loop ------------------------------------------------------------------------------------------

    async def check_workers(self) -> None:
        """Ask all present workers to describe themselves.

        Raises:
            ConfigError: one of them cannot be used, or there is none.
        """
        end = time.monotonic() + _FIRST
        while True:
            await asyncio.gather(*map(self._describe, await self._client.nthreads()))
            if self._members:
                break
            if time.monotonic() > end:
                raise ConfigError(
                    f"no worker has answered at {self._where} within {_FIRST:g} s: start some with `dask worker`",
                    where="--dask",
                )
            await asyncio.sleep(0.1)
        self._raise_first_reason()

    async def start_sessions(self) -> None:
        """Let all workers begin to open their sessions; `ready` waits for that."""
        for worker in self._members:
            self._start_joining(worker, self._open)

    async def wait_until_ready(self) -> None:
        """Wait until all workers have tried to open their sessions.

        Raises:
            ConfigError: none of them could.
        """
        await asyncio.gather(*self._joining.values())
        if not self.usable():
            self._raise_first_reason()

    async def update(self) -> None:
        """Remove workers that have left, and let new ones begin to join.

        Raises:
            OSError: the scheduler does not answer.
        """
        present = set(await self._client.nthreads())
        for worker in self._members.keys() - present:
            self.remove(worker)
        for worker in present - self._members.keys() - self._joining.keys():
            self._start_joining(worker, self._join)

    def get(self, worker: str) -> WorkerInfo | None:
        """Return the worker at this address, if there is one."""
        return self._members.get(worker)

    def remove(self, worker: str) -> None:
        """Remove the worker at this address; if there still is one, it joins again at the next update."""
        member = self._members.get(worker)
        if member is not None:
            self._members = {name: other for name, other in self._members.items() if name != worker}
            asyncio.get_running_loop().call_later(self._grace, member.gone.set)

    async def close(self) -> None:
        """Stop waiting for workers that are joining."""
        for task in self._joining.values():
            task.cancel()
        await asyncio.gather(*self._joining.values(), return_exceptions=True)

    def _start_joining(self, worker: str, join: Callable[[str], Any]) -> None:
        task = self._joining[worker] = asyncio.ensure_future(join(worker))
        task.add_done_callback(lambda _: self._joining.pop(worker))

    async def _join(self, worker: str) -> None:
        await self._describe(worker)
        await self._open(worker)

    async def _describe(self, worker: str) -> None:
        answer = await self._ask(worker, describe_worker, self._contract.check, self._contract.spec)
        if not isinstance(answer, OSError):  # else it has left, or is asked again at the next update
            self._members = {**self._members, worker: WorkerInfo(*usable_worker(answer))}

    async def _open(self, worker: str) -> None:
        member = self._members.get(worker)
        if member is None or member.reason is not None:
            return
        answer = await self._ask(worker, open_session, self._contract)
        if isinstance(answer, OSError):
            self.remove(worker)
        elif answer is None:
            member.is_ready = True
        else:
            member.reason = f"cannot start its session: {clean_text(str(answer), 200)}"

    async def _ask(self, worker: str, function: Callable[..., object], *args: object) -> object:
        """Return what the function returned or raised there, or an OSError if no answer came."""
        asked = self._client.run(function, *args, workers=[worker], on_error="return")
        try:
            answers: dict[str, object] = await asyncio.wait_for(asked, _ANSWER)
        except OSError as error:
            return error
        return answers[worker]

    def _raise_first_reason(self) -> None:
        for worker, reason in self.reasons().items():
            raise ConfigError(f"the worker {worker} {reason}", where="--dask")
