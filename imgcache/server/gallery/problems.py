"""What is wrong with an image, in words for the person who runs the site. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgcache.core import Declared, Failure, Severity, Size, clean_text
from imgcache.policy import Health, QuarantineRecord, SizeMatch, health, plan

DIMENSIONS, WITHOUT_COPY, WITHOUT_FLAG = "dimensions", "flag-without-copy", "copy-without-flag"
QUARANTINED = "quarantined"


class ImageIssue(NamedTuple):
    """One thing that is wrong, and what to do about it."""

    code: str
    severity: Severity
    message: str


class DeclaredEntry(NamedTuple):
    """What one entry of an article says of an image."""

    declared: Declared
    is_cached: bool | None
    flaggable: bool


def of_claim(claim: DeclaredEntry, true: Size | None, *, held: bool) -> Iterator[ImageIssue]:
    """What of an entry is not so. `true` is the image's size, None where it is not known."""
    shape = SizeMatch.EXACT if true is None else plan.compare_size(claim.declared, true)
    if true is not None and shape is not SizeMatch.EXACT:
        # A flag beside another shape says that this site lets it pass (`dimensions: ignore`).
        severity = Severity.ERROR if shape is SizeMatch.OTHER and not claim.is_cached else Severity.WARNING
        yield ImageIssue(DIMENSIONS, severity, plan.describe_mismatch(claim.declared, true))
    if claim.is_cached and not held:
        yield ImageIssue(WITHOUT_COPY, Severity.ERROR, "isCached: true, and no copy is held; the next sync mends it")
    if claim.flaggable and held and not claim.is_cached and shape is not SizeMatch.OTHER:
        yield ImageIssue(
            WITHOUT_FLAG, Severity.WARNING, "a copy is held, and isCached is missing; the next sync sets it"
        )


def of_failure(failure: Failure, health_: Health | None, now: float, *, held: bool) -> ImageIssue:
    """A URL that fails. Where a copy is held, the reader still gets the picture."""
    state = health.url_state(failure, health_, now)
    times = "once" if failure.count == 1 else f"{failure.count:,} times in a row"
    parts = [clean_text(failure.message), f"{state}: failed {times}, first {health.format_day(failure.first_at)}"]
    if failure.last_good is not None:
        parts.append(f"last answered {health.format_day(failure.last_good)}")
    if held:
        parts.append("the copy from before is kept and served")
    return ImageIssue(failure.code, Severity.WARNING if held else Severity.ERROR, "; ".join(parts))


def of_doubt(doubt: QuarantineRecord) -> ImageIssue:
    """A picture that came at a refresh and waits for a person's word."""
    message = (
        f"what the server has sent since {health.format_day(doubt.since)} is {clean_text(doubt.reason)};"
        " the copy stays until you decide"
    )
    return ImageIssue(QUARANTINED, Severity.WARNING, message)
