"""The fork server: imports the processor once, and forks a worker in milliseconds on request.

`python -P -c …` runs `main` (see `worker_process`), in an environment without secrets. The server ends when the program
that started it closes the control socket, and its workers end with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys

REQUEST = struct.Struct(">ci")  # FORK, with two descriptors, or KILL and a process id
FORK, KILL = b"F", b"K"
STATUS = struct.Struct(">i")  # of a worker, on its own socket: the process id, and at its end the exit code
_CHANNEL = 3  # the first descriptor after standard error

# What decoders and encoders import at first use, which a confined worker cannot.
_LAZY_IMPORTS = (
    "encodings.idna",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "PIL.BmpImagePlugin",
    "PIL.ImageColor",
    "PIL.ImageFilter",
    "PIL.ImagePalette",
    "PIL.MpoImagePlugin",
    "PIL.PpmImagePlugin",
)


def main(descriptor: int) -> None:
    """Serve the control socket until it ends."""
    control = socket.socket(fileno=descriptor)
    try:
        preload()
    except BaseException as error:  # noqa: BLE001 (reported to the program)
        with contextlib.suppress(OSError):
            control.sendall(f"{type(error).__name__}: {error}"[:1000].encode(errors="replace"))
        os._exit(1)
    with contextlib.suppress(OSError):
        _Server(control).run()
    os._exit(0)


def preload() -> None:
    """Import everything that workers need."""
    from PIL import Image

    for module in (
        "imgcache.processor.worker",
        "imgcache.processor.header",
        "imgcache.processor.variants",
        "imgcache.processor.image_hash",
        *_LAZY_IMPORTS,
    ):
        importlib.import_module(module)
    Image.preinit()
    gc.collect()
    gc.freeze()  # a collection in a worker would copy the memory of all imported modules


class _Server:
    """Answers requests. `_live` has the status socket of each worker by its process id."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._live: dict[int, socket.socket] = {}
        self._wakeup, wake = os.pipe()
        for end in (self._wakeup, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def run(self) -> None:
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        waiting.register(self._wakeup, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in waiting.poll()}
            if self._wakeup in ready:
                self._reap()
            if self._control.fileno() in ready and not self._handle_request():
                return

    def _handle_request(self) -> bool:
        request, descriptors, _, _ = socket.recv_fds(self._control, REQUEST.size, 2)
        if len(request) < REQUEST.size:
            return False
        request_type, process = REQUEST.unpack(request)
        if request_type == FORK:
            self._fork(*(socket.socket(fileno=descriptor) for descriptor in descriptors))
        elif process in self._live:  # not reaped yet, so the id still belongs to the worker
            os.kill(process, signal.SIGKILL)
        return True

    def _fork(self, channel: socket.socket, status: socket.socket) -> None:
        server = os.getpid()
        process = os.fork()
        if process == 0:
            _become_worker(channel.detach(), server)
        channel.close()
        self._live[process] = status
        _send_status(status, process)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                status = self._live.pop(ended[0])
                _send_status(status, os.waitstatus_to_exitcode(ended[1]))
                status.close()


def _send_status(status: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the program has ended or closed the worker
        status.send(STATUS.pack(number), socket.MSG_DONTWAIT)


def _become_worker(channel: int, server: int) -> None:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if channel != _CHANNEL:
            os.dup2(channel, _CHANNEL, inheritable=False)
        os.closerange(_CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
        sys.modules["imgcache.processor.worker"].serve(socket.socket(fileno=_CHANNEL), server)
        code = 0
    finally:
        os._exit(code)
