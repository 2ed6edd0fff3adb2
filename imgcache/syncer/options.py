"""The options of one sync."""

from __future__ import annotations

import msgspec

from imgcache.core import Limits
from imgcache.policy import SyncPolicy


class SyncOptions(msgspec.Struct, frozen=True):
    """The options of one sync, apart from the configuration of its parts."""

    policy: SyncPolicy
    only_failed: bool = False
    dry_run: bool = False
    per_host: int = 6
    at_once: int = 64
    limits: Limits = Limits()
    article: str | None = None  # the path of the only article whose images and flags are brought up to date
