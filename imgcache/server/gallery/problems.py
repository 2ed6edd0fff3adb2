"""Describes the problems of an image for the person who runs the site. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgcache.core import Declared, Failure, Severity, Size, clean_text
from imgcache.policy import Health, QuarantineRecord, SizeMatch, health, plan

DIMENSIONS, WITHOUT_COPY, WITHOUT_FLAG = "dimensions", "flag-without-copy", "copy-without-flag"
QUARANTINED = "quarantined"


class ImageIssue(NamedTuple):
    """One problem, and what to do about it."""

    code: str
    severity: Severity
    message: str


class DeclaredEntry(NamedTuple):
    """What one entry of an article declares: the size, the flag, and whether it can have a flag."""

    declared: Declared
    is_cached: bool | None
    flaggable: bool


def entry_issues(entry: DeclaredEntry, actual: Size | None, *, held: bool) -> Iterator[ImageIssue]:
    """Yields the problems of an entry. `actual` is the size of the image; None: unknown."""
    shape = SizeMatch.EXACT if actual is None else plan.compare_size(entry.declared, actual)
    if actual is not None and shape is not SizeMatch.EXACT:
        # A flag beside another aspect ratio shows that the site allows it (`dimensions: ignore`).
        severity = Severity.ERROR if shape is SizeMatch.OTHER and not entry.is_cached else Severity.WARNING
        yield ImageIssue(DIMENSIONS, severity, plan.describe_mismatch(entry.declared, actual))
    if entry.is_cached and not held:
        yield ImageIssue(
            WITHOUT_COPY, Severity.ERROR, "isCached: true, but the image is not cached; the next sync repairs it"
        )
    if entry.flaggable and held and not entry.is_cached and shape is not SizeMatch.OTHER:
        yield ImageIssue(
            WITHOUT_FLAG, Severity.WARNING, "the image is cached, but isCached is missing; the next sync sets it"
        )


def failure_issue(failure: Failure, health_: Health | None, now: float, *, held: bool) -> ImageIssue:
    """Describes a failing URL: a warning if the image is cached, because readers still see it."""
    state = health.url_state(failure, health_, now)
    times = "once" if failure.count == 1 else f"{failure.count:,} times in a row"
    parts = [clean_text(failure.message), f"{state}: failed {times}, first {health.format_day(failure.first_at)}"]
    if failure.last_good is not None:
        parts.append(f"last answered {health.format_day(failure.last_good)}")
    if held:
        parts.append("the cached copy is still served")
    return ImageIssue(failure.code, Severity.WARNING if held else Severity.ERROR, "; ".join(parts))


def quarantine_issue(record: QuarantineRecord) -> ImageIssue:
    """Describes an image in quarantine: the server sent another one, and a person has to accept or reject it."""
    message = (
        f"the image that the server has sent since {health.format_day(record.since)} is {clean_text(record.reason)};"
        " the cached one stays until you decide"
    )
    return ImageIssue(QUARANTINED, Severity.WARNING, message)
