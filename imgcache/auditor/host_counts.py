"""Counts what each host answered. Pure."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from statistics import median

import msgspec

from imgcache.core import HostLine, ProbedImage

# Seconds. A median is rounded up to one of these, so that two runs give equal reports.
_STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


class _Host(msgspec.Struct):
    images: int = 0
    seconds: array[float] = msgspec.field(default_factory=lambda: array("f"))
    bytes: int = 0
    articles: int = 0
    cookies: set[str] = msgspec.field(default_factory=set)
    trackers: int = 0


class HostCounts:
    """Images, times, bytes, cookies and trackers by host."""

    def __init__(self) -> None:
        self._hosts: defaultdict[str, _Host] = defaultdict(_Host)

    def add_answer(self, host: str, probed: ProbedImage) -> None:
        """Count an image that the host delivered."""
        line = self._hosts[host]
        line.images += 1
        line.seconds.append(probed.seconds)
        line.bytes += probed.total or 0
        if probed.cookies:
            line.cookies.update(probed.cookies)
        line.trackers += probed.size.width * probed.size.height == 1

    def add_failure(self, host: str) -> None:
        """Count an image that the host did not deliver."""
        self._hosts[host].images += 1

    def add_article(self, hosts: Iterable[str]) -> None:
        """Count an article that names images of these hosts."""
        for host in hosts:
            self._hosts[host].articles += 1

    def lines(self) -> tuple[HostLine, ...]:
        """Returns one line for each host, sorted by name."""
        return tuple(
            HostLine(
                host=host,
                images=line.images,
                answered=len(line.seconds),
                median=_round_up(median(line.seconds)) if line.seconds else None,
                bytes=line.bytes,
                articles=line.articles,
                cookies=tuple(sorted(line.cookies)),
                trackers=line.trackers,
            )
            for host, line in sorted(self._hosts.items())
        )

    @property
    def cookies(self) -> int:
        """How many cookies the answers set; the same name from two hosts counts twice."""
        return sum(len(line.cookies) for line in self._hosts.values())

    @property
    def trackers(self) -> int:
        """How many images of one pixel were delivered."""
        return sum(line.trackers for line in self._hosts.values())


def _round_up(seconds: float) -> float:
    return next((step for step in _STEPS if seconds <= step), _STEPS[-1])
