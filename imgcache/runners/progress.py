"""Defines what a run reports while it is running."""

from __future__ import annotations

from typing import Protocol

from imgcache.core import Outcome


class Progress(Protocol):
    """Receives the events of a running sync or audit, for display."""

    def scanned(self) -> None:
        """Another article has been scanned."""

    def planned(self, images: int, waiting: int) -> None:
        """Of `images` images in all, `waiting` need work."""

    def started(self, host: str) -> None:
        """Work on an image of this host has begun."""

    def ended(self, host: str, outcome: Outcome) -> None:
        """Work on an image of this host has ended."""
