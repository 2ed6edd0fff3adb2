"""Counts the requests of a run, for progress bars and reports."""

from __future__ import annotations

import msgspec


class HostStatistics(msgspec.Struct):
    """The requests to one host, or those for one image.

    Attributes:
        requests: the requests sent; each redirect and each retry is one.
        bytes: the bytes of bodies received.
        seconds: the time spent in requests.
        failures: the requests that failed.
        busy: the answers 429 and 503, of one image only.
        timeouts: the time-outs, of one image only.
        waited: the seconds of waiting before retries, of one image only.
    """

    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: int = 0
    busy: int = 0
    timeouts: int = 0
    waited: float = 0.0


class Statistics:
    """All hosts of a run, by name, in the order of their first requests."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostStatistics] = {}

    def host(self, name: str) -> HostStatistics:
        """Return the statistics of one host; they are created when missing."""
        found = self.hosts.get(name)
        if found is None:
            found = self.hosts[name] = HostStatistics()
        return found

    @property
    def bytes(self) -> int:
        """Body bytes received from all hosts."""
        return sum(host.bytes for host in self.hosts.values())

    @property
    def requests(self) -> int:
        """Requests sent to all hosts."""
        return sum(host.requests for host in self.hosts.values())
