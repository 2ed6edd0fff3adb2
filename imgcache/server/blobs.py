"""The files under assets/ of one cache: small ones in memory, large ones known by their open file."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable

from imgcache.core import ConfigError
from imgcache.server.manifest_watcher import ManifestWatcher
from imgcache.server.negotiation import Candidate
from imgcache.server.storage import Blob, Storage
from imgcache.server.upstream import Unavailable

_MAX_SMALL = 8192  # files in memory
_logger = logging.getLogger("imgcache.server")


class Blobs:
    """The files of one cache, for one event loop.

    Attributes:
        bytes_held: bytes of files in memory.
    """

    def __init__(self, storage: Storage, manifest: ManifestWatcher, memory: int, clock: Callable[[], float]) -> None:
        """`memory`: bytes for all files in memory; `clock`: monotonic, in seconds."""
        self._storage = storage
        self._manifest = manifest
        self._only_named = storage.only_named
        self._memory = memory
        self._clock = clock
        self._small: OrderedDict[str, Blob] = OrderedDict()
        self._large: OrderedDict[str, Blob] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Blob]] = {}
        self.bytes_held = 0

    def cached(self, path: str) -> Blob | None:
        """Returns the file if it is known to be right without any waiting."""
        blobs = self._small
        blob = blobs.get(path)
        if blob is None:
            blobs = self._large
            blob = blobs.get(path)
        if blob is None or blob.expires_at < self._clock():
            return None
        if self._only_named and not self._is_named(blob):
            return None
        blobs.move_to_end(path)
        return blob

    async def get(self, path: str) -> Blob | None:
        """Returns the file at `assets/ab/<digest>/<name>`.

        Returns:
            None where there is none, it is damaged or not an image, or the manifest has to name it and does not.

        Raises:
            Unavailable: the storage does not answer, and the file is not in memory.
        """
        blob = self.cached(path)
        if blob is not None:
            return blob
        named, edition = None, -1
        if self._only_named:
            view = await self._manifest.view()
            edition = self._manifest.edition
            if view.lines is None and self._manifest.unreachable:
                raise Unavailable("manifest.json was never read")
            try:
                named = await view.file(path)
            except ConfigError as error:
                _logger.warning("%s: %s", path, error)
            if named is None:
                return None
        blob = self._known(path)
        if blob is None or blob.expires_at < self._clock():
            blob = await self._reload(path, named, blob)
        blob.edition = edition
        return blob if blob.is_present else None

    def _is_named(self, blob: Blob) -> bool:
        """Whether it is there, and a fresh manifest names it. Absent files are remembered only with `only_named`."""
        return blob.is_present and self._manifest.fresh() is not None and blob.edition == self._manifest.edition

    def _known(self, path: str) -> Blob | None:
        return self._small.get(path) or self._large.get(path)

    async def _reload(self, path: str, named: Candidate | None, old: Blob | None) -> Blob:
        try:
            return await self._load_once(path, named)
        except Unavailable:
            if old is None or old.data is None:
                raise
            old.expires_at = self._clock() + self._storage.retry
            return old

    async def _load_once(self, path: str, named: Candidate | None) -> Blob:
        """Loads the file; concurrent requests for it wait for the same task."""
        task = self._loading.get(path)
        if task is None:
            task = self._loading[path] = asyncio.ensure_future(self._load(path, named))
            task.add_done_callback(lambda task: self._forget_task(path, task))
        return await asyncio.shield(task)

    def _forget_task(self, path: str, task: asyncio.Task[Blob]) -> None:
        self._loading.pop(path, None)
        if not task.cancelled():
            task.exception()  # retrieved, also where every waiting client has gone

    async def _load(self, path: str, named: Candidate | None) -> Blob:
        old = self._known(path)
        blob = await self._storage.load(path, named, old)
        if blob is not old:
            self._drop(path)
            if math.isfinite(blob.expires_at):
                self._keep(path, blob)
        return blob

    def _keep(self, path: str, blob: Blob) -> None:
        if blob.data is None:
            self._large[path] = blob
            if len(self._large) > self._storage.max_large:
                self._large.popitem(last=False)
            return
        self._small[path] = blob
        self.bytes_held += blob.size
        while self.bytes_held > self._memory or len(self._small) > _MAX_SMALL:
            self.bytes_held -= self._small.popitem(last=False)[1].size

    def _drop(self, path: str) -> None:
        self._large.pop(path, None)
        old = self._small.pop(path, None)
        self.bytes_held -= old.size if old else 0
