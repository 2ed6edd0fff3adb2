"""Values that stores return: sizes in total, and the metadata of one file."""

from __future__ import annotations

import msgspec


class StoreUsage(msgspec.Struct, frozen=True):
    """What a store holds: the number of originals, of files of any kind, and their bytes in total."""

    assets: int
    files: int
    bytes: int


class FileInfo(msgspec.Struct, frozen=True):
    """The metadata of one file: its bytes, a strong validator (RFC 9110, section 8.8.3), and when it was written."""

    bytes: int
    etag: str
    modified: float  # seconds since the epoch
