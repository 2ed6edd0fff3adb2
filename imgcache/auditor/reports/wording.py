"""The words that reports share. Pure: everything here is safe to print, and still has to be escaped for its format."""

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

OWN = "own"  # stands where a host would, for the site's own files
UNREADABLE = "unreadable"  # the same, for an address that names a host nobody can ask
_MESSAGE = 1000  # characters of a message or remedy
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:|[/\\]{2}")
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def where(place: Place) -> str:
    """What an editor or terminal opens: `article:line:column`."""
    return f"{clean_text(place.article, 300)}:{place.line}:{place.column}"


def places(found: Finding) -> tuple[Place, ...]:
    """Where to open it, the first first; empty where it is about no article."""
    if found.references or found.article is None:
        return found.references
    return (Place(found.article, found.line or 1, found.column or 1, found.field or ""),)


def shown_url(found: Finding, limit: int = 200) -> str:
    """The URL without credentials; the article, or "the site", where the finding is about no image."""
    if found.url is not None:
        return redact(found.url, limit) or "(empty)"
    return clean_text(found.article, 300) if found.article else "the site"


def host(found: Finding) -> str:
    """`host_of_url`, or "" where the finding is about no image."""
    return "" if found.url is None else host_of_url(found.url)


def host_of_url(url: str) -> str:
    """The host that a URL names; `own` for a relative one, `unreadable` for what is neither."""
    return host_if_any(url) or (UNREADABLE if _ABSOLUTE.match(url.strip()) else OWN)


def describe(found: Finding) -> str:
    """`URL: what is wrong`; the second alone where the finding is about no image."""
    return message(found) if found.url is None else f"{shown_url(found)}: {message(found)}"


def message(found: Finding) -> str:
    """What is wrong."""
    return clean_text(found.message, _MESSAGE)


def remedy(found: Finding) -> str:
    """What to do, "" where nothing is known."""
    return clean_text(found.remedy, _MESSAGE)


def since(found: Finding) -> str:
    """`dead since 2026-01-14`; "" where neither state nor day is known."""
    state = "" if found.state in (None, UrlState.OK) else str(found.state)
    day = clean_text((found.first_seen or "")[:10])
    return " ".join(filter(None, (state, day and f"since {day}")))


def extent(found: Finding) -> str:
    """`40 places in 38 articles`; "" for a single place."""
    count = len(places(found))
    if count < 2:
        return ""
    articles = found.articles or len({place.article for place in found.references})
    return f"{plural(count, 'place')} in {plural(articles, 'article')}"


def most_used(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, warnings, notes; in each the images of most articles, then of the newest; else as they come."""
    newest = sorted(findings, key=lambda found: found.newest, reverse=True)
    return sorted(newest, key=lambda found: (_ORDER[found.severity], -found.articles))


def split(audit: AuditReport) -> tuple[list[Finding], list[Finding]]:
    """New findings and old ones, each as `most_used`."""
    ranked = most_used(audit.findings)
    return [found for found in ranked if not found.is_old], [found for found in ranked if found.is_old]


def count(findings: Iterable[Finding]) -> dict[Severity, int]:
    """How many of each severity, none left out."""
    counts = dict.fromkeys(Severity, 0)
    for found in findings:
        counts[found.severity] += 1
    return counts


def verdict(audit: AuditReport) -> str:
    """`3 errors, 1 warning`, of what is new; or that all is well."""
    counts = count(found for found in audit.findings if not found.is_old)
    told = [plural(number, severity.value) for severity, number in counts.items() if number]
    if told:
        return ", ".join(told)
    return "nothing new" if audit.findings else "all is well"


def exposed(exposure: Exposure) -> list[str]:
    """What a reader's browser is led to, without what is zero."""
    told = [
        plural(number, name)
        for number, name in (
            (exposure.hosts, "foreign host"),
            (exposure.cookies, "cookie"),
            (exposure.trackers, "tracker"),
        )
        if number
    ]
    if exposure.now:
        cached = f", {format_bytes(exposure.cached)} if cached" if 0 < exposure.cached < exposure.now else ""
        told.append(f"{format_bytes(exposure.now)} loaded from elsewhere{cached}")
    return told
