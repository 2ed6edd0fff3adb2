"""The parent's side of worker processes: starts them by the fork server, gives them tasks, watches and kills them.

One fork server serves all pools of a process. It has an environment without secrets, and ends with this process. From
workers only frames of limited length are read (`channel`); the server reports the process id and the exit of each one.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import secrets
import signal
import socket
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from imgcache.core import DecoderCrash, clean_text
from imgcache.processor.channel import ANSWER, DESCRIPTORS, LARGEST_ANSWER, NUMBER, TASK, BadAnswer, Ready, unpacked
from imgcache.processor.forkserver import FORK, KILL, REQUEST, STATUS
from imgcache.processor.sandbox import Protections

_SERVER_CODE = (
    "import sys; sys.path.append(sys.argv[1]); from imgcache.processor.forkserver import main; main(int(sys.argv[2]))"
)
_ROOT = str(Path(__file__).parents[1])  # where this package is; last in the path of the server
# What an interpreter needs to start. All other variables may be secrets.
_KEPT_VARIABLES = frozenset({"HOME", "LANG", "LANGUAGE", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"})
_KEPT_PREFIXES = ("DYLD_", "LC_", "LD_", "PYTHON")
# Make glibc (mallopt(3)) keep memory for the next picture: memory that was returned to the system has to be mapped
# again, page by page. The settings of Dask's nanny do the opposite, which costs a fifth of the time.
_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(256 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
_CHUNK = 65_536  # bytes read at once: nearly always the whole answer
_START = 60.0  # seconds for the server to import the processor, on the slowest of machines


class WorkerLost(Exception):
    """A worker ended before it began the task, so that another can do it."""


class WorkerDied(Exception):
    """A worker ended during a task. `code` is as in `subprocess.Popen.returncode`, None if unknown."""

    def __init__(self, code: int | None) -> None:
        super().__init__(_cause(code))
        self.code = code


class ForkServer:
    """The fork server of this process; `process` is its id. `fork_server()` starts it if necessary."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        atexit.register(self._control.close)
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            flags = ["-E"] * sys.flags.ignore_environment + ["-s"] * sys.flags.no_user_site
            words = [sys.executable, *flags, "-P", "-c", _SERVER_CODE, _ROOT, str(theirs.fileno())]
            self.process = spawn(words, environment(os.environ), theirs.fileno())
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def is_running(self) -> bool:
        """Whether it is running and belongs to this process; a fork of this process has none."""
        if self._owner != os.getpid():
            return False
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(self.process, os.WNOHANG)[0] == 0
        return False

    def fork(self, channel: socket.socket, status: socket.socket) -> None:
        """Request a new worker, which gets these ends of two socket pairs.

        Raises:
            OSError: the server has ended.
        """
        with self._lock:
            socket.send_fds(self._control, [REQUEST.pack(FORK, 0)], [channel.fileno(), status.fileno()])

    def kill(self, process: int) -> None:
        """Kill a worker if it is running. The server does it, because only it knows whether the id is still valid."""
        with self._lock, contextlib.suppress(OSError):
            self._control.sendall(REQUEST.pack(KILL, process))

    def reason(self) -> str:
        """Returns why the server could not start, if it reported a reason."""
        with contextlib.suppress(OSError):
            return clean_text(self._control.recv(4096, socket.MSG_DONTWAIT).decode(errors="replace"), 500)
        return ""


