"""Makes findings from images and their uses, counts and sorts them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from imgcache.cache import AuditedImage, ImageUse
from imgcache.core import Correction, Finding, Place, Severity, UrlState, without_credentials
from imgcache.policy import plan

_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


def image_finding(
    image: AuditedImage,
    rule: str,
    severity: Severity,
    message: str,
    remedy: str,
    *,
    state: UrlState | None = None,
    changes: Sequence[Correction] = (),
) -> Finding:
    """Returns a finding about one image, at the uses that `image` has; credentials are removed from its URL."""
    return msgspec.structs.replace(
        uses_finding(image.uses, rule, severity, message, remedy),
        url=without_credentials(image.url),
        state=state,
        digest=image.digest,
        changes=tuple(change for change in changes if change.place.field != plan.DATA_FIELD),
    )


def uses_finding(uses: Sequence[ImageUse], rule: str, severity: Severity, message: str, remedy: str) -> Finding:
    """Returns a finding about several images, such as those of one host, at all of these uses."""
    finding = places_finding([use.place for use in uses], rule, severity, message, remedy)
    return msgspec.structs.replace(finding, newest=max((use.newest for use in uses), default=""))


def places_finding(places: Sequence[Place], rule: str, severity: Severity, message: str, remedy: str) -> Finding:
    """Returns a finding about articles, at these places in their order."""
    first = places[0] if places else None
    return Finding(
        rule=rule,
        severity=severity,
        url=None,
        message=message,
        article=first.article if first else None,
        line=first.line if first else None,
        column=first.column if first else None,
        field=first.field or None if first else None,
        references=tuple(places),
        remedy=remedy,
        articles=len({place.article for place in places}),
    )


def count_failing(findings: Iterable[Finding]) -> int:
    """Returns how many images have an error. A relative URL is another image in each folder."""
    return len(
        {
            (found.url, (found.article or "").rpartition("/")[0] if _is_relative(found.url) else "")
            for found in findings
            if found.url is not None and found.severity is Severity.ERROR
        }
    )


def _is_relative(url: str) -> bool:
    return ":" not in url.partition("/")[0] and not url.startswith(("/", "\\"))


def sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Sorts by the number of articles, then by the newest article (both descending), then by severity, rule and URL."""
    by_name = sorted(findings, key=_name_key)
    by_age = sorted(by_name, key=lambda found: found.newest, reverse=True)
    return sorted(by_age, key=lambda found: found.articles, reverse=True)


def _name_key(found: Finding) -> tuple[int, str, str, tuple[Place, ...], str]:
    return _RANKS[found.severity], found.rule, found.url or "", found.references, found.message
