"""The report of a sync: the counts that scripts read, and every problem with its places. Pure."""

from __future__ import annotations

import msgspec

from imgcache.core import Action, Delay, Outcome, Problem, Severity, UnreadAddresses, host_if_any


class SlowHost(msgspec.Struct):
    """Why a host was slow: its answers 429 and 503, its time-outs, and the seconds that images waited for it in all."""

    busy: int = 0
    timeouts: int = 0
    waited: float = 0.0

    def add(self, delay: Delay) -> None:
        """Add the delay of one image."""
        self.busy += delay.busy
        self.timeouts += delay.timeouts
        self.waited = round(self.waited + delay.waited, 3)


class SyncReport(msgspec.Struct):
    """The result of one sync. Scripts rely on its JSON: keys are added, never renamed.

    `images` counts distinct remote URLs; `cached` of them are held with all variants; `failed` could not be fetched and
    are not held. `reused` images needed nothing from the network. `sizes_fixed` counts references that now declare the
    true size. `slow_hosts` refused to answer for a while, or did not answer in time. `unread` are addresses in front
    matter or data files that look like images and are not read.

    With `dry_run`, all this is what a run would report if every server gave a good answer.
    """

    articles: int = 0
    references: int = 0
    images: int = 0
    cached: int = 0
    reused: int = 0
    fetched: int = 0
    revalidated: int = 0
    failed: int = 0
    bytes_fetched: int = 0
    flags_set: int = 0
    flags_cleared: int = 0
    sizes_fixed: int = 0
    seconds: float = 0.0
    slow_hosts: dict[str, SlowHost] = {}
    unread: UnreadAddresses = UnreadAddresses()
    problems: list[Problem] = []
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET

    def count(self, outcome: Outcome) -> None:
        """Add one outcome."""
        self.bytes_fetched += outcome.bytes_fetched
        if outcome.delay is not None:
            self.slow_hosts.setdefault(host_if_any(outcome.url), SlowHost()).add(outcome.delay)
        match outcome.action:
            case Action.FETCHED:
                self.fetched += 1
            case Action.REVALIDATED | Action.DOUBTED:
                self.revalidated += 1
            case Action.REUSED | Action.RENDERED:
                self.reused += 1
            case Action.FAILED:
                is_error = outcome.problem is None or outcome.problem.severity is Severity.ERROR
                self.failed += outcome.asset is None and is_error
            case Action.RESTED:
                self.failed += outcome.asset is None
                self.reused += outcome.asset is not None

    def retract(self, action: Action) -> None:
        """Count an image as failed that was counted by this action before."""
        match action:
            case Action.FETCHED:
                self.fetched -= 1
            case Action.REVALIDATED:
                self.revalidated -= 1
            case _:
                self.reused -= 1
        self.failed += 1

    @property
    def is_well(self) -> bool:
        """Whether there are no problems but warnings and notes."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)

    def to_json(self) -> bytes:
        """Returns the report as one JSON object."""
        return msgspec.json.encode(self)
