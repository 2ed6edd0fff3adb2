"""Which of a scheduler's workers a run can use: each is asked who it is when it comes, and is missed when it goes.

Coroutines run on the loop of the client; what they find out may be read from another thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from imgcache.core import ConfigError, clean_text
from imgcache.runners.dask_worker import RunSpec, describe_worker, open_parts, usable_worker

_FIRST = 30.0  # seconds until a first worker has come
_ANSWER = 30.0  # seconds for a worker to say who it is, and as many to open its parts


class WorkerInfo:
    """A worker that has said who it is."""

    def __init__(self, identity: str, reason: str | None) -> None:
        self.identity = identity  # of its process: another one may have its address later
        self.reason = reason  # why it is of no use
        self.is_ready = False
        self.gone = asyncio.Event()  # it does nothing for the run any more


class WorkerList:
    """The workers that are there."""

    def __init__(self, client: Any, where: str, contract: RunSpec, grace: float) -> None:
        """`where` names the scheduler in messages. `grace`: seconds for a worker that left, and may live, to stop."""
        self._client = client
        self._where = where
        self._contract = contract
        self._grace = grace
        self._members: dict[str, WorkerInfo] = {}  # never changed, but replaced: others read it meanwhile
        self._meetings: dict[str, asyncio.Task[None]] = {}

    # -- for any thread ------------------------------------------------------------------------------------------------

    def of_use(self) -> list[str]:
        """The addresses of those that are ready for work."""
        return [worker for worker, member in self._members.items() if member.is_ready]

    def reasons(self) -> dict[str, str]:
        """The addresses of those that are of no use, and why."""
        return {worker: member.reason for worker, member in sorted(self._members.items()) if member.reason is not None}

    # -- on the client's loop ------------------------------------------------------------------------------------------

    async def assemble(self) -> None:
        """Ask all who are there who they are.

        Raises:
            ConfigError: one of them is of no use, or there is none.
        """
        end = time.monotonic() + _FIRST
        while True:
            await asyncio.gather(*map(self._greet, await self._client.nthreads()))
            if self._members:
                break
            if time.monotonic() > end:
                raise ConfigError(
                    f"no worker has answered at {self._where} within {_FIRST:g} s: start some with `dask worker`",
                    where="--dask",
                )
            await asyncio.sleep(0.1)
        self._refuse()

    async def begin(self) -> None:
        """Have all open their parts: `ready` waits for that."""
        for worker in self._members:
            self._meet(worker, self._open)

    async def ready(self) -> None:
        """Returns when all have tried to open their parts.

        Raises:
            ConfigError: none of them could.
        """
        await asyncio.gather(*self._meetings.values())
        if not self.of_use():
            self._refuse()

    async def look_around(self) -> None:
        """Miss those who have gone, and meet the new ones, which goes on afterwards. Raises OSError."""
        there = set(await self._client.nthreads())
        for worker in self._members.keys() - there:
            self.miss(worker)
        for worker in there - self._members.keys() - self._meetings.keys():
            self._meet(worker, self._welcome)

    def member(self, worker: str) -> WorkerInfo | None:
        """The worker at this address, if it is there."""
        return self._members.get(worker)

    def miss(self, worker: str) -> None:
        """The worker at this address has gone. If there still is one, it is asked who it is."""
        member = self._members.get(worker)
        if member is not None:
            self._members = {name: other for name, other in self._members.items() if name != worker}
            asyncio.get_running_loop().call_later(self._grace, member.gone.set)

    async def close(self) -> None:
        """Wait for nobody any more."""
        for meeting in self._meetings.values():
            meeting.cancel()
        await asyncio.gather(*self._meetings.values(), return_exceptions=True)

    def _meet(self, worker: str, how: Callable[[str], Any]) -> None:
        meeting = self._meetings[worker] = asyncio.ensure_future(how(worker))
        meeting.add_done_callback(lambda _: self._meetings.pop(worker))

    async def _welcome(self, worker: str) -> None:
        await self._greet(worker)
        await self._open(worker)

    async def _greet(self, worker: str) -> None:
        answer = await self._ask(worker, describe_worker, self._contract.check, self._contract.spec)
        if not isinstance(answer, OSError):  # else it has gone, or is asked again at the next look
            self._members = {**self._members, worker: WorkerInfo(*usable_worker(answer))}

    async def _open(self, worker: str) -> None:
        member = self._members.get(worker)
        if member is None or member.reason is not None:
            return
        answer = await self._ask(worker, open_parts, self._contract)
        if isinstance(answer, OSError):
            self.miss(worker)
        elif answer is None:
            member.is_ready = True
        else:
            member.reason = f"cannot open its part of the work: {clean_text(str(answer), 200)}"

    async def _ask(self, worker: str, function: Callable[..., object], *args: object) -> object:
        """What it answers; an exception is an answer too, OSError where none came."""
        asked = self._client.run(function, *args, workers=[worker], on_error="return")
        try:
            answers: dict[str, object] = await asyncio.wait_for(asked, _ANSWER)
        except OSError as error:
            return error
        return answers[worker]

    def _refuse(self) -> None:
        for worker, reason in self.reasons().items():
            raise ConfigError(f"the worker {worker} {reason}", where="--dask")
