"""Standard output and standard error as every command has them: nothing that is written acts, and no error is lost.

All that a command prints or logs passes here, from whatever module or library it comes: `guarded` replaces both streams
for as long as a command runs. Structured reports, whose bytes are exact, pass as bytes; their writers escape them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from imgcache.core import plain


class OutputFailed(Exception):
    """Standard output takes no more: the disk is full, or its reader has gone."""


class _Guarded:
    """A text stream whose text is made harmless. `on_error` gets each error of the system while writing."""

    def __init__(self, stream: TextIO, on_error: Callable[[OSError], None]) -> None:
        self.inner = stream
        self._on_error = on_error
        self._is_terminal = stream.isatty()
        if hasattr(stream, "buffer"):
            self.buffer = _Bytes(stream, on_error)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"text is written here, not {type(text).__name__}")
        try:
            if text:  # Python 3.11 loses the error of the write after an empty one where its streams are unbuffered
                self.inner.write(plain(text, styled=self._is_terminal))
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
    """The bytes below a text stream. What was written as text goes out first."""

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
    """Replaces both streams. What is still unwritten at the end of the block is written out then.

    Raises:
        OutputFailed: from a write, or at the end. Standard error has nowhere to report its own errors: they pass.
    """
    _open_closed_ones()
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", _Guarded(before[0], _lost))
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
    """Standard error itself, for what moves the cursor of a terminal."""
    return cast("TextIO", getattr(sys.stderr, "inner", sys.stderr))


def _open_closed_ones() -> None:
    """A stream that is closed at the start would be the next file that is opened, such as a database."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)  # writing to the first of them fails
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _lost(error: OSError) -> None:
    # Python writes out at its end what is left in the buffer, and would fail again (library/signal, "Note on SIGPIPE").
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    raise OutputFailed(error.strerror or type(error).__name__) from error
