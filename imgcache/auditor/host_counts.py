"""What the hosts answered, counted. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from statistics import median

import msgspec

from imgcache.core import HostLine, ProbedImage

# Seconds: a median is rounded up to one of these, or two runs would never say the same.
_STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


class _Host(msgspec.Struct):
    images: int = 0
    seconds: array[float] = msgspec.field(default_factory=lambda: array("f"))
    bytes: int = 0
    articles: int = 0
    cookies: set[str] = msgspec.field(default_factory=set)
    trackers: int = 0


class HostCounts:
    """Counts by host."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}

    def answered(self, host: str, look: ProbedImage) -> None:
        """A picture came."""
        line = self._host(host)
        line.images += 1
        line.seconds.append(look.seconds)
        line.bytes += look.total or 0
        if look.cookies:
            line.cookies.update(look.cookies)
        line.trackers += look.size.width * look.size.height == 1

    def failed(self, host: str) -> None:
        """None came."""
        self._host(host).images += 1

    def enter(self, hosts: Iterable[str]) -> None:
        """One article names images of these hosts."""
        for host in hosts:
            self._host(host).articles += 1

    def lines(self) -> tuple[HostLine, ...]:
        """Each host, by name."""
        return tuple(
            HostLine(
                host=host,
                images=line.images,
                answered=len(line.seconds),
                median=_step(median(line.seconds)) if line.seconds else None,
                bytes=line.bytes,
                articles=line.articles,
                cookies=tuple(sorted(line.cookies)),
                trackers=line.trackers,
            )
            for host, line in sorted(self._hosts.items())
        )

    @property
    def cookies(self) -> int:
        """How many cookies answers set: the same name of two hosts counts twice."""
        return sum(len(line.cookies) for line in self._hosts.values())

    @property
    def trackers(self) -> int:
        """How many pictures of one pixel came."""
        return sum(line.trackers for line in self._hosts.values())

    def _host(self, host: str) -> _Host:
        found = self._hosts.get(host)
        if found is None:
            found = self._hosts[host] = _Host()
        return found


def _step(seconds: float) -> float:
    return next((step for step in _STEPS if seconds <= step), _STEPS[-1])
