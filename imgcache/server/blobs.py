"""The files under assets/: opened once without following any link, known by their bytes, small ones kept in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from imgcache.cache import FILE_NAME
from imgcache.core import MEDIA_TYPES, SNIFF_BYTES, ImageError, sniff
from imgcache.server.bodies import SAFE, SHARED, Body, Headers
from imgcache.server.manifest_lines import Descriptor, Stamp
from imgcache.server.negotiation import SHOWN

_PATH = re.compile(rf"assets/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})/({FILE_NAME.pattern})")
_TRUSTED_FOR = 1.0  # seconds until a file is looked at again
LARGEST_IN_MEMORY = 1_000_000  # bytes
_OPEN_FILES = 128
_SMALL_FILES = 8192
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


class Blob(Body):
    """One file of the cache, known by the SHA-256 of its bytes. `checked_at` is when it was last looked at."""

    __slots__ = ("checked_at", "stamp")

    def __init__(
        self, *, stamp: Stamp, etag: str, headers: Headers, data: bytes | None, file: Descriptor, now: float
    ) -> None:
        super().__init__(
            size=stamp.size, etag=etag, headers=headers, data=data, file=None if data is not None else file
        )
        self.stamp = stamp
        self.checked_at = now


class Blobs:
    """The files of one cache. It belongs to one event loop; the disk is waited for in threads."""

    def __init__(self, cache: Path, memory: int, clock: Callable[[], float]) -> None:
        """`memory` is what the files kept may take together, in bytes; `clock` gives seconds that only go forward."""
        self._cache = cache
        self._memory = memory
        self._each = min(LARGEST_IN_MEMORY, memory // 4)
        self._clock = clock
        self._small: OrderedDict[str, Blob] = OrderedDict()
        self._large: OrderedDict[str, Blob] = OrderedDict()
        self._opening: dict[str, asyncio.Task[Blob | None]] = {}
        self.bytes_held = 0

    def at_hand(self, path: str) -> Blob | None:
        """The file, if it was looked at within the last second."""
        shelf = self._small
        blob = shelf.get(path)
        if blob is None:
            shelf = self._large
            blob = shelf.get(path)
        if blob is None or self._clock() - blob.checked_at > _TRUSTED_FOR:
            return None
        shelf.move_to_end(path)
        return blob

    async def get(self, path: str) -> Blob | None:
        """The file at `assets/ab/<digest>/<name>`; None where there is none, or it is no image, or no plain file."""
        blob = self.at_hand(path)
        if blob is not None or not _PATH.fullmatch(path):
            return blob
        task = self._opening.get(path)
        if task is None:
            task = self._opening[path] = asyncio.ensure_future(self._open(path))
            task.add_done_callback(lambda _: self._opening.pop(path, None))
        return await asyncio.shield(task)

    async def _open(self, path: str) -> Blob | None:
        old = self._small.get(path) or self._large.get(path)
        try:
            blob = await asyncio.to_thread(self._read, path, old)
        except OSError:
            blob = None
        if blob is not old:
            self._drop(path)
            if blob is not None:
                self._keep(path, blob)
        return blob

    def _read(self, path: str, old: Blob | None) -> Blob | None:
        file = _open_plain(self._cache, path)
        stamp = Stamp.of(os.fstat(file.number))
        if old is not None and old.stamp == stamp:
            old.checked_at = self._clock()
            return old
        data = os.pread(file.number, stamp.size, 0) if stamp.size <= self._each else None
        try:
            kind = sniff(data[:SNIFF_BYTES] if data is not None else os.pread(file.number, SNIFF_BYTES, 0))
        except ImageError:
            return None
        etag = f'"{_digest(path, file.number, data)}"'
        return Blob(stamp=stamp, etag=etag, headers=headers_of(kind, path), data=data, file=file, now=self._clock())

    def _drop(self, path: str) -> None:
        self._large.pop(path, None)
        gone = self._small.pop(path, None)
        self.bytes_held -= gone.size if gone else 0

    def _keep(self, path: str, blob: Blob) -> None:
        if blob.file is not None:
            self._large[path] = blob
            if len(self._large) > _OPEN_FILES:
                self._large.popitem(last=False)
            return
        self._small[path] = blob
        self.bytes_held += blob.size
        while self.bytes_held > self._memory or len(self._small) > _SMALL_FILES:
            self.bytes_held -= self._small.popitem(last=False)[1].size


def _open_plain(cache: Path, path: str) -> Descriptor:
    """The file, reached from assets/ without following a link (that folder itself may be one). Raises OSError."""
    assets, *folders, name = path.split("/")
    with ExitStack() as stack:
        number = os.open(cache / assets, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, number)
        for folder in folders:
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK, dir_fd=number)
            stack.callback(os.close, number)
        file = Descriptor(os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK, dir_fd=number))
    if not stat.S_ISREG(os.fstat(file.number).st_mode):
        raise OSError(f"{path} is no plain file")
    return file


def _digest(path: str, number: int, data: bytes | None) -> str:
    """Of the bytes: an original's is in its path (`verify` sees to that), so that large files are rarely read twice."""
    _, _, digest, name = path.split("/")
    if data is not None:
        return hashlib.sha256(data).hexdigest()
    if name.startswith("original."):
        return digest
    with open(number, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def headers_of(kind: str, path: str) -> Headers:
    """Of a file of this format. What browsers do not show safely they are told to save."""
    headers: Headers = (
        (b"content-type", MEDIA_TYPES[kind].encode()),
        *SHARED,
        *SAFE,
    )
    if kind in SHOWN:
        return headers
    return (*headers, (b"content-disposition", b'attachment; filename="%s"' % path.rpartition("/")[2].encode()))
