"""A cache in an object store: files that manifest.json names, and a local copy of manifest.json."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from imgcache.cache import ReadableStore
from imgcache.config import ServePolicy
from imgcache.core import MEDIA_TYPES, SNIFF_BYTES, ImageError, sniff
from imgcache.server.manifest_lines import ManifestLines
from imgcache.server.negotiation import SHOWN, Candidate
from imgcache.server.remote_file import RemoteFile
from imgcache.server.remote_manifest import RemoteManifest
from imgcache.server.storage import Blob, memory_share, missing
from imgcache.server.tuning import Tuning
from imgcache.server.upstream import Upstream

_logger = logging.getLogger("imgcache.server")


class RemoteStorage:
    """One place in an object store."""

    only_named = True
    max_large = 8192  # they are no open files

    def __init__(self, store: ReadableStore, policy: ServePolicy, clock: Callable[[], float], tuning: Tuning) -> None:
        """`clock`: monotonic, in seconds. Raises ConfigError: there is no folder for temporary files."""
        self._upstream = Upstream(store, clock, tuning.remote_wait)
        self._manifest = RemoteManifest(self._upstream, tuning.remote_manifest_piece_bytes)
        self.folder = self._manifest.folder
        self.retry = tuning.remote_retry
        self.manifest_interval = tuning.remote_manifest_interval
        self.manifest_max_age = tuning.remote_manifest_max_age
        self._each = memory_share(policy.memory)
        self._redirects = policy.large == "redirect"
        self._clock = clock
        self._tuning = tuning

    async def load(self, path: str, named: Candidate | None, _old: Blob | None) -> Blob:
        """Requests a file that the manifest names. Raises Unavailable."""
        if named is None:
            return missing(path, float("-inf"))
        find = self._read_small if named.bytes <= self._each else self._find_large
        blob = await self._upstream.ask(find, path, named)
        lifetime = self._tuning.remote_data_for if blob.data is not None else self._tuning.remote_file_for
        if not blob.is_present:
            _logger.warning("%s is missing or damaged in the object store: run imgcache verify --repair", path)
            lifetime = self._tuning.remote_absent_for
        blob.expires_at = self._clock() + lifetime
        return blob

    def _read_small(self, path: str, named: Candidate) -> Blob:
        data = self._upstream.store.read(path)
        try:
            if data is None or len(data) != named.bytes:
                return missing(path, 0.0)
            kind = sniff(data[:SNIFF_BYTES])
        except ImageError:
            return missing(path, 0.0)
        return Blob(path, kind, size=len(data), etag=_tag(data), expires_at=0.0, data=data)

    def _find_large(self, path: str, named: Candidate) -> Blob:
        found = self._upstream.store.metadata(path)
        if found is None or found.bytes != named.bytes or named.format not in MEDIA_TYPES:
            return missing(path, 0.0)
        # Formats that browsers do not show need headers that the store does not send.
        redirects = self._redirects and named.format in SHOWN
        file = RemoteFile(self._upstream, path, redirects=redirects, piece=self._tuning.remote_piece_bytes)
        etag = f'"{path.split("/")[2]}"' if named.is_original else _tag(f"{path} {found.etag}".encode())
        return Blob(path, named.format, size=found.bytes, etag=etag, expires_at=0.0, file=file)

    def is_manifest_unchanged(self) -> bool:
        """Nothing is known without a request."""
        return False

    async def read_manifest(self) -> ManifestLines | None:
        """Returns manifest.json; None if its etag has not changed. Raises ConfigError, DiskFull, Unavailable."""
        return await self._manifest.read()

    def close(self) -> None:
        """Stops all requests and removes the copy of manifest.json."""
        self._upstream.close()
        self._manifest.close()


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()}"'
