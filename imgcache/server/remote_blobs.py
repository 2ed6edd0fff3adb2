"""The files under assets/ of an object store: those that manifest.json names, small ones kept in memory."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable

from imgcache.config import ServePolicy
from imgcache.core import MEDIA_TYPES, SNIFF_BYTES, ConfigError, ImageError, sniff
from imgcache.server.blobs import LARGEST_IN_MEMORY, headers_of
from imgcache.server.bodies import Body, BodySource
from imgcache.server.negotiation import SHOWN, Candidate
from imgcache.server.remote_file import RemoteFile
from imgcache.server.remote_manifest import RemoteLibrary
from imgcache.server.upstream import Unavailable, Upstream

# Seconds until a file is asked for again: files are not changed, but a damaged one is mended under its name.
_IN_MEMORY_FOR = 600.0
_KNOWN_FOR = 60.0
_ABSENT_FOR = 10.0  # seconds for which a file that is missing there is not asked for again
_WAIT = 10.0  # seconds until the store is asked again for what is still in memory
_MOST = 8192  # files known at once
_logger = logging.getLogger("imgcache.server")


class RemoteBlob(Body):
    """One file, or, without any bytes, that it is missing there.

    Attributes:
        is_there: whether it is.
        in_memory: how many bytes it takes there.
        edition: of the manifest that named it last.
        good_until: when it is asked for anew.
    """

    __slots__ = ("edition", "good_until", "in_memory", "is_there")

    def __init__(
        self, path: str, kind: str, *, size: int, etag: str, data: bytes | None, file: BodySource | None
    ) -> None:
        super().__init__(size=size, etag=etag, headers=headers_of(kind, path), data=data, file=file)
        self.edition = -1
        self.good_until = 0.0
        self.is_there = data is not None or file is not None
        self.in_memory = len(data) if data is not None else 0


class RemoteBlobs:
    """The files of one cache in an object store. It belongs to one event loop."""

    def __init__(
        self, upstream: Upstream, library: RemoteLibrary, policy: ServePolicy, clock: Callable[[], float]
    ) -> None:
        """`clock` gives seconds that only go forward."""
        self._upstream = upstream
        self._library = library
        self._memory = policy.memory
        self._each = min(LARGEST_IN_MEMORY, policy.memory // 4)
        self._redirects = policy.large == "redirect"
        self._clock = clock
        self._kept: OrderedDict[str, RemoteBlob] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[RemoteBlob]] = {}
        self.bytes_held = 0

    def at_hand(self, path: str) -> Body | None:
        """The file, if it is known, and the manifest that was looked at a moment ago names it."""
        blob = self._kept.get(path)
        if blob is None or not blob.is_there or blob.good_until < self._clock():
            return None
        if self._library.at_hand() is None or blob.edition != self._library.edition:
            return None
        self._kept.move_to_end(path)
        return blob

    async def get(self, path: str) -> Body | None:
        """The file at `assets/ab/<digest>/<name>`; None where the manifest names none, or it is missing or damaged.

        A file in memory is given while the store gives no answer. Raises Unavailable.
        """
        view = await self._library.view()
        edition = self._library.edition
        if view.lines is None and self._library.unreachable:
            raise Unavailable("manifest.json was never read")
        try:
            named = await view.file(path)
        except ConfigError as error:
            _logger.warning("%s: %s", path, error)
            return None
        if named is None:
            return None
        blob = self._kept.get(path)
        if blob is None or blob.good_until < self._clock():
            blob = await self._anew(path, named, blob)
        blob.edition = edition
        return blob if blob.is_there else None

    async def _anew(self, path: str, named: Candidate, old: RemoteBlob | None) -> RemoteBlob:
        try:
            return await self._once(path, named)
        except Unavailable:
            if old is None or old.data is None:
                raise
            old.good_until = self._clock() + _WAIT
            return old

    async def _once(self, path: str, named: Candidate) -> RemoteBlob:
        """Fetches it; all who ask meanwhile wait for the same."""
        task = self._fetching.get(path)
        if task is None:
            task = self._fetching[path] = asyncio.ensure_future(self._fetch(path, named))
            task.add_done_callback(lambda task: self._fetched(path, task))
        return await asyncio.shield(task)

    def _fetched(self, path: str, task: asyncio.Task[RemoteBlob]) -> None:
        self._fetching.pop(path, None)
        if not task.cancelled():
            task.exception()  # seen, also where all who waited have gone

    async def _fetch(self, path: str, named: Candidate) -> RemoteBlob:
        find = self._find_small if named.bytes <= self._each else self._find_large
        blob = await self._upstream.ask(find, path, named)
        if not blob.is_there:
            _logger.warning("%s is missing or damaged in the object store: run imgcache verify --repair", path)
        kept_for = _IN_MEMORY_FOR if blob.data is not None else _KNOWN_FOR
        blob.good_until = self._clock() + (kept_for if blob.is_there else _ABSENT_FOR)
        self._keep(path, blob)
        return blob

    def _find_small(self, path: str, named: Candidate) -> RemoteBlob:
        data = self._upstream.store.read(path)
        try:
            if data is None or len(data) != named.bytes:
                return _missing(path)
            kind = sniff(data[:SNIFF_BYTES])
        except ImageError:
            return _missing(path)
        return RemoteBlob(path, kind, size=len(data), etag=_tag(data), data=data, file=None)

    def _find_large(self, path: str, named: Candidate) -> RemoteBlob:
        found = self._upstream.store.look(path)
        if found is None or found.bytes != named.bytes or named.format not in MEDIA_TYPES:
            return _missing(path)
        # What is no plain picture to browsers comes with headers that the store does not send.
        redirects = self._redirects and named.format in SHOWN
        file = RemoteFile(self._upstream, path, redirects=redirects)
        etag = f'"{path.split("/")[2]}"' if named.is_original else _tag(f"{path} {found.etag}".encode())
        return RemoteBlob(path, named.format, size=found.bytes, etag=etag, data=None, file=file)

    def _keep(self, path: str, blob: RemoteBlob) -> None:
        self._drop(path)
        self._kept[path] = blob
        self.bytes_held += blob.in_memory
        while self.bytes_held > self._memory or len(self._kept) > _MOST:
            self._drop(next(iter(self._kept)))

    def _drop(self, path: str) -> None:
        gone = self._kept.pop(path, None)
        self.bytes_held -= gone.in_memory if gone else 0


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()}"'


def _missing(path: str) -> RemoteBlob:
    return RemoteBlob(path, SHOWN[0], size=0, etag='""', data=None, file=None)
