"""Has the wording that reports share. Pure: the texts are safe to print, but must still be escaped for their format."""

from __future__ import annotations

import re
from collections.abc import Iterable

from imgcache.core import (
    AuditReport,
    Exposure,
    Finding,
    Place,
    Severity,
    UrlState,
    clean_text,
    format_bytes,
    host_if_any,
    plural,
    redact,
)

OWN = "own"  # in place of a host, for the files of the site
UNREADABLE = "unreadable"  # in place of a host, for an invalid URL
_MESSAGE = 1000  # characters of a message or remedy
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:|[/\\]{2}")
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def where(place: Place) -> str:
    """Returns `article:line:column`, which editors and terminals open."""
    return f"{clean_text(place.article, 300)}:{place.line}:{place.column}"


def places(found: Finding) -> tuple[Place, ...]:
    """Returns the places of a finding; empty if it is about no article."""
    if found.references or found.article is None:
        return found.references
    return (Place(found.article, found.line or 1, found.column or 1, found.field or ""),)


def shown_url(found: Finding, limit: int = 200) -> str:
    """Returns the URL without credentials, or the article or "the site" if the finding is about no image."""
    if found.url is not None:
        return redact(found.url, limit) or "(empty)"
    return clean_text(found.article, 300) if found.article else "the site"


def host(found: Finding) -> str:
    """Returns the host of the URL, or "" if the finding is about no image."""
    return "" if found.url is None else host_of_url(found.url)


def host_of_url(url: str) -> str:
    """Returns the host of a URL, `own` for a relative URL, or `unreadable` for an invalid one."""
    return host_if_any(url) or (UNREADABLE if _ABSOLUTE.match(url.strip()) else OWN)


def describe(found: Finding) -> str:
    """Returns `URL: message`, or the message alone if the finding is about no image."""
    return message(found) if found.url is None else f"{shown_url(found)}: {message(found)}"


def message(found: Finding) -> str:
    """Returns what is wrong."""
    return clean_text(found.message, _MESSAGE)


def remedy(found: Finding) -> str:
    """Returns what to do, or "" if nothing is known."""
    return clean_text(found.remedy, _MESSAGE)


def since(found: Finding) -> str:
    """Returns `dead since 2026-01-14`, or "" if neither state nor day is known."""
    state = "" if found.state in (None, UrlState.OK) else str(found.state)
    day = clean_text((found.first_seen or "")[:10])
    return " ".join(filter(None, (state, day and f"since {day}")))


def extent(found: Finding) -> str:
    """Returns `40 places in 38 articles`, or "" for a single place."""
    count = len(places(found))
    if count < 2:
        return ""
    articles = found.articles or len({place.article for place in found.references})
    return f"{plural(count, 'place')} in {plural(articles, 'article')}"


def most_important(findings: Iterable[Finding]) -> list[Finding]:
    """Sorts by severity, then by the number of articles, then by the newest article; otherwise the order is kept."""
    newest = sorted(findings, key=lambda found: found.newest, reverse=True)
    return sorted(newest, key=lambda found: (_ORDER[found.severity], -found.articles))


def split(audit: AuditReport) -> tuple[list[Finding], list[Finding]]:
    """Returns the new and the old findings, each sorted by `most_used`."""
    ranked = most_important(audit.findings)
    return [found for found in ranked if not found.is_old], [found for found in ranked if found.is_old]


def count(findings: Iterable[Finding]) -> dict[Severity, int]:
    """Returns the number of findings of each severity, zeros included."""
    counts = dict.fromkeys(Severity, 0)
    for found in findings:
        counts[found.severity] += 1
    return counts


def verdict(audit: AuditReport) -> str:
    """Returns the counts of new findings, such as `3 errors, 1 warning`, or that there are none."""
    counts = count(found for found in audit.findings if not found.is_old)
    parts = [plural(number, severity.value) for severity, number in counts.items() if number]
    return ", ".join(parts) or ("no new findings" if audit.findings else "no problems found")


def exposed(exposure: Exposure) -> list[str]:
    """Returns what a reader's browser is exposed to, without zeros."""
    parts = [
        plural(number, name)
        for number, name in (
            (exposure.hosts, "external host"),
            (exposure.cookies, "cookie"),
            (exposure.trackers, "tracker"),
        )
        if number
    ]
    if exposure.now:
        cached = f", {format_bytes(exposure.cached)} if cached" if 0 < exposure.cached < exposure.now else ""
        parts.append(f"{format_bytes(exposure.now)} loaded from other hosts{cached}")
    return parts
