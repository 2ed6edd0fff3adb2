"""The lock of a cache, which lets one process write at a time."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from filelock import FileLock, Timeout

from imgcache.core import CacheBusy, clean_text, disk_errors, display_path, make_folder, refuse_links, replace_file


class Holder(msgspec.Struct, frozen=True):
    """The process that holds the lock. `since` is in seconds since the epoch."""

    pid: int
    host: str
    command: str
    since: float

    def __str__(self) -> str:
        since = f"{datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"process {self.pid} on {clean_text(self.host)} ({clean_text(self.command)}) since {since}"


class CacheLock:
    """A context manager that only one process at a time can enter for the same folder.

    The lock is one of the operating system (flock): it ends with its process, however that ends. `holder.json` beside
    it is only used for the message to other processes.
    """

    def __init__(self, folder: Path, *, command: str, now: float) -> None:
        self._folder = folder
        self._lock = FileLock(folder / "lock", thread_local=False)
        self._holder_file = folder / "holder.json"
        self._holder = Holder(os.getpid(), socket.gethostname(), command, now)

    def __enter__(self) -> Self:
        """Takes the lock, or fails at once.

        Raises:
            CacheBusy: another process holds the lock.
            DiskFull: the lock file cannot be written, or the folder, `assets/` beside it, or an entry of it is a link.
        """
        refuse_links(self._folder)
        make_folder(self._folder)
        _refuse_links_in(self._folder)
        with disk_errors(self._folder):
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                raise CacheBusy(
                    f"{display_path(self._folder.parent)} is in use by {self._read_holder()}: "
                    "wait until it has ended, or use another folder with --cache"
                ) from None
            try:
                self._write_holder()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._holder_file.unlink()
        self._lock.release()

    def _write_holder(self) -> None:
        replace_file(self._holder_file, msgspec.json.encode(self._holder), temporary_name="holder.json.part")

    def _read_holder(self) -> str:
        try:
            return str(msgspec.json.decode(self._holder_file.read_bytes(), type=Holder))
        except (OSError, msgspec.DecodeError, OverflowError, ValueError):
            return "another process"


def _refuse_links_in(folder: Path) -> None:
    """Refuses links in place of databases, staging folder and lock: libraries open them by name and follow links."""
    refuse_links(folder.with_name("assets"))
    for place, folders, files in os.walk(folder):
        refuse_links(*(Path(place, name) for name in (*folders, *files)))
        if Path(place) != folder:
            folders.clear()
