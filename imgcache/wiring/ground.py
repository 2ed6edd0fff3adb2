"""Which site a command works on, and with which settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from imgcache.config import Config

Clock = Callable[[], float]
"""Seconds since the epoch."""


class Ground(msgspec.Struct, frozen=True):
    """Which site and which cache a command works on, and how it was configured."""

    root: Path
    cache: Path
    config: Config
