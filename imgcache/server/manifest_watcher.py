"""Provides the newest valid manifest.json: checks for changes regularly, and replaces it in one step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from imgcache.core import ConfigError, DiskFull
from imgcache.server.manifest_view import ManifestView
from imgcache.server.storage import Storage
from imgcache.server.upstream import Unavailable

_logger = logging.getLogger("imgcache.server")


class ManifestWatcher:
    """The manifest of one cache, for one event loop. A damaged or unavailable one leaves the view from before.

    Attributes:
        trouble: why manifest.json cannot be read now; None where it can.
        unreachable: whether the storage does not answer.
        edition: another number for each view.
    """

    def __init__(self, storage: Storage, clock: Callable[[], float]) -> None:
        """`clock`: monotonic, in seconds."""
        self._storage = storage
        self._interval = storage.manifest_interval
        self._max_age = storage.manifest_max_age
        self._clock = clock
        self._view = ManifestView(None)
        self._checked_at = self._confirmed_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._is_read = False
        self.trouble: str | None = None
        self.unreachable = False
        self.edition = 0

    def fresh(self) -> ManifestView | None:
        """Returns the view if it was right at most `manifest_max_age` ago; else `view` has to be awaited."""
        now = self._clock()
        if now - self._checked_at >= self._interval and self._reading is None:
            self._check(now)
        is_fresh = self._reading is None or self._checked_at - self._confirmed_at < self._max_age
        return self._view if self._is_read and is_fresh else None

    async def view(self) -> ManifestView:
        """Returns a fresh view, after the reading in progress if there is no other."""
        view = self.fresh()
        if view is None and self._reading is not None:
            await asyncio.shield(self._reading)
        return view or self._view

    def _check(self, now: float) -> None:
        self._checked_at = now
        if self._storage.is_manifest_unchanged():
            self._confirmed_at = now
        else:
            self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        try:
            lines = await self._storage.read_manifest()
        except Unavailable:
            self.unreachable = True
        except (ConfigError, DiskFull) as error:
            self._note_reachable()
            self._note_trouble(str(error))
        else:
            self._note_reachable()
            if lines is not None:
                self._view, self.trouble = ManifestView(lines), None
                self.edition += 1
        finally:
            self._is_read = True
            self._confirmed_at = self._clock()
            self._reading = None

    def _note_trouble(self, trouble: str) -> None:
        if self.trouble != trouble:
            _logger.error("%s", trouble)
        self.trouble = trouble

    def _note_reachable(self) -> None:
        if self.unreachable:
            _logger.warning("the object store answers again")
        self.unreachable = False
