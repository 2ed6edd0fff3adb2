"""Guards standard output and standard error: no text acts on a terminal, and no write error is lost.

`guarded` replaces both streams while a command runs, so that everything passes here that is printed or logged, also by
libraries. Structured reports, whose bytes are exact, pass as bytes; their writers escape them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from imgcache.core import safe_text


class OutputFailed(Exception):
    """Standard output cannot be written: the disk is full, or its reader has closed it."""


class _Guarded:
    """A text stream that escapes what acts on a terminal. `on_error` receives each OSError of a write."""

    def __init__(self, stream: TextIO, on_error: Callable[[OSError], None]) -> None:
        self.inner = stream
        self._on_error = on_error
        self._is_terminal = stream.isatty()
        if hasattr(stream, "buffer"):
            self.buffer = _Bytes(stream, on_error)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"expected str, got {type(text).__name__}")
        try:
            if text:  # with unbuffered streams Python 3.11 loses the error of the write after an empty one
                self.inner.write(safe_text(text, styled=self._is_terminal))
        except OSError as error:
            self._on_error(error)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self.inner.flush()
        except OSError as error:
            self._on_error(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Bytes:
    """The bytes below a text stream. Text that was written before goes out first."""

    def __init__(self, stream: TextIO, on_error: Callable[[OSError], None]) -> None:
        self._stream = stream
        self._on_error = on_error

    def write(self, data: bytes) -> int:
        try:
            self._stream.flush()
            return self._stream.buffer.write(data)
        except OSError as error:
            self._on_error(error)
            return len(data)

    def flush(self) -> None:
        try:
            self._stream.buffer.flush()
        except OSError as error:
            self._on_error(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream.buffer, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Replace both streams for the time of the block, and write out what is left at its end.

    Raises:
        OutputFailed: from a write, or at the end. Errors of standard error are ignored, for nothing could report them.
    """
    _open_closed_streams()
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", _Guarded(before[0], _fail_output))
    sys.stderr = cast("TextIO", _Guarded(before[1], lambda _: None))
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


def terminal() -> TextIO:
    """Returns standard error itself, for a progress bar, which moves the cursor."""
    return cast("TextIO", getattr(sys.stderr, "inner", sys.stderr))


def _open_closed_streams() -> None:
    """Open closed standard streams; else the next opened file, such as a database, would take their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)  # writing to the first of them fails
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _fail_output(error: OSError) -> None:
    # At exit Python flushes what is left in the buffer, and would fail again (library/signal, "Note on SIGPIPE").
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    raise OutputFailed(error.strerror or type(error).__name__) from error
