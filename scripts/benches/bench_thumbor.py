"""thumbor for as long as it is measured."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench_peers import python_with
from bench_serve import wait_for

THUMBOR = "thumbor==7.8.0"


@contextlib.contextmanager
def thumbor(folder: Path, configuration: str, *options: str, before: Sequence[str] = ()) -> Iterator[int]:
    """The port of a thumbor with this configuration, which is written to `folder`; `before` goes before its command.

    Raises:
        Skipped: it cannot be installed, or does not start.
    """
    binary = Path(python_with("thumbor", THUMBOR)).with_name("thumbor")
    (folder / "thumbor.conf").write_text(configuration, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*before, str(binary), "--ip", "127.0.0.1", "--port", str(port), "--log-level", "error", *options]
    command += ["--conf", str(folder / "thumbor.conf")]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_for(port)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # it would leave its worker processes behind
