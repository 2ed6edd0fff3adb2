"""A response's body, from the wire to a temporary file: capped, decoded, sniffed, hashed; or its first lines.

The pieces of a large body are written by the event loop: into the page cache in microseconds, sooner than a thread is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import pathlib
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import IO, Self

import msgspec
from multidict import MultiMapping

from imgcache.core import DiskFull, NotAnImage, TooLarge, Truncated, Undecodable, clean_text, open_new, plural
from imgcache.downloader.http.response import Response
from imgcache.downloader.http.statistics import HostStatistics

Sniff = Callable[[bytes], str | None]
"""The first bytes -> the format's name; raises NotAnImage or UnsupportedFormat, None counts as the former."""

HEAD = 1024  # bytes that are looked at before any more are taken
SMALL = 65_536  # bytes of a body that is written in one go
PIECE = 65_536  # bytes that one step of decompression may yield

_numbers = itertools.count()


class Saved(msgspec.Struct, frozen=True):
    """A whole body on disk: an absolute path, the SHA-256 in hex, its bytes, and the format by its first bytes."""

    path: str
    digest: str
    bytes: int
    format: str


def new_part(folder: pathlib.Path) -> IO[bytes]:
    """A new file in a folder that is ours alone. A web server may read it, for it becomes an original."""
    path = f"{folder}/fetch-{os.getpid()}-{next(_numbers)}.part"
    return open(path, "xb", opener=lambda name, _: open_new(name, 0o644))


async def save(
    reply: Response, *, folder: pathlib.Path, cap: int, sniff: Sniff, statistics: HostStatistics, writers: Executor
) -> Saved:
    """Write the body to a new file in `folder`, which the caller owns from then on; on any error there is none.

    `writers` are threads, in which small bodies are written.

    Raises:
        TooLarge: more than `cap` bytes, announced, sent, or after decoding.
        Truncated: fewer bytes than announced.
        NotAnImage, UnsupportedFormat: by the first bytes; the rest is not read.
        Undecodable: a content coding other than gzip and deflate, or a broken one.
        DiskFull: the folder cannot be written.
    """
    announced = content_length(reply.headers)
    check_announced(announced, cap)
    decoder = decoder_of(reply.headers)
    received = 0
    with _Sink(folder, cap, sniff) as sink:
        while piece := await reply.piece():
            received += len(piece)
            statistics.bytes += len(piece)
            _check_cap(received, cap)
            for part in decoder.feed(piece) if decoder else (piece,):
                sink.write(part)
        check_length(received, announced)
        if decoder:
            decoder.finish()
        return await sink.finish(writers)


async def first_lines(reply: Response, *, most: int, statistics: HostStatistics) -> bytes:
    """The body, or the whole lines of its first `most` bytes; what comes after is not read.

    Raises:
        Truncated: fewer bytes than announced.
        Undecodable: a content coding other than gzip and deflate, or a broken one.
    """
    announced = content_length(reply.headers)
    decoder = decoder_of(reply.headers)
    found = bytearray()
    received = 0
    while piece := await reply.piece():
        received += len(piece)
        statistics.bytes += len(piece)
        for part in decoder.feed(piece) if decoder else (piece,):
            found += part
            if len(found) > most or received > most:
                return bytes(found[: found.rfind(b"\n", 0, most) + 1])
    check_length(received, announced)
    if decoder:
        decoder.finish()
    return bytes(found)


