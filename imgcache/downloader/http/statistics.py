"""What a run has cost so far, for progress bars and reports."""

from __future__ import annotations

import msgspec


class HostStatistics(msgspec.Struct):
    """One host: requests sent (each redirect and retry is one), body bytes received, seconds spent, failures.

    Of one image `busy` counts the answers 429 and 503, `timeouts` what did not come in time, `waited` the seconds
    before it was asked for again.
    """

    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: int = 0
    busy: int = 0
    timeouts: int = 0
    waited: float = 0.0


class Statistics:
    """All hosts of a run; `hosts` is keyed by name, in the order they were first asked."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostStatistics] = {}

    def host(self, name: str) -> HostStatistics:
        """The line of one host, made at first sight."""
        found = self.hosts.get(name)
        if found is None:
            found = self.hosts[name] = HostStatistics()
        return found

    @property
    def bytes(self) -> int:
        """Body bytes received from all hosts."""
        return sum(line.bytes for line in self.hosts.values())

    @property
    def requests(self) -> int:
        """Requests sent to all hosts."""
        return sum(line.requests for line in self.hosts.values())
