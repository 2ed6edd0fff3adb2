"""Looks up entries of manifest.json without decoding it: only the offset of each image's line is in memory."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from imgcache.core import ConfigError, display_path

VERSION = 1
_HEAD = b'{"version":1,"images":{\n'
_TAIL = b"\n}}\n"
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*+":')
_DIGEST = re.compile(rb'":\{"digest":"([0-9a-f]{64})"')
_CHUNK = 1 << 20
_LINE = 4096  # most lines are shorter


class Stamp(NamedTuple):
    """Identifies one version of a file. A manifest is always replaced, never changed in place."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        """Returns the stamp of a file."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class Descriptor:
    """An open file. It is closed with its last reference: an old version may still be read by some response."""

    piece = 262_144  # bytes to read at once

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self, start: int, length: int) -> Awaitable[bytes]:
        """Returns at most `length` bytes, read in a thread. Raises OSError."""
        return asyncio.to_thread(os.pread, self.number, length, start)

    async def location(self) -> None:
        """Clients are never redirected."""

    def __del__(self) -> None:
        os.close(self.number)


class _Digest(msgspec.Struct):
    digest: str = ""


class _Document(msgspec.Struct):
    version: int
    images: dict[str, msgspec.Raw]


class ManifestLines:
    """One version of manifest.json: the JSON of an image's entry, by its URL.

    Attributes:
        file: the open file.
        stamp: of that file.
        etag: in quotes.
    """

    def __init__(
        self,
        file: Descriptor,
        stamp: Stamp,
        offsets: dict[int, int],
        loose: dict[str, msgspec.Raw] | None,
        etag: str | None = None,
    ) -> None:
        """`read` makes it.

        Args:
            file: the open file.
            stamp: of the file.
            offsets: where the line of each URL begins, by the hash of the URL. Python's hash has a secret key, so that
                nobody can make two URLs collide.
            loose: all entries, instead of `offsets`, where the file is valid but not one image a line.
            etag: in quotes; None: it is made of the stamp.
        """
        self.file = file
        self.stamp = stamp
        self.etag = etag or f'"{stamp.mtime_ns:x}-{stamp.size:x}-{stamp.inode:x}"'
        self._offsets = offsets
        self._loose = loose
        self._digests: dict[int, int] = {}
        self._loose_digests: dict[str, msgspec.Raw] = {}

    @classmethod
    def read(cls, path: Path, etag: str | None = None) -> ManifestLines:
        """Reads the file once from start to end. Without an `etag` it is made of the file's stamp.

        Raises:
            ConfigError: there is none, or it is damaged, or of another version.
        """
        try:
            file = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            stamp = Stamp.of(os.fstat(file.number))
            offsets = _offsets(file.number, stamp.size)
            return cls(file, stamp, offsets or {}, _loose(file.number, path) if offsets is None else None, etag)
        except OSError as error:
            advice = (
                "run sync to write it" if isinstance(error, FileNotFoundError) else "check the disk and permissions"
            )
            raise ConfigError(f"cannot be read ({error.strerror}): {advice}", where=display_path(path)) from error

    def __len__(self) -> int:
        return len(self._offsets if self._loose is None else self._loose)

    def __contains__(self, url: str) -> bool:
        """Whether it has a URL, without reading the file. Wrongly true in one of 10**12 cases, with 100,000 images."""
        return url in self._loose if self._loose is not None else hash(url.encode()) in self._offsets

    def get(self, url: str) -> bytes | None:
        """Returns the JSON of one image; None where it is not cached. Raises OSError."""
        if self._loose is not None:
            found = self._loose.get(url)
            return None if found is None else bytes(found)
        key = url.encode()
        at = self._offsets.get(hash(key))
        if at is None:
            return None
        line = _read_line(self.file.number, at)
        end = _key_end(line)
        return line[end:].rstrip(b",") if end and _key(line[1 : end - 2]) == key else None

    def index_digests(self) -> None:
        """Prepares `named`. Reads the file once from start to end. Raises OSError."""
        if self._loose is not None:
            self._loose_digests = {_digest_of(bytes(raw)): raw for raw in self._loose.values()}
            return
        at = len(_HEAD)
        for line in _iter_lines(self.file.number, at, self.stamp.size - len(_TAIL) + 1):
            found = _DIGEST.search(line)  # a key cannot contain this: its quotes are escaped
            digest = found[1].decode() if found else _digest_of(line[_key_end(line) :].rstrip(b","))
            self._digests[hash(digest)] = at
            at += len(line) + 1

    def named(self, digest: str) -> bytes | None:
        """Returns the JSON of an image with this SHA-256, in hex; None where none has it. Raises OSError.

        Digests are found by a hash: the caller has to check that the entry is the right one.
        """
        if self._loose is not None:
            found = self._loose_digests.get(digest)
            return None if found is None else bytes(found)
        at = self._digests.get(hash(digest))
        if at is None:
            return None
        line = _read_line(self.file.number, at)
        return line[_key_end(line) :].rstrip(b",")


def _digest_of(entry: bytes) -> str:
    try:
        return msgspec.json.decode(entry, type=_Digest).digest
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _offsets(number: int, size: int) -> dict[int, int] | None:
    """Returns the offset of each line; None where the file does not have one image a line, as imgcache writes it."""
    head = os.pread(number, len(_HEAD), 0)
    if head != _HEAD or os.pread(number, len(_TAIL), size - len(_TAIL)) != _TAIL:
        return None
    offsets: dict[int, int] = {}
    at, count, end = len(_HEAD), 0, size - len(_TAIL) + 1
    for line in _iter_lines(number, at, end):
        stop = line.find(b'":{')
        if stop < 1 or line[:1] != b'"' or line[-1:] != (b"," if at + len(line) + 1 < end else b"}"):
            return None
        key = line[1:stop]
        if b"\\" in key:
            stop = _key_end(line) - 2
            key = _key(line[1:stop]) if stop > 0 else b""
        offsets[hash(key)] = at
        at += len(line) + 1
        count += 1
    return offsets if len(offsets) == count else None


def _iter_lines(number: int, at: int, end: int) -> Iterator[bytes]:
    rest = b""
    while at < end:
        chunk = os.pread(number, min(_CHUNK, end - at), at)
        if not chunk:
            break
        at += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _loose(number: int, path: Path) -> dict[str, msgspec.Raw]:
    with open(number, "rb", closefd=False) as file:
        data = file.read()
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"it is not a valid manifest ({error}): remove it, and run sync to write a new one",
            where=display_path(path),
        ) from error
    if document.version != VERSION:
        raise ConfigError(
            f"it has version {document.version}, and this imgcache reads {VERSION}: use the imgcache that wrote it",
            where=display_path(path),
        )
    return document.images


def _read_line(number: int, at: int) -> bytes:
    line = b""
    while b"\n" not in line:
        chunk = os.pread(number, _LINE, at + len(line))
        if not chunk:
            break
        line += chunk
    return line.partition(b"\n")[0]


def _key_end(line: bytes) -> int:
    found = _KEY.match(line)
    return found.end() if found else 0


def _key(text: bytes) -> bytes:
    """Decodes the JSON escapes of a key, given without its quotes."""
    if b"\\" not in text:
        return text
    try:
        return msgspec.json.decode(b'"%s"' % text, type=str).encode()
    except (msgspec.DecodeError, UnicodeError):
        return b""
