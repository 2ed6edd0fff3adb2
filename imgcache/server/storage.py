"""What the endpoint needs of the place where a cache is stored: a folder or an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from imgcache.core import MEDIA_TYPES
from imgcache.server.bodies import SAFE, SHARED, Body, BodySource, Headers
from imgcache.server.manifest_lines import ManifestLines, Stamp
from imgcache.server.negotiation import SHOWN, Candidate

_LARGEST_IN_MEMORY = 1_000_000  # bytes


class Blob(Body):
    """One file of the cache.

    Attributes:
        stamp: of a local file.
        expires_at: when it has to be checked again, on the clock of the endpoint.
        edition: of the manifest that named it last.
    """

    __slots__ = ("edition", "expires_at", "stamp")

    def __init__(
        self,
        path: str,
        kind: str,
        *,
        size: int,
        etag: str,
        expires_at: float,
        data: bytes | None = None,
        file: BodySource | None = None,
        stamp: Stamp | None = None,
    ) -> None:
        """`kind` is the format, a key of `MEDIA_TYPES`. Without `data` and `file` it stands for a missing file."""
        super().__init__(size=size, etag=etag, headers=_headers(kind, path), data=data, file=file)
        self.stamp = stamp
        self.expires_at = expires_at
        self.edition = -1

    @property
    def is_present(self) -> bool:
        """Whether there is such a file."""
        return self.data is not None or self.file is not None


class Storage(Protocol):
    """One cache. It belongs to one event loop.

    Attributes:
        folder: has a copy of manifest.json.
        only_named: whether only files that the manifest names are served.
        max_large: how many files that are not in memory may be known at once.
        retry: seconds for which a file in memory is served on while the storage is unavailable.
        manifest_interval: seconds between two checks of the manifest.
        manifest_max_age: seconds for which the manifest from before is used while a new one is read.
    """

    folder: Path
    only_named: bool
    max_large: int
    retry: float
    manifest_interval: float
    manifest_max_age: float

    async def load(self, path: str, named: Candidate | None, old: Blob | None) -> Blob:
        """Reads a file, or checks that `old` is still right. A blob without bytes stands for a missing file.

        Args:
            path: such as `assets/ab/<digest>/<name>`, from a client.
            named: its entry in the manifest, if `only_named`.
            old: the blob of before, expired.

        Raises:
            Unavailable: the storage does not answer.
        """
        ...

    def is_manifest_unchanged(self) -> bool:
        """Whether manifest.json is the one read last, where that is known without waiting."""
        ...

    async def read_manifest(self) -> ManifestLines | None:
        """Returns manifest.json; None where it is the one read last.

        Raises:
            ConfigError: there is none, or it is damaged, or of another version.
            DiskFull: the folder for temporary files cannot be written.
            Unavailable: the storage does not answer.
        """
        ...

    def close(self) -> None:
        """Releases threads and temporary files."""
        ...


def memory_share(memory: int) -> int:
    """The largest file in bytes that is kept in memory, of `memory` bytes for all."""
    return min(_LARGEST_IN_MEMORY, memory // 4)


def missing(path: str, expires_at: float) -> Blob:
    """Returns a blob that stands for a missing or damaged file; with `expires_at` = -inf it is not remembered."""
    return Blob(path, SHOWN[0], size=0, etag='""', expires_at=expires_at)


def _headers(kind: str, path: str) -> Headers:
    """The headers of a format. Browsers download what they cannot show safely."""
    headers: Headers = ((b"content-type", MEDIA_TYPES[kind].encode()), *SHARED, *SAFE)
    if kind in SHOWN:
        return headers
    return (*headers, (b"content-disposition", b'attachment; filename="%s"' % path.rpartition("/")[2].encode()))
