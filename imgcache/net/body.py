"""A response's body, from the wire to a temporary file: capped, decoded, sniffed, hashed; or its first lines.

Blocking writes stay on the event loop: a piece goes into the page cache in microseconds, less than a thread's switch.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Self

import httpx
import msgspec

from imgcache.errors import DiskFull, NotAnImage, TooLarge, Truncated, Undecodable
from imgcache.net.statistics import HostStatistics
from imgcache.urls import clean

Sniff = Callable[[bytes], str | None]
"""The first bytes -> the format's name; raises NotAnImage or UnsupportedFormat, None counts as the former."""

HEAD = 1024  # bytes that are looked at before anything is written
PIECE = 65_536  # bytes that one step of decompression may yield


class Saved(msgspec.Struct, frozen=True):
    """A whole body on disk: an absolute path, the SHA-256 in hex, its bytes, and the format by its first bytes."""

    path: str
    digest: str
    bytes: int
    format: str


async def save(
    response: httpx.Response, *, folder: pathlib.Path, cap: int, sniff: Sniff, statistics: HostStatistics
) -> Saved:
    """Write the body to a new file in `folder`, which the caller owns from then on; on any error there is none.

    Raises:
        TooLarge: more than `cap` bytes, announced, sent, or after decoding.
        Truncated: fewer bytes than announced.
        NotAnImage, UnsupportedFormat: by the first bytes; the rest is not read.
        Undecodable: a content coding other than gzip and deflate, or a broken one.
        DiskFull: the folder cannot be written.
    """
    announced = _content_length(response.headers)
    if announced is not None and announced > cap:
        raise TooLarge(f"the server announces {announced:,} bytes; at most {cap:,} are taken (limits.bytes)")
    decoder = _decoder(response.headers.get("content-encoding", ""))
    received = 0
    with _Sink(folder, cap, sniff) as sink:
        async for piece in response.stream:  # type: ignore[union-attr]  # ours are asynchronous
            received += len(piece)
            statistics.bytes += len(piece)
            _check_cap(received, cap)
            for part in decoder.feed(piece) if decoder else (piece,):
                sink.write(part)
        _check_length(received, announced)
        if decoder:
            decoder.finish()
        return sink.finish()


async def first_lines(response: httpx.Response, *, most: int, statistics: HostStatistics) -> bytes:
    """The body, or the whole lines of its first `most` bytes; what comes after is not read.

    Raises:
        Truncated: fewer bytes than announced.
        Undecodable: a content coding other than gzip and deflate, or a broken one.
    """
    announced = _content_length(response.headers)
    decoder = _decoder(response.headers.get("content-encoding", ""))
    found = bytearray()
    received = 0
    async for piece in response.stream:  # type: ignore[union-attr]  # ours are asynchronous
        received += len(piece)
        statistics.bytes += len(piece)
        for part in decoder.feed(piece) if decoder else (piece,):
            found += part
            if len(found) > most or received > most:
                return bytes(found[: found.rfind(b"\n", 0, most) + 1])
    _check_length(received, announced)
    if decoder:
        decoder.finish()
    return bytes(found)


def _content_length(headers: httpx.Headers) -> int | None:
    text = headers.get("content-length", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def _check_cap(count: int, cap: int) -> None:
    if count > cap:
        raise TooLarge(f"the body has more than {cap:,} bytes (limits.bytes)")


def _check_length(received: int, announced: int | None) -> None:
    if announced is not None and received != announced:
        raise Truncated(f"{received:,} bytes came of the {announced:,} that were announced")


class _Inflate:
    """gzip and deflate, in steps of at most PIECE bytes, so that the cap sees a bomb before it goes off."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: zlib or gzip, as the header says

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            full = True
            while (data or full) and not self._zlib.eof:
                part = self._zlib.decompress(data, PIECE)
                data, full = self._zlib.unconsumed_tail, len(part) == PIECE  # full: zlib may hold back more
                yield part
        except zlib.error as error:
            raise Undecodable(f"the body's content coding is broken: {clean(str(error))}") from None

    def finish(self) -> None:
        if not self._zlib.eof:
            raise Truncated("the body's content coding has no end")


def _decoder(coding: str) -> _Inflate | None:
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name in {"gzip", "x-gzip", "deflate"}:
        return _Inflate()
    raise Undecodable(f"the server sent the content coding {clean(name, 40)}, which was not asked for")


class _Sink:
    """The file being written. It comes to be with the first HEAD bytes, once they are found to be an image."""

    def __init__(self, folder: pathlib.Path, cap: int, sniff: Sniff) -> None:
        self._folder = folder
        self._cap = cap
        self._sniff = sniff
        self._head = b""
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
        if self._file is not None:
            self._append(self._file, data)
            return
        self._head += data
        if len(self._head) >= HEAD:
            self._open()

    def finish(self) -> Saved:
        if not self._count:
            raise NotAnImage("the answer is empty")
        file = self._file or self._open()
        try:
            file.close()
        except OSError as error:
            raise _disk(error, self._folder) from error
        self._done = True
        return Saved(self._path, self._hash.hexdigest(), self._count, self._format)

    def _open(self) -> IO[bytes]:
        self._format = self._sniff(self._head) or ""
        if not self._format:
            raise NotAnImage("the first bytes are those of no image")
        try:
            handle, self._path = tempfile.mkstemp(dir=self._folder, prefix="fetch-", suffix=".part")
            file = self._file = os.fdopen(handle, "wb")
        except OSError as error:
            raise _disk(error, self._folder) from error
        self._append(file, self._head)
        return file

    def _append(self, file: IO[bytes], data: bytes) -> None:
        self._hash.update(data)
        try:
            file.write(data)
        except OSError as error:
            raise _disk(error, self._folder) from error


def _disk(error: OSError, folder: pathlib.Path) -> DiskFull:
    return DiskFull(
        f"{clean(str(folder))} cannot be written: {error.strerror or error}; make room or change its rights"
    )
