"""Which site a command works on, and with which settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from imgcache.config import Config

Clock = Callable[[], float]
"""Seconds since the epoch."""


class Ground(msgspec.Struct, frozen=True):
    """Which site and which cache a command works on, and how it was configured.

    `place` is the URL of the object store that holds blobs and manifest.json; then `cache` is the folder whose `index/`
    is this machine's own.
    """

    root: Path
    cache: Path
    config: Config
    place: str | None = None