def content_length(headers: MultiMapping[str]) -> int | None:
    """The bytes of the body that are announced, None where there is no such number."""
    text = headers.get("content-length", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def check_announced(announced: int | None, cap: int) -> None:
    """Raise TooLarge where more than `cap` bytes are announced."""
    if announced is not None and announced > cap:
        raise TooLarge(f"the server announces {announced:,} bytes; at most {cap:,} are taken (limits.bytes)")


def _check_cap(count: int, cap: int) -> None:
    if count > cap:
        raise TooLarge(f"the body has more than {cap:,} bytes (limits.bytes)")


def check_length(received: int, announced: int | None) -> None:
    """Raise Truncated where a body that has ended has another length than announced."""
    if announced is not None and received != announced:
        raise Truncated(f"{plural(received, 'byte')} came of the {announced:,} that were announced")


class Inflate:
    """gzip and deflate, in steps of at most PIECE bytes, so that the cap sees a bomb before it goes off."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: zlib or gzip, as the header says

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` brings, in parts. Raises Undecodable."""
        try:
            full = True
            while (data or full) and not self._zlib.eof:
                part = self._zlib.decompress(data, PIECE)
                data, full = self._zlib.unconsumed_tail, len(part) == PIECE  # full: zlib may hold back more
                yield part
        except zlib.error as error:
            raise Undecodable(f"the body's content coding is broken: {clean_text(str(error))}") from None

    def finish(self) -> None:
        """Raise Truncated where there is no end."""
        if not self._zlib.eof:
            raise Truncated("the body's content coding has no end")


def decoder_of(headers: MultiMapping[str]) -> Inflate | None:
    """What undoes the content coding, None where there is none. Raises Undecodable for one that was not asked for."""
    name = ", ".join(headers.getall("content-encoding", ())).strip().lower()
    if name in {"", "identity"}:
        return None
    if name in {"gzip", "x-gzip", "deflate"}:
        return Inflate()
    raise Undecodable(f"the server sent the content coding {clean_text(name, 40)}, which was not asked for")


class _Sink:
    """The file being written. It comes to be once the first HEAD bytes are found to be an image.

    A small body gathers in memory and is written by a thread: to make a file takes the kernel longer than all else that
    is done for a small image. The pieces of a larger one are written as they come.
    """

    def __init__(self, folder: pathlib.Path, cap: int, sniff: Sniff) -> None:
        self._folder = folder
        self._cap = cap
        self._sniff = sniff
        self._gathered = b""
        self._format = ""
        self._path = ""
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._count = 0
        self._done = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and not self._done:
            with contextlib.suppress(OSError):  # a full disk fails the flush in close as well
                self._file.close()
            pathlib.Path(self._path).unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        self._count += len(data)
        _check_cap(self._count, self._cap)
        self._hash.update(data)
        if self._file is not None:
            self._append(self._file, data)
            return
        self._gathered += data
        if not self._format and len(self._gathered) >= HEAD:
            self._look()
        if len(self._gathered) > SMALL:
            self._append(self._open(), self._gathered)
            self._gathered = b""

    async def finish(self, writers: Executor) -> Saved:
        if not self._count:
            raise NotAnImage("the answer is empty")
        if not self._format:
            self._look()
        if self._file is not None:
            self._close(self._file)
        else:
            await _to_its_end(writers, self._write_at_once)
        self._done = True
        return Saved(self._path, self._hash.hexdigest(), self._count, self._format)

    def _look(self) -> None:
        self._format = self._sniff(self._gathered) or ""
        if not self._format:
            raise NotAnImage("the first bytes are those of no image")

    def _write_at_once(self) -> None:
        file = self._open()
        self._append(file, self._gathered)
        self._close(file)

    def _open(self) -> IO[bytes]:
        try:
            file = self._file = new_part(self._folder)
        except OSError as error:
            raise _disk(error, self._folder) from error
        self._path = file.name
        return file

    def _append(self, file: IO[bytes], data: bytes) -> None:
        try:
            file.write(data)
        except OSError as error:
            raise _disk(error, self._folder) from error

    def _close(self, file: IO[bytes]) -> None:
        try:
            file.close()
        except OSError as error:
            raise _disk(error, self._folder) from error


async def _to_its_end(threads: Executor, work: Callable[[], None]) -> None:
    """In a thread, which cannot be stopped: who is cancelled meanwhile goes when it is done."""
    working = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _disk(error: OSError, folder: pathlib.Path) -> DiskFull:
    return DiskFull(
        f"{clean_text(str(folder))} cannot be written: {error.strerror or error}; make room or change its rights"
    )
