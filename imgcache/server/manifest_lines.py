"""manifest.json as a place to look things up in: in memory is where each image's line begins, and nothing else."""

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
    """Tells one file from the one that took its place: a manifest is replaced, never written into."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        """The stamp of a file."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class Descriptor:
    """An open file that is closed when nobody holds it any more: readers of an old version may still be at it."""

    piece = 262_144  # bytes read at once for whoever sends it

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self, start: int, length: int) -> Awaitable[bytes]:
        """At most so many bytes, in a thread. Raises OSError."""
        return asyncio.to_thread(os.pread, self.number, length, start)

    def __del__(self) -> None:
        os.close(self.number)


class _Digest(msgspec.Struct):
    digest: str = ""


class _Document(msgspec.Struct):
    version: int
    images: dict[str, msgspec.Raw]


class ManifestLines:
    """One version of manifest.json: the bytes of an image's entry, by its URL.

    Attributes:
        file: the open file, for whoever sends it whole.
        stamp: of that file.
        etag: of its bytes, in quotes.
        offsets: where the line of each URL begins, by the hash of the URL, which is secret: nobody can make two alike.
        loose: instead of `offsets` where the file is valid and not one image a line; then it is held in memory.
        digests: where the line of an image begins, by the hash of its digest, once `index_digests` was called.
    """

    def __init__(
        self,
        file: Descriptor,
        stamp: Stamp,
        offsets: dict[int, int],
        loose: dict[str, msgspec.Raw] | None,
        etag: str | None = None,
    ) -> None:
        self.file = file
        self.stamp = stamp
        self.etag = etag or f'"{stamp.mtime_ns:x}-{stamp.size:x}-{stamp.inode:x}"'
        self._offsets = offsets
        self._loose = loose
        self._digests: dict[int, int] = {}
        self._loose_digests: dict[str, msgspec.Raw] = {}

    @classmethod
    def read(cls, path: Path, etag: str | None = None) -> ManifestLines:
        """Reads the file once through. Without an `etag` it is of the file's stamp.

        Raises:
            ConfigError: there is none, or it is damaged, or of another version.
        """
        try:
            file = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            stamp = Stamp.of(os.fstat(file.number))
            offsets = _offsets(file.number, stamp.size)
            return cls(file, stamp, offsets or {}, _loose(file.number, path) if offsets is None else None, etag)
        except OSError as error:
            advice = "run sync to write it" if isinstance(error, FileNotFoundError) else "look at the disk and rights"
            raise ConfigError(f"cannot be read ({error.strerror}): {advice}", where=display_path(path)) from error

    def __len__(self) -> int:
        return len(self._offsets if self._loose is None else self._loose)

    def __contains__(self, url: str) -> bool:
        """Without a look at the file; in one of 10**12 cases of 100,000 images true of a URL that is not there."""
        return url in self._loose if self._loose is not None else hash(url.encode()) in self._offsets

    def get(self, url: str) -> bytes | None:
        """The JSON of one image; None where it is not held. Raises OSError."""
        if self._loose is not None:
            found = self._loose.get(url)
            return None if found is None else bytes(found)
        key = url.encode()
        at = self._offsets.get(hash(key))
        if at is None:
            return None
        line = _line(self.file.number, at)
        end = _key_end(line)
        return line[end:].rstrip(b",") if end and _key(line[1 : end - 2]) == key else None

    def index_digests(self) -> None:
        """Makes `named` answer. Reads the file once through. Raises OSError."""
        if self._loose is not None:
            self._loose_digests = {_digest_of(bytes(raw)): raw for raw in self._loose.values()}
            return
        at = len(_HEAD)
        for line in _whole_lines(self.file.number, at, self.stamp.size - len(_TAIL) + 1):
            found = _DIGEST.search(line)  # a key cannot hold this: its quotes are escaped
            digest = found[1].decode() if found else _digest_of(line[_key_end(line) :].rstrip(b","))
            self._digests[hash(digest)] = at
            at += len(line) + 1

    def named(self, digest: str) -> bytes | None:
        """The JSON of an image with this SHA-256, in hex; None where none has it. Raises OSError.

        Digests are known by their hash: whoever asks looks whether it is the one.
        """
        if self._loose is not None:
            found = self._loose_digests.get(digest)
            return None if found is None else bytes(found)
        at = self._digests.get(hash(digest))
        if at is None:
            return None
        line = _line(self.file.number, at)
        return line[_key_end(line) :].rstrip(b",")


def _digest_of(entry: bytes) -> str:
    try:
        return msgspec.json.decode(entry, type=_Digest).digest
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _offsets(number: int, size: int) -> dict[int, int] | None:
    """Where each line begins; None where the file is not as `imgcache.manifest.document` writes it, one image a line."""
    head = os.pread(number, len(_HEAD), 0)
    if head != _HEAD or os.pread(number, len(_TAIL), size - len(_TAIL)) != _TAIL:
        return None
    offsets: dict[int, int] = {}
    at, count, end = len(_HEAD), 0, size - len(_TAIL) + 1
    for line in _whole_lines(number, at, end):
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


def _whole_lines(number: int, at: int, end: int) -> Iterator[bytes]:
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
            f"no manifest ({error}): remove it, and run sync to write it anew", where=display_path(path)
        ) from error
    if document.version != VERSION:
        raise ConfigError(
            f"version {document.version}, and this imgcache reads {VERSION}: use its version", where=display_path(path)
        )
    return document.images


def _line(number: int, at: int) -> bytes:
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
    """A key between its quotes, with JSON's escapes undone."""
    if b"\\" not in text:
        return text
    try:
        return msgspec.json.decode(b'"%s"' % text, type=str).encode()
    except (msgspec.DecodeError, UnicodeError):
        return b""
