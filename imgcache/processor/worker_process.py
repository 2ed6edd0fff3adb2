"""Worker processes as the parent sees them: started by a fork server, given tasks, watched, killed.

One fork server serves all pools of a process. It is started with an environment that holds no secret and ends with this
process. Nothing that a worker sends is read but frames of a limited length (`render_channel`), and the server's own
words of each worker: its process id, and how it ended.
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

_CODE = (
    "import sys; sys.path.append(sys.argv[1]); from imgcache.processor.forkserver import main; main(int(sys.argv[2]))"
)
_ROOT = str(Path(__file__).parents[1])  # where this package lies: last in the server's path, if it is there at all
# What an interpreter needs to find itself. All other variables may be secrets.
_HARMLESS = frozenset({"HOME", "LANG", "LANGUAGE", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"})
_HARMLESS_BEGINNINGS = ("DYLD_", "LC_", "LD_", "PYTHON")
# Have glibc (mallopt(3)) keep what one picture used for the next one: given back to the system it is faulted in anew,
# page by page. Dask's nanny asks for just that: a fifth of the time.
_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(256 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
_PIECE = 65_536  # bytes of an answer read at once: nearly always all of it
_START = 60.0  # seconds for the server to import the processor, on the slowest of machines


class WorkerLost(Exception):
    """A worker ended before it took up the task; the same task can go to another."""


class WorkerDied(Exception):
    """A worker ended with a task in hand. `code` as in `subprocess.Popen.returncode`, None where nobody knows."""

    def __init__(self, code: int | None) -> None:
        super().__init__(_cause(code))
        self.code = code


class ForkServer:
    """The running fork server, `process` its id. Use `fork_server`, which starts it where it is not running."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        atexit.register(self._control.close)
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            flags = ["-E"] * sys.flags.ignore_environment + ["-s"] * sys.flags.no_user_site
            words = [sys.executable, *flags, "-P", "-c", _CODE, _ROOT, str(theirs.fileno())]
            self.process = spawn(words, environment(os.environ), theirs.fileno())
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def is_running(self) -> bool:
        """Whether it runs, for this process: a fork of this process has no server."""
        if self._owner != os.getpid():
            return False
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(self.process, os.WNOHANG)[0] == 0
        return False

    def fork(self, channel: socket.socket, status: socket.socket) -> None:
        """Ask for a worker that has these ends of two socket pairs.

        Raises:
            OSError: the server has gone.
        """
        with self._lock:
            socket.send_fds(self._control, [REQUEST.pack(FORK, 0)], [channel.fileno(), status.fileno()])

    def kill(self, process: int) -> None:
        """Kill a worker, if it has not ended. The server does it, which alone knows whose the process id is now."""
        with self._lock, contextlib.suppress(OSError):
            self._control.sendall(REQUEST.pack(KILL, process))

    def reason(self) -> str:
        """Why it could not start, as far as it said so."""
        with contextlib.suppress(OSError):
            return clean_text(self._control.recv(4096, socket.MSG_DONTWAIT).decode(errors="replace"), 500)
        return ""


def spawn(words: Sequence[str], variables: Mapping[str, str], descriptor: int) -> int:
    """Start a program that is deaf to Ctrl-C from its first instant on, without a terminal. Its process id.

    Standard input, output and error go nowhere: libtiff and others write there what a file told them to.
    """
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    keep = [(os.POSIX_SPAWN_DUP2, descriptor, descriptor)]
    return os.posix_spawn(
        words[0], list(words), variables, file_actions=[*silent, *keep], setsigmask=[signal.SIGINT], setsigdef=[]
    )


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What of these the fork server is started with. A worker could read all of it in its memory."""
    kept = (name for name in variables if name in _HARMLESS or name.startswith(_HARMLESS_BEGINNINGS))
    return {name: variables[name] for name in kept} | _MEMORY


_starting = threading.Lock()
_running: list[ForkServer] = []


def fork_server() -> ForkServer:
    """The fork server of this process, started if need be. It imports on; nothing here waits for it."""
    with _starting:
        if not (_running and _running[0].is_running()):
            _running[:] = [ForkServer()]
        return _running[0]


class Worker:
    """One worker process, ready for tasks. One task at a time."""

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
        with channel, status, contextlib.suppress(OSError):  # if the server has gone, `start` finds both ends closed
            server.fork(channel, status)

    @classmethod
    async def start(cls, settings: bytes) -> Self:
        """A new worker.

        Args:
            settings: a pickle of `render_channel.Settings`.

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
            told = await _exactly(self._status, STATUS.size)
            self._ending = asyncio.create_task(self._end())
            if len(told) < STATUS.size:
                raise WorkerLost(self._server.reason())
            self.process = STATUS.unpack(told)[0]
            ready = unpacked(await self._receive(number))
        except (OSError, WorkerDied) as error:
            raise WorkerLost(self._server.reason() or str(error)) from error
        if not isinstance(ready, Ready):
            raise BadAnswer("a worker began with something else than that it is ready")
        self.protections = ready.protections

    async def do(self, task: bytes, descriptors: Sequence[int], seconds: float) -> bytes:
        """The worker's answer to a task, not decoded yet. After any error the worker is of no more use: kill it.

        Raises:
            WorkerLost: it had ended before.
            WorkerDied: it ended on this task.
            TimeoutError: there was no answer within so many seconds.
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
        """Whether it waits for a task: it has not ended, and has said nothing that was not asked for."""
        try:
            self._channel.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def kill(self) -> None:
        """End it, now."""
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
        """The answer to the frame of that number.

        Raises:
            WorkerLost: the worker ended without reading what it was sent, which Linux says by ECONNRESET; or what it
                sends was on its way before, so that an image of before has taken it over.
            WorkerDied, BadAnswer: as `do`.
        """
        try:
            loop, data = asyncio.get_running_loop(), b""
            while len(data) < ANSWER.size and (piece := await loop.sock_recv(self._channel, _PIECE)):
                data += piece
            if len(data) >= ANSWER.size:
                repeated, size = ANSWER.unpack_from(data)
                if repeated != number and self.tasks > 1:
                    raise WorkerLost("a worker sent an answer that nobody had asked for")
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
    """So many bytes, or fewer where the other end closed before that; none where none are wanted."""
    loop, data = asyncio.get_running_loop(), bytearray()
    while len(data) < size and (piece := await loop.sock_recv(connection, size - len(data))):
        data += piece
    return bytes(data)


async def _send_descriptors(connection: socket.socket, data: bytes, descriptors: Sequence[int]) -> int:
    """How many bytes were sent with the descriptors. A worker reads as it comes, so there is nearly always room."""
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
