"""What is left of an audit when its certain corrections are made. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import msgspec

from imgcache.auditor.finding_factory import count_failing
from imgcache.core import AuditReport, Finding, Place


def remaining_findings(audit: AuditReport, unfixed: Collection[Place]) -> AuditReport:
    """The audit without the places that were corrected: all that its changes name, but for those `unfixed`."""
    left = tuple(found for one in audit.findings if (found := _rest(one, unfixed)) is not None)
    summary = msgspec.structs.replace(
        audit.summary,
        ok=audit.summary.images - count_failing(left),
        findings=len(left),
        by_rule=dict(sorted(Counter(found.rule for found in left).items())),
        old=sum(found.is_old for found in left),
    )
    return msgspec.structs.replace(audit, findings=left, summary=summary)


def _rest(found: Finding, unfixed: Collection[Place]) -> Finding | None:
    fixed = {change.place for change in found.changes if change.place not in unfixed}
    places = tuple(place for place in found.references if place not in fixed)
    if not fixed or not places:
        return None if fixed else found
    first = places[0]
    return msgspec.structs.replace(
        found,
        references=places,
        article=first.article,
        line=first.line,
        column=first.column,
        field=first.field,
        articles=len({place.article for place in places}),
        changes=tuple(change for change in found.changes if change.place not in fixed),
    )