def spawn(words: Sequence[str], variables: Mapping[str, str], descriptor: int) -> int:
    """Start a program that ignores Ctrl-C from the beginning, and return its process id.

    Standard input, output and error are /dev/null: libtiff and others write text from files there.
    """
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    keep = [(os.POSIX_SPAWN_DUP2, descriptor, descriptor)]
    return os.posix_spawn(
        words[0], list(words), variables, file_actions=[*silent, *keep], setsigmask=[signal.SIGINT], setsigdef=[]
    )


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables for the fork server. Workers can read all of them in their memory."""
    kept = (name for name in variables if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES))
    return {name: variables[name] for name in kept} | _MEMORY


_starting = threading.Lock()
_running: list[ForkServer] = []


def fork_server() -> ForkServer:
    """Returns the fork server of this process, and starts it if necessary without waiting for its imports."""
    with _starting:
        if not (_running and _running[0].is_running()):
            _running[:] = [ForkServer()]
        return _running[0]


class Worker:
    """One worker process, which does one task at a time."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._channel, channel = socket.socketpair()
        self._status, status = socket.socketpair()
        self._channel.setblocking(False)
        self._status.setblocking(False)
        self._ending: asyncio.Task[int | None] | None = None
        self.process = 0
        self.tasks = 0
        self.protections = Protections()
        with channel, status, contextlib.suppress(OSError):  # if the server has ended, `start` finds both ends closed
            server.fork(channel, status)

    @classmethod
    async def start(cls, settings: bytes) -> Self:
        """Start a new worker.

        Args:
            settings: a pickle of `channel.Settings`.

        Raises:
            WorkerLost: it ended at once, or its server did.
            DecoderCrash: no worker can be started; the message says why.
        """
        worker = cls(fork_server())
        try:
            async with asyncio.timeout(_START):
                await worker._begin(settings)
        except TimeoutError as error:
            worker.kill()
            raise DecoderCrash(f"a worker process did not start within {_START:g} s") from error
        except BaseException:
            worker.kill()
            raise
        return worker

    async def _begin(self, settings: bytes) -> None:
        try:
            number = await self._send(settings, ())
            status = await _exactly(self._status, STATUS.size)
            self._ending = asyncio.create_task(self._end())
            if len(status) < STATUS.size:
                raise WorkerLost(self._server.reason())
            self.process = STATUS.unpack(status)[0]
            ready = unpacked(await self._receive(number))
        except (OSError, WorkerDied) as error:
            raise WorkerLost(self._server.reason() or str(error)) from error
        if not isinstance(ready, Ready):
            raise BadAnswer("a worker began with an unexpected message")
        self.protections = ready.protections

    async def do(self, task: bytes, descriptors: Sequence[int], seconds: float) -> bytes:
        """Send a task and return the encoded answer. After any error the worker must be killed.

        Args:
            task: the pickled task.
            descriptors: of its files.
            seconds: the time limit.

        Raises:
            WorkerLost: the worker had ended before.
            WorkerDied: it ended during this task.
            TimeoutError: there was no answer in time.
            BadAnswer: the answer is too long.
        """
        self.tasks += 1
        try:
            number = await self._send(task, descriptors)
        except OSError as error:
            raise WorkerLost from error
        async with asyncio.timeout(seconds):
            return await self._receive(number)

    def is_idle(self) -> bool:
        """Whether it waits for a task: it is running and has sent nothing unrequested."""
        try:
            self._channel.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def kill(self) -> None:
        """Kill the process immediately."""
        self._channel.close()
        if self.process:
            self._server.kill(self.process)
        if self._ending is None:  # it has not begun, and ends when it finds its channel closed
            self._status.close()

    async def ended(self) -> int | None:
        """How it ended, when it has: its exit code, or a signal's number below 0. None: the server ended first."""
        return None if self._ending is None else await asyncio.shield(self._ending)

    async def _end(self) -> int | None:
        with self._status, contextlib.suppress(OSError, struct.error):
            return int(STATUS.unpack(await _exactly(self._status, STATUS.size))[0])
        return None

    async def _send(self, data: bytes, descriptors: Sequence[int]) -> bytes:
        """Send one frame, and return its number."""
        number = secrets.token_bytes(NUMBER)
        frame = TASK.pack(number, len(data), len(descriptors)) + data
        sent = await _send_descriptors(self._channel, frame, descriptors[:DESCRIPTORS])
        if sent < len(frame):
            await asyncio.get_running_loop().sock_sendall(self._channel, frame[sent:])
        for start in range(DESCRIPTORS, len(descriptors), DESCRIPTORS):
            await _send_descriptors(self._channel, b"\0", descriptors[start : start + DESCRIPTORS])
        return number

    async def _receive(self, number: bytes) -> bytes:
        """Returns the answer to the frame of a number.

        Raises:
            WorkerLost: the worker ended without reading the frame (ECONNRESET on Linux), or sent an answer before the
                task, which means that an earlier image has taken it over.
            WorkerDied, BadAnswer: as `do`.
        """
        try:
            loop, data = asyncio.get_running_loop(), b""
            while len(data) < ANSWER.size and (chunk := await loop.sock_recv(self._channel, _CHUNK)):
                data += chunk
            if len(data) >= ANSWER.size:
                repeated, size = ANSWER.unpack_from(data)
                if repeated != number and self.tasks > 1:
                    raise WorkerLost("a worker sent an unrequested answer")
                if repeated != number or size > LARGEST_ANSWER:
                    raise BadAnswer(f"the worker announced an answer of {size:,} bytes")
                data += await _exactly(self._channel, size - (len(data) - ANSWER.size))
                if len(data) > ANSWER.size + size:
                    raise BadAnswer("the worker sent more than an answer")
                if len(data) == ANSWER.size + size:
                    return data[ANSWER.size :]
        except ConnectionError as error:
            raise WorkerLost from error
        raise WorkerDied(await self.ended())


async def _exactly(connection: socket.socket, size: int) -> bytes:
    """Returns `size` bytes, or fewer if the other end closes before."""
    loop, data = asyncio.get_running_loop(), bytearray()
    while len(data) < size and (chunk := await loop.sock_recv(connection, size - len(data))):
        data += chunk
    return bytes(data)


async def _send_descriptors(connection: socket.socket, data: bytes, descriptors: Sequence[int]) -> int:
    """Send data with descriptors, and return how many bytes were sent. The buffer nearly always has space."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    while True:
        with contextlib.suppress(BlockingIOError):
            return socket.send_fds(connection, [data], list(descriptors)) if descriptors else connection.send(data)
        loop.add_writer(connection, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(connection)
        ready.clear()


def _cause(code: int | None) -> str:
    if code is None:
        return "for an unknown reason"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit status {code}"
