"""Reading many articles with all cores: this process and a few helpers, each a Python of its own.

A helper is told what to read through a socket, its standard input, and answers through it, in MessagePack. It
imports what reading needs and nothing else, in particular not the program that runs here, so it is up sooner than a
worker of `multiprocessing`; until it says so, and whenever no answer is there, this process reads itself. A helper that
dies costs nothing but time: what it had in hand is read here. A terminal's Ctrl-C does not reach it; it ends with its
input.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from imgcache.cache import ArticleStat, ReadArticle
from imgcache.scanner.extract import ArticleReader
from imgcache.scanner.site import Site

FEW = 500  # so many articles are read before a helper is up
_MAX_HELPERS = 4  # one process writes, and has no time for more
_CHUNK = 32  # articles that a helper is given at once
_OWN_CHUNK = 16  # articles read here before looking for answers
_IN_HAND = 8  # chunks a helper: enough to go on with while this process is at a folder of large pages
# Bytes that a helper may have before it when it is given a chunk. With the longest of paths that makes 160 KB, and a
# socket of Linux takes 208; were it full, this process and a helper with a long answer would wait for each other.
_WAITING = 32_768
_COMMAND = "import sys; sys.path[:] = sys.argv[1:]; from imgcache.scanner.pool import run_reader; run_reader()"


class ReaderTask(msgspec.Struct, frozen=True):
    """What a helper has to know of the site."""

    root: str
    site_url: str | None
    flag: list[str]


def read_all(
    reader: ArticleReader, files: Iterator[ArticleStat], *, few: int = FEW, most_helpers: int | None = None
) -> Generator[list[ReadArticle]]:
    """Read articles, in batches and in no order; with helpers, where there are more than `few`.

    Close the iterator to be rid of the helpers. By default there is one for each other core.
    """
    first = list(itertools.islice(files, few + 1))
    files = itertools.chain(first, files)
    number = min(_cores() - 1, _MAX_HELPERS) if most_helpers is None else most_helpers
    with contextlib.ExitStack() as stack:
        helpers = _start(reader, number, stack) if len(first) > few else []
        while True:
            for helper in helpers:
                while helper.has_room and (chunk := list(itertools.islice(files, _CHUNK))):
                    helper.give(chunk)
            if own := list(itertools.islice(files, _OWN_CHUNK if helpers else _CHUNK)):
                yield reader.read(own)
            if not own and not any(helper.in_hand for helper in helpers):
                return
            ready = wait([helper.line for helper in helpers], 0 if own else None)
            for helper in [helper for helper in helpers if helper.line in ready]:
                answer = helper.answer()
                if answer is None:
                    helpers.remove(helper)
                    files = itertools.chain(helper.in_hand, files)
                elif answer:
                    yield answer


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(reader: ArticleReader, number: int, stack: contextlib.ExitStack) -> list[_Helper]:
    task = ReaderTask(str(reader.site.root), reader.site.site_url, sorted(reader.flag))
    try:
        return [stack.enter_context(_Helper(task)) for _ in range(number)]
    except OSError:  # no memory, no more processes: it goes without
        return []


class _Chunk(NamedTuple):
    """Articles that a helper was given, by a message of so many bytes."""

    files: list[ArticleStat]
    size: int


class _Helper:
    """One process that reads."""

    def __init__(self, task: ReaderTask) -> None:
        self._in_hand: deque[_Chunk] = deque()
        self._is_up = False
        self._decoder = msgspec.msgpack.Decoder(list[ReadArticle])
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this very Python
                [sys.executable, "-P", "-c", _COMMAND, *sys.path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            self.line = Connection(ours.detach())
        self._send(msgspec.msgpack.encode(task))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()
        self._process.kill()
        self._process.wait()

    @property
    def has_room(self) -> bool:
        """Whether it may be given more."""
        return self._is_up and len(self._in_hand) < _IN_HAND and sum(chunk.size for chunk in self._in_hand) < _WAITING

    @property
    def in_hand(self) -> list[ArticleStat]:
        """What it was given and has not answered yet."""
        return [file for chunk in self._in_hand for file in chunk.files]

    def give(self, files: list[ArticleStat]) -> None:
        """Have articles read."""
        message = msgspec.msgpack.encode(files)
        self._in_hand.append(_Chunk(files, len(message)))
        self._send(message)

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `answer` finds out
            self.line.send_bytes(message)

    def answer(self) -> list[ReadArticle] | None:
        """The articles that were first given, none where it only says that it is up; None if it is gone."""
        try:
            message = self.line.recv_bytes()
        except (EOFError, ConnectionResetError):
            return None
        if self._is_up:
            self._in_hand.popleft()
        self._is_up = True
        return self._decoder.decode(message)


def run_reader() -> None:
    """The life of a helper: a task, then lists of files, each answered, until nobody is there to ask."""
    gc.set_threshold(50_000)  # what reading leaves behind has no cycles to speak of: 6 % of the time
    line = Connection(os.dup(sys.stdin.fileno()))
    decoder = msgspec.msgpack.Decoder(list[ArticleStat])
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        task = msgspec.msgpack.decode(line.recv_bytes(), type=ReaderTask)
        reader = ArticleReader(Site(Path(task.root), task.site_url), task.flag)
        line.send_bytes(msgspec.msgpack.encode([]))  # it is up
        while True:
            files = decoder.decode(line.recv_bytes())
            line.send_bytes(msgspec.msgpack.encode(reader.read(files)))
