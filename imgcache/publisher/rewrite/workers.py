"""Spreads the reading and rewriting of pages over processes, each a Python of its own.

A process gets a list of files at a time and answers, in MessagePack. One that dies costs nothing but time: what it had
in hand is done here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, Self

import msgspec

from imgcache.cache import ArticleStat
from imgcache.core import HelperProcess, connection_to_parent
from imgcache.publisher.rewrite.reading import PageReader
from imgcache.publisher.rewrite.records import FolderTask, FoundPage, PageJob, RewrittenPage

FEW = 64  # files that are done before a process is up
CHUNK = 16  # files that a process is given at once
_PROGRAM = "from imgcache.publisher.rewrite.workers import serve; serve()"

Step = Literal["find", "rewrite"]
_task = msgspec.msgpack.Decoder(FolderTask)
_given: dict[str, msgspec.msgpack.Decoder[list[Any]]] = {
    "find": msgspec.msgpack.Decoder(list[ArticleStat]),
    "rewrite": msgspec.msgpack.Decoder(list[PageJob]),
}
_answers: dict[str, msgspec.msgpack.Decoder[list[Any]]] = {
    "find": msgspec.msgpack.Decoder(list[FoundPage]),
    "rewrite": msgspec.msgpack.Decoder(list[RewrittenPage]),
}


class PagePool:
    """The processes that work on one built folder, used in a `with` block. For few files none is started."""

    def __init__(self, task: FolderTask, jobs: int | None = None) -> None:
        """`jobs` is the number of processes; by default one for each core."""
        self._task = task
        self._number = jobs or len(os.sched_getaffinity(0))
        self._here = PageReader(task)
        self._stack = contextlib.ExitStack()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def map(self, step: Step, files: Iterator[Any]) -> Generator[list[Any]]:
        """Do one step for each file. Yields results in batches, in no order."""
        first = list(itertools.islice(files, FEW + 1))
        files = itertools.chain(first, files)
        if len(first) <= FEW or self._number < 2:
            while chunk := list(itertools.islice(files, CHUNK)):
                yield getattr(self._here, step)(chunk)
            return
        busy: dict[Connection, tuple[_Worker, list[Any]]] = {}
        idle = self._started()
        while True:
            while idle and (chunk := list(itertools.islice(files, CHUNK))):
                worker = idle.pop()
                worker.give(step, chunk)
                busy[worker.connection] = (worker, chunk)
            if not busy:
                if not (chunk := list(itertools.islice(files, CHUNK))):
                    return
                yield getattr(self._here, step)(chunk)  # every process is gone
                continue
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)  # noqa: S101
                worker, chunk = busy.pop(connection)
                answer = worker.answer()
                if answer is None:
                    self._workers.remove(worker)
                    answer = getattr(self._here, step)(chunk)
                else:
                    idle.append(worker)
                if idle and (more := list(itertools.islice(files, CHUNK))):
                    following = idle.pop()
                    following.give(step, more)
                    busy[following.connection] = (following, more)
                yield answer

    def _started(self) -> list[_Worker]:
        if not self._workers:
            with contextlib.suppress(OSError):  # no memory, no more processes: it goes without
                for _ in range(self._number):
                    self._workers.append(self._stack.enter_context(_Worker(self._task)))
        return list(self._workers)


class _Worker:
    """One process, and what it was given."""

    def __init__(self, task: FolderTask) -> None:
        self._process = HelperProcess(_PROGRAM)
        self._step: Step = "find"
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

    def give(self, step: Step, chunk: Sequence[object]) -> None:
        """Have files processed. Only give files to an idle process: then neither side waits for the other to read."""
        self._step = step
        self._process.send(step.encode())
        self._process.send(msgspec.msgpack.encode(chunk))

    def answer(self) -> list[Any] | None:
        """Return the results of what was given; None if the process is gone."""
        message = self._process.receive()
        return None if message is None else _answers[self._step].decode(message)


def serve() -> None:
    """Run one process: a task, then lists of files, each answered, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = connection_to_parent()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        reader = PageReader(_task.decode(connection.recv_bytes()))
        while True:
            step = connection.recv_bytes().decode()
            chunk = _given[step].decode(connection.recv_bytes())
            connection.send_bytes(msgspec.msgpack.encode(getattr(reader, step)(chunk)))
