"""What a run tells of itself while it goes on."""

from __future__ import annotations

from typing import Protocol

from imgcache.core import Outcome


class Progress(Protocol):
    """What a terminal shows while a sync or an audit runs."""

    def scanned(self) -> None:
        """One article more has been looked at."""

    def planned(self, images: int, waiting: int) -> None:
        """Of so many images, so many wait for work."""

    def started(self, host: str) -> None:
        """Work on one image has begun."""

    def ended(self, host: str, outcome: Outcome) -> None:
        """Work on one image has ended."""
