"""Reads the body of a response: into a temporary file, limited, decoded, sniffed and hashed; or only its first lines.

The event loop itself writes the chunks of a large body: a write to the page cache takes microseconds, less than a
thread takes to start it.
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
from imgcache.downloader.http.statistics import HostStatistics
from imgcache.downloader.http.transport import Response

Sniff = Callable[[bytes], str | None]
"""Returns the format of first bytes, or None for no image; may raise NotAnImage or UnsupportedFormat."""

HEAD = 1024  # bytes from which the format is read, before any more are accepted
SMALL = 65_536  # bytes; a body up to this size is written at once, by a thread
CHUNK = 65_536  # bytes that one step of decompression returns at most

_numbers = itertools.count()


class Saved(msgspec.Struct, frozen=True):
    """A whole body on disk.

    Attributes:
        path: an absolute path.
        digest: the SHA-256 of the bytes, in hex.
        bytes: the number of bytes.
        format: the format by the first bytes.
    """

    path: str
    digest: str
    bytes: int
    format: str


def new_part(folder: pathlib.Path) -> IO[bytes]:
    """Create a temporary file in a folder that only this program writes.

    Its mode lets a web server read it, because it becomes an original of the store.
    """
    path = f"{folder}/fetch-{os.getpid()}-{next(_numbers)}.part"
    return open(path, "xb", opener=lambda name, _: open_new(name, 0o644))


async def save(
    response: Response, *, folder: pathlib.Path, cap: int, sniff: Sniff, statistics: HostStatistics, writers: Executor
) -> Saved:
    """Write the body to a new file, which the caller owns from then on; after an error there is no file.

    Args:
        response: the response, with nothing read of its body.
        folder: takes the file.
        cap: the bytes that are accepted at most.
        sniff: returns the format of the first bytes.
        statistics: counts the bytes received.
        writers: threads, in which small bodies are written.

    Raises:
        TooLarge: the body has more than `cap` bytes, announced, sent, or after decoding.
        Truncated: there are fewer bytes than announced.
        NotAnImage, UnsupportedFormat: by the first bytes; the rest is not read.
        Undecodable: the content coding is neither gzip nor deflate, or is broken.
        DiskFull: the folder cannot be written.
    """
    announced = content_length(response.headers)
    check_announced(announced, cap)
    decoder = decoder_of(response.headers)
    received = 0
    with _Sink(folder, cap, sniff) as sink:
        while chunk := await response.read():
            received += len(chunk)
            statistics.bytes += len(chunk)
            _check_cap(received, cap)
            for decoded in decoder.feed(chunk) if decoder else (chunk,):
                sink.write(decoded)
        check_length(received, announced)
        if decoder:
            decoder.finish()
        return await sink.finish(writers)


async def first_lines(response: Response, *, most: int, statistics: HostStatistics) -> bytes:
    """Return the body, or the complete lines of its first `most` bytes; the rest is not read.

    Raises:
        Truncated: there are fewer bytes than announced.
        Undecodable: the content coding is neither gzip nor deflate, or is broken.
    """
    announced = content_length(response.headers)
    decoder = decoder_of(response.headers)
    found = bytearray()
    received = 0
    while chunk := await response.read():
        received += len(chunk)
        statistics.bytes += len(chunk)
        for decoded in decoder.feed(chunk) if decoder else (chunk,):
            found += decoded
            if len(found) > most or received > most:
                return bytes(found[: found.rfind(b"\n", 0, most) + 1])
    check_length(received, announced)
    if decoder:
        decoder.finish()
    return bytes(found)


def content_length(headers: MultiMapping[str]) -> int | None:
    """Return the length of the body that is announced, in bytes; None where there is no valid number."""
    text = headers.get("content-length", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def check_announced(announced: int | None, cap: int) -> None:
    """Raise TooLarge if more than `cap` bytes are announced."""
    if announced is not None and announced > cap:
        raise TooLarge(f"the server announces {announced:,} bytes; at most {cap:,} are accepted (limits.bytes)")


def _check_cap(count: int, cap: int) -> None:
    if count > cap:
        raise TooLarge(f"the body has more than {cap:,} bytes (limits.bytes)")


def check_length(received: int, announced: int | None) -> None:
    """Raise Truncated if a complete body has another length than announced."""
    if announced is not None and received != announced:
        raise Truncated(f"{plural(received, 'byte')} received of the {announced:,} that were announced")


class Decompressor:
    """Decodes gzip and deflate in steps of at most CHUNK bytes, so that the limit stops a decompression bomb early."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: zlib or gzip, whichever the header names

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return what `data` decodes to, in chunks. Raises Undecodable."""
        try:
            full = True
            while (data or full) and not self._zlib.eof:
                chunk = self._zlib.decompress(data, CHUNK)
                data, full = self._zlib.unconsumed_tail, len(chunk) == CHUNK  # full: zlib may have buffered more
                yield chunk
        except zlib.error as error:
            raise Undecodable(f"the compressed body cannot be decoded: {clean_text(str(error))}") from None

    def finish(self) -> None:
        """Raise Truncated if the compressed data are not complete."""
        if not self._zlib.eof:
            raise Truncated("the compressed body is not complete")


def decoder_of(headers: MultiMapping[str]) -> Decompressor | None:
    """Return the decoder of the content coding, None where there is none. Raises Undecodable for an unknown one."""
    name = ", ".join(headers.getall("content-encoding", ())).strip().lower()
    if name in {"", "identity"}:
        return None
    if name in {"gzip", "x-gzip", "deflate"}:
        return Decompressor()
    raise Undecodable(f"the server sent the content coding {clean_text(name, 40)}, which was not requested")


class _Sink:
    """The file being written. It is created once the first HEAD bytes are known to be an image.

    A small body is collected in memory and written by a thread: creating a file takes longer than everything else that
    is done for a small image. The chunks of a larger one are written as they arrive.
    """

    def __init__(self, folder: pathlib.Path, cap: int, sniff: Sniff) -> None:
        self._folder = folder
        self._cap = cap
        self._sniff = sniff
        self._buffer = b""
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
        self._buffer += data
        if not self._format and len(self._buffer) >= HEAD:
            self._detect_format()
        if len(self._buffer) > SMALL:
            self._append(self._open(), self._buffer)
            self._buffer = b""

    async def finish(self, writers: Executor) -> Saved:
        if not self._count:
            raise NotAnImage("the answer is empty")
        if not self._format:
            self._detect_format()
        if self._file is not None:
            self._close(self._file)
        else:
            await _run_to_completion(writers, self._write_at_once)
        self._done = True
        return Saved(self._path, self._hash.hexdigest(), self._count, self._format)

    def _detect_format(self) -> None:
        self._format = self._sniff(self._buffer) or ""
        if not self._format:
            raise NotAnImage("the first bytes are not those of an image")

    def _write_at_once(self) -> None:
        file = self._open()
        self._append(file, self._buffer)
        self._close(file)

    def _open(self) -> IO[bytes]:
        try:
            file = self._file = new_part(self._folder)
        except OSError as error:
            raise _disk_full(error, self._folder) from error
        self._path = file.name
        return file

    def _append(self, file: IO[bytes], data: bytes) -> None:
        try:
            file.write(data)
        except OSError as error:
            raise _disk_full(error, self._folder) from error

    def _close(self, file: IO[bytes]) -> None:
        try:
            file.close()
        except OSError as error:
            raise _disk_full(error, self._folder) from error


async def _run_to_completion(threads: Executor, work: Callable[[], None]) -> None:
    """Run `work` in a thread, which cannot be stopped: a cancelled caller waits until it is done."""
    running = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _disk_full(error: OSError, folder: pathlib.Path) -> DiskFull:
    reason = error.strerror or error
    return DiskFull(f"{clean_text(str(folder))} cannot be written: {reason}; free some space or change its permissions")
