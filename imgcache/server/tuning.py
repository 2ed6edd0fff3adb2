"""Intervals and sizes of the endpoint that are no settings; tests hand in smaller ones."""

from __future__ import annotations

import msgspec


class Tuning(msgspec.Struct, frozen=True):
    """Seconds, or bytes where the name says so. `remote_…`: for an object store.

    Attributes:
        local_file_for: a file of a folder is used without another `stat`.
        local_manifest_interval: between two checks whether manifest.json has changed.
        local_manifest_max_age: answers come from the previous manifest while a new one is read.
        remote_manifest_interval: a request each, while the server is in use.
        remote_manifest_max_age: as for a folder.
        remote_data_for: a file in memory is used without another request; a damaged file may be repaired in place.
        remote_file_for: the same for a file that is too large for memory.
        remote_absent_for: a file that was missing is not requested again.
        remote_retry: until the next request, where a file in memory has outlasted the store.
        remote_wait: until a request is given up: for a free thread, the request, and a retry.
        remote_piece_bytes: read at once of a large file; a slow client keeps one piece in memory.
        remote_manifest_piece_bytes: of manifest.json in one request, small enough for the time of one.
    """

    local_file_for: float = 1.0
    local_manifest_interval: float = 0.5
    local_manifest_max_age: float = 1.0
    remote_manifest_interval: float = 2.0
    remote_manifest_max_age: float = 10.0
    remote_data_for: float = 600.0
    remote_file_for: float = 60.0
    remote_absent_for: float = 10.0
    remote_retry: float = 10.0
    remote_wait: float = 10.0
    remote_piece_bytes: int = 524_288
    remote_manifest_piece_bytes: int = 8_000_000
