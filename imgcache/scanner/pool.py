"""Reads many articles on all cores: in this process and in a few helper processes.

A helper receives lists of files and answers each, in MessagePack. While no helper has an answer ready, this process
reads articles itself. If a helper dies, this process reads the files that it had.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
from collections import deque
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from imgcache.cache import ArticleStat, ReadArticle
from imgcache.core import HelperProcess, connection_to_parent
from imgcache.scanner.extract import ArticleReader
from imgcache.scanner.generators import Layout
from imgcache.scanner.site import Site

FEW = 500  # articles that are read in the time that a helper takes to start
_MAX_HELPERS = 4  # one process writes all results, and more would wait for it
_CHUNK = 32  # articles in one message to a helper
_OWN_CHUNK = 16  # articles read here between two checks for answers
_MAX_PENDING = 8  # chunks of one helper: enough work while this process reads a folder of large pages
# Unanswered bytes with which a helper may still get a chunk. With the longest paths that makes 160 KB, and a socket of
# Linux holds 208 KB. If it were full, this process and a helper with a long answer would wait for each other.
_MAX_PENDING_BYTES = 32_768


class ReaderTask(msgspec.Struct, frozen=True):
    """What a helper needs to know about the site."""

    root: str
    site_url: str | None
    layout: Layout
    flag: list[str]
    fields: str | tuple[str, ...]


def read_all(
    reader: ArticleReader,
    files: Iterator[ArticleStat],
    *,
    few: int = FEW,
    most_helpers: int | None = None,
    program: str = "",
) -> Generator[list[ReadArticle]]:
    """Read articles in batches, in no particular order. Close the iterator to end the helpers.

    Args:
        reader: reads the articles, here and in the helpers.
        files: the articles to read.
        few: helpers are started for more articles than this.
        most_helpers: how many helpers; by default one for each further core, at most 4.
        program: the Python source that a helper runs; by default `helper_program()`.
    """
    first = list(itertools.islice(files, few + 1))
    files = itertools.chain(first, files)
    number = min(_cores() - 1, _MAX_HELPERS) if most_helpers is None else most_helpers
    with contextlib.ExitStack() as stack:
        helpers = _start(reader, number, program or helper_program(), stack) if len(first) > few else []
        while True:
            for helper in helpers:
                while helper.has_room and (chunk := list(itertools.islice(files, _CHUNK))):
                    helper.send(chunk)
            if own := list(itertools.islice(files, _OWN_CHUNK if helpers else _CHUNK)):
                yield reader.read(own)
            if not own and not any(helper.pending for helper in helpers):
                return
            ready = wait([helper.connection for helper in helpers], 0 if own else None)
            for helper in [helper for helper in helpers if helper.connection in ready]:
                answer = helper.receive()
                if answer is None:
                    helpers.remove(helper)
                    files = itertools.chain(helper.pending, files)
                elif answer:
                    yield answer


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(reader: ArticleReader, number: int, program: str, stack: contextlib.ExitStack) -> list[_Helper]:
    site = reader.site
    task = ReaderTask(str(site.root), site.site_url, site.layout, sorted(reader.flag), site.rules.fields.setting)
    try:
        return [stack.enter_context(_Helper(task, program)) for _ in range(number)]
    except OSError:  # no memory or no more processes: this process reads alone
        return []


class _Chunk(NamedTuple):
    """Articles that were sent to a helper. `size`: of the message, in bytes."""

    files: list[ArticleStat]
    size: int


class _Helper:
    """One helper process, and what it was sent."""

    def __init__(self, task: ReaderTask, program: str) -> None:
        self._pending: deque[_Chunk] = deque()
        self._is_ready = False
        self._decoder = msgspec.msgpack.Decoder(list[ReadArticle])
        self._process = HelperProcess(program)
        self._process.send(msgspec.msgpack.encode(task))

    def __enter__(self) -> Self:
        self._process.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.__exit__(*error)

    @property
    def connection(self) -> Connection:
        """Becomes readable when an answer is there."""
        return self._process.connection

    @property
    def has_room(self) -> bool:
        """Whether it may be sent more."""
        return (
            self._is_ready
            and len(self._pending) < _MAX_PENDING
            and sum(chunk.size for chunk in self._pending) < _MAX_PENDING_BYTES
        )

    @property
    def pending(self) -> list[ArticleStat]:
        """The articles that were sent and not answered yet."""
        return [file for chunk in self._pending for file in chunk.files]

    def send(self, files: list[ArticleStat]) -> None:
        """Send articles to be read."""
        message = msgspec.msgpack.encode(files)
        self._pending.append(_Chunk(files, len(message)))
        self._process.send(message)

    def receive(self) -> list[ReadArticle] | None:
        """Return the oldest answer, empty when the helper reports that it has started; None if it has ended."""
        message = self._process.receive()
        if message is None:
            return None
        if self._is_ready:
            self._pending.popleft()
        self._is_ready = True
        return self._decoder.decode(message)


def helper_program() -> str:
    """Return the Python source that a helper runs."""
    return f"from {__name__} import {run_reader.__name__} as run; run()"


def run_reader() -> None:
    """Run as a helper: receive a task, then lists of files, and answer each, until the connection closes."""
    gc.set_threshold(50_000)  # reading leaves almost no cycles, and collecting takes 6 % of the time
    connection = connection_to_parent()
    decoder = msgspec.msgpack.Decoder(list[ArticleStat])
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        task = msgspec.msgpack.decode(connection.recv_bytes(), type=ReaderTask)
        reader = ArticleReader(Site(Path(task.root), task.site_url, task.layout, task.fields), task.flag)
        connection.send_bytes(msgspec.msgpack.encode([]))  # ready
        while True:
            files = decoder.decode(connection.recv_bytes())
            connection.send_bytes(msgspec.msgpack.encode(reader.read(files)))
