"""What a rewrite did: the counts that scripts read, and every problem with its places. Pure."""

from __future__ import annotations

import msgspec

from imgcache.core import Problem, Severity


class RewriteReport(msgspec.Struct):
    """The result of one rewrite; its JSON is what scripts rely on.

    `pages` are the files that were looked at, `changed` those that were written. `references` are the places at which
    they loaded a remote image when the run began, `images` the distinct images of these; `rewritten` of the places are
    local now, and `left` are still remote. `fetched` images came from the network, `failed` could not be had.

    With `dry_run` nothing was written: all this is what a run would come to if every server gave a good answer.
    """

    pages: int = 0
    changed: int = 0
    references: int = 0
    images: int = 0
    rewritten: int = 0
    left: int = 0
    fetched: int = 0
    failed: int = 0
    seconds: float = 0.0
    problems: list[Problem] = []
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong but warnings and notes."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)
